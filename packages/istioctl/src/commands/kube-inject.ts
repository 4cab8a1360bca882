import { readFileSync, writeFileSync } from 'node:fs';
import { decodeMeshConfig } from '@istio-ts/api';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { InjectionError, injectObject, parseInjectionConfig } from '@istio-ts/injector';
import { KubeApiError, parseManifests, parseYaml } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { manifestYaml } from '../install/generate.ts';

export interface KubeInjectFlags {
  readonly filename: string;
  readonly output?: string;
  readonly injectConfigFile?: string;
  readonly meshConfigFile?: string;
  readonly valuesFile?: string;
  readonly meshConfigMapName: string;
  readonly revision?: string;
}

const read = (file: string): string => {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CliError(`${file}: ${(error as Error).message}`);
  }
};

async function configMap(session: Session, name: string): Promise<Readonly<Record<string, string>>> {
  const namespace = session.flags.istioNamespace;
  try {
    const object = await session.client().get(kubernetesTypes.ConfigMap, name, namespace);
    return (object.data ?? {}) as Readonly<Record<string, string>>;
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404)
      throw new CliError(
        `there is no ConfigMap ${namespace}/${name}: install Istio first, or give the configuration in files`,
      );
    throw error;
  }
}

/** `istioctl kube-inject -f FILE`: the same injection as the webhook's, on a manifest. */
export async function runKubeInject(session: Session, flags: KubeInjectFlags): Promise<number> {
  const suffix = flags.revision && flags.revision !== 'default' ? `-${flags.revision}` : '';
  const fromCluster =
    flags.injectConfigFile === undefined || flags.valuesFile === undefined
      ? await configMap(session, `istio-sidecar-injector${suffix}`)
      : {};
  const templates = flags.injectConfigFile !== undefined ? read(flags.injectConfigFile) : (fromCluster.config ?? '');
  const values = flags.valuesFile !== undefined ? read(flags.valuesFile) : (fromCluster.values ?? '{}');
  const mesh =
    flags.meshConfigFile !== undefined
      ? read(flags.meshConfigFile)
      : ((await configMap(session, `${flags.meshConfigMapName}${suffix}`)).mesh ?? '');
  try {
    const config = parseInjectionConfig(templates, values);
    const { value: meshConfig } = decodeMeshConfig(parseYaml(mesh, flags.meshConfigFile ?? 'mesh'));
    const objects = parseManifests(read(flags.filename), flags.filename);
    const namespace = session.flags.namespace ?? 'default';
    const results = objects.map((object) =>
      injectObject(object, { config, meshConfig, namespace, revision: flags.revision ?? 'default' }),
    );
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
