import type { KubeObject } from '@istio-ts/kube';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { dump } from 'js-yaml';
import { type SpecInput, readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';
import type { Ui } from './ui.ts';

/** One YAML stream of objects. */
export function manifestYaml(objects: readonly KubeObject[]): string {
  return objects.map((object) => `---\n${dump(object, { lineWidth: -1, noRefs: true })}`).join('');
}

/** `istioctl manifest generate`: prints the objects, or writes a file for each component into a folder. Needs no cluster. */
export async function runManifestGenerate(
  options: SpecInput & { readonly ui: Ui; readonly output?: string },
): Promise<number> {
  const { spec, messages } = readSpec(options);
  for (const message of messages) options.ui.warn(message);
  const manifests = generateManifests(options.chartsDir, spec);
  if (options.output === undefined) {
    options.ui.line(manifestYaml(manifests.flatMap(({ objects }) => objects)).trimEnd());
    return 0;
  }
  mkdirSync(options.output, { recursive: true });
  for (const { component, objects } of manifests) {
    const file = join(options.output, `${component}.yaml`);
    writeFileSync(file, manifestYaml(objects));
    options.ui.line(`wrote ${file}`);
  }
  return 0;
}
