/**
 * Writes what the charts hold but nobody writes by hand: the custom resource definitions (from the schemas of `@istio-ts/api`),
 * the egress gateway's chart (the ingress gateway's under another name), and in each chart what all have alike: how values are
 * layered, and the profiles, the schema of the values. Run it with `node packages/charts/src/generate.ts`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { customResourceDefinitions } from '@istio-ts/api';
import { writeYaml } from '@istio-ts/gotemplate';
import { loadChart } from './chart.ts';
import { valuesSchema } from './values-schema.ts';

/** Charts whose values lie in layers: defaults, then profiles, then what the user set. */
const LAYERED = ['base', 'istiod', 'gateway', 'cni', 'ztunnel', 'istio-ingress', 'istio-egress'] as const;

const HELMIGNORE = `# What is not part of the chart's package.
.DS_Store
.git/
.gitignore
.idea/
.vscode/
*.bak
*.orig
*.swp
*.tmp
*~
`;

/** Generated files by their path below the folder of the charts. */
export function generatedFiles(manifests: string): ReadonlyMap<string, string> {
  const generated = new Map<string, string>();
  for (const definition of customResourceDefinitions()) {
    generated.set(
      `base/files/crds/${definition.metadata.name}.yaml`,
      writeYaml(JSON.parse(JSON.stringify(definition))),
    );
  }
  for (const file of readdirSync(join(manifests, 'istio-ingress', 'templates'))) {
    const text = readFileSync(join(manifests, 'istio-ingress', 'templates', file), 'utf8');
    generated.set(
      `istio-egress/templates/${file}`,
      text.replaceAll('istio-ingressgateway', 'istio-egressgateway').replaceAll('IngressGateways', 'EgressGateways'),
    );
  }
  const shared = join(manifests, '..', 'shared');
  for (const chart of LAYERED) {
    for (const file of readdirSync(join(shared, 'templates')))
      generated.set(`${chart}/templates/${file}`, readFileSync(join(shared, 'templates', file), 'utf8'));
    for (const file of readdirSync(join(shared, 'profiles')))
      generated.set(`${chart}/files/profile-${file}`, readFileSync(join(shared, 'profiles', file), 'utf8'));
    generated.set(
      `${chart}/values.schema.json`,
      `${JSON.stringify(valuesSchema(loadChart(join(manifests, chart))), null, 2)}\n`,
    );
    generated.set(`${chart}/.helmignore`, HELMIGNORE);
  }
  return generated;
}

if (import.meta.main) {
  const manifests = join(import.meta.dirname, '..', 'manifests');
  rmSync(join(manifests, 'base', 'files', 'crds'), { recursive: true, force: true });
  mkdirSync(join(manifests, 'base', 'files', 'crds'), { recursive: true });
  for (const [path, text] of generatedFiles(manifests)) {
    mkdirSync(dirname(join(manifests, path)), { recursive: true });
    writeFileSync(join(manifests, path), text);
  }
}
