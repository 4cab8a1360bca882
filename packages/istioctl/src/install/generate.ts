import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Capabilities } from '@istio-ts/charts';
import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { dump } from 'js-yaml';
import { clusterCapabilities } from './cluster-capabilities.ts';
import { type ComponentName, componentTitles } from './components.ts';
import { OperatorError } from './failure.ts';
import { readSpec, type SpecInput } from './input.ts';
import { generateManifests } from './manifests.ts';
import { suggestion } from './suggestion.ts';
import type { Ui } from './ui.ts';

export interface GenerateOptions extends SpecInput {
  readonly ui: Ui;
  /** Only asked with `clusterSpecific`. */
  readonly client: () => KubeClient;
  readonly output?: string;
  /** Names of the parts to print; empty: all. */
  readonly components: readonly string[];
  /** Render for the version and the kinds of the current cluster. */
  readonly clusterSpecific: boolean;
}

/** One YAML stream of objects. */
export function manifestYaml(objects: readonly KubeObject[]): string {
  return objects.map((object) => `---\n${dump(object, { lineWidth: -1, noRefs: true })}`).join('');
}

/** The parts that are meant, whatever the case of their letters. Raises OperatorError for a name that there is no part of. */
function namedComponents(names: readonly string[]): ReadonlySet<ComponentName> {
  const known = Object.keys(componentTitles) as readonly ComponentName[];
  return new Set(
    names.map((name) => {
      const found = known.find((each) => each.toLowerCase() === name.toLowerCase());
      if (found === undefined)
        throw new OperatorError(
          `--component ${name}: there is no such part${suggestion(name, known) || `; there are ${known.join(', ')}`}`,
        );
      return found;
    }),
  );
}

/**
 * `istioctl manifest generate`: prints the objects, or writes a file for each component into a folder. Needs no cluster. Raises OperatorError and
 * ChartError.
 */
export async function runManifestGenerate(options: GenerateOptions): Promise<number> {
  const { spec, messages } = readSpec(options);
  for (const message of messages) options.ui.warn(message);
  const wanted = namedComponents(options.components);
  const capabilities: Capabilities | undefined = options.clusterSpecific
    ? await clusterCapabilities(options.client())
    : undefined;
  const all = generateManifests(options.chartsDir, spec, {
    ...(capabilities !== undefined && { capabilities }),
    warn: options.ui.warn,
  });
  const manifests = wanted.size === 0 ? all : all.filter(({ component }) => wanted.has(component));
  for (const name of wanted)
    if (!manifests.some(({ component }) => component === name))
      options.ui.warn(`--component ${name}: this part is not switched on in these settings`);
  if (options.output === undefined) {
    const text = manifestYaml(manifests.flatMap(({ objects }) => objects)).trimEnd();
    if (text !== '') options.ui.line(text);
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
