import { writeFileSync } from 'node:fs';
import { InjectionError, injectObject, type ObjectInjection } from '@istio-ts/injector';
import { type KubeObject, parseManifests } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { chartsDir } from '../cli/spec-flags.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import { manifestYaml } from '../install/generate.ts';
import { readSpec } from '../install/input.ts';
import { generateManifests } from '../install/manifests.ts';
import {
  type ConfigurationTexts,
  type InjectionSettings,
  readText,
  settingsFromCluster,
  settingsFromTexts,
} from './injection-source.ts';

export interface KubeInjectFlags extends XdsFlags {
  readonly filename: string;
  readonly output?: string;
  readonly injectConfigFile?: string;
  readonly meshConfigFile?: string;
  readonly valuesFile?: string;
  readonly operatorFileName?: string;
  readonly meshConfigMapName: string;
  readonly webhookConfig: string;
}

/** The configuration that an installation from this IstioOperator file would have. */
function textsOfOperator(session: Session, file: string): Required<ConfigurationTexts> & { readonly revision: string } {
  const folder = chartsDir(undefined);
  const { spec, messages } = readSpec({
    chartsDir: folder,
    files: [file],
    sets: [],
    istioNamespace: session.flags.istioNamespace,
  });
  for (const message of messages) session.err(`${message}\n`);
  const maps = generateManifests(folder, spec)
    .flatMap(({ objects }) => objects)
    .filter(({ kind }) => kind === 'ConfigMap');
  const dataOf = (name: RegExp) => {
    const found = maps.find(({ metadata }) => name.test(metadata.name ?? ''));
    if (found === undefined)
      throw new CliError(`${file}: the installation that it describes has no control plane, so no injection either`);
    return { data: (found.data ?? {}) as Readonly<Record<string, string>>, labels: found.metadata.labels ?? {} };
  };
  const injector = dataOf(/^istio-sidecar-injector/);
  return {
    templates: injector.data.config ?? '',
    values: injector.data.values ?? '{}',
    mesh: dataOf(/^istio(-(?!sidecar-injector).*)?$/).data.mesh ?? '',
    revision: injector.labels['istio.io/rev'] ?? 'default',
  };
}

/** The settings for each namespace, from files, an IstioOperator or the cluster. */
async function settingsOf(session: Session, flags: KubeInjectFlags): Promise<(namespace: string) => InjectionSettings> {
  if (flags.operatorFileName !== undefined) {
    const { revision, ...texts } = textsOfOperator(session, flags.operatorFileName);
    const settings = settingsFromTexts(texts, flags.revision ?? revision);
    return () => settings;
  }
  const templates = flags.injectConfigFile === undefined ? undefined : readText(flags.injectConfigFile);
  const values = flags.valuesFile === undefined ? undefined : readText(flags.valuesFile);
  const mesh = flags.meshConfigFile === undefined ? undefined : readText(flags.meshConfigFile);
  if (templates !== undefined && values !== undefined && mesh !== undefined) {
    const settings = settingsFromTexts({ templates, values, mesh }, flags.revision ?? 'default');
    return () => settings;
  }
  return settingsFromCluster(session, flags, {
    ...(templates !== undefined && { templates }),
    ...(values !== undefined && { values }),
    ...(mesh !== undefined && { mesh }),
  });
}

/**
 * `istioctl kube-inject -f FILE`: the same injection as the webhook's, on a manifest. Who runs it has asked for injection, so a mesh whose policy is
 * `disabled` does not stop it; what a pod says of itself does.
 */
export async function runKubeInject(session: Session, flags: KubeInjectFlags): Promise<number> {
  if (flags.xdsAddress !== undefined || flags.xdsLabel !== undefined)
    throw new CliError(
      'kube-inject reads its configuration from the Kubernetes API or from files: leave out --xds-address and --xds-label',
    );
  try {
    const settings = await settingsOf(session, flags);
    const objects = parseManifests(readText(flags.filename), flags.filename);
    if (objects.length === 0) throw new CliError(`${flags.filename}: there is no object in it`);
    const namespace = session.flags.namespace ?? 'default';
    const inject = (object: KubeObject): ObjectInjection => {
      if (Array.isArray(object.items) && object.kind.endsWith('List')) {
        // Each item may be in another namespace, with other settings.
        const items = (object.items as readonly KubeObject[]).map(inject);
        return {
          object: { ...object, items: items.map((item) => item.object) },
          changes: items.flatMap(({ changes }) => changes),
        };
      }
      const { config, ...rest } = settings(object.metadata?.namespace ?? namespace);
      return injectObject(object, { ...rest, config: { ...config, policy: 'enabled' }, namespace });
    };
    const results = objects.map(inject);
    for (const { changes } of results)
      for (const { kind, name, injected, reason } of changes)
        if (!injected) session.err(`${kind}/${name} is left alone: ${reason}\n`);
    const text = manifestYaml(results.map(({ object }) => object));
    if (flags.output === undefined) session.out(text);
    else writeFileSync(flags.output, text);
    return 0;
  } catch (error) {
    if (error instanceof InjectionError) throw new CliError(error.message);
    throw error;
  }
}
