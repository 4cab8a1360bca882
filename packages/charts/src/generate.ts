/**
 * Writes what the charts hold but nobody writes by hand: the custom resource definitions (from the schemas of `@istio-ts/api`),
 * and the egress gateway's chart (the ingress gateway's under another name). Run it with `node packages/charts/src/generate.ts`.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { customResourceDefinitions } from '@istio-ts/api';
import { writeYaml } from '@istio-ts/gotemplate';

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
  return generated;
}

if (import.meta.main) {
  const manifests = join(import.meta.dirname, '..', 'manifests');
  rmSync(join(manifests, 'base', 'files', 'crds'), { recursive: true, force: true });
  mkdirSync(join(manifests, 'base', 'files', 'crds'), { recursive: true });
  for (const [path, text] of generatedFiles(manifests)) writeFileSync(join(manifests, path), text);
}
