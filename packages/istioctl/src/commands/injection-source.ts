import { readFileSync } from 'node:fs';
import { decodeMeshConfig, type MeshConfig } from '@istio-ts/api';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import {
  fromSurroundings,
  type InjectionConfig,
  injectionPath,
  type JsonObject,
  type ObjectInput,
  parseInjectionConfig,
  parseNativeSidecars,
  placeFromPath,
} from '@istio-ts/injector';
import {
  isNotFound,
  KubeApiError,
  type KubeClient,
  type KubeObject,
  parseYaml,
  type ResourceType,
} from '@istio-ts/kube';
import { CliError, unreadable } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { trustBundleOf } from './trust-bundle.ts';

/** Everything that injection of one namespace's pods depends on. */
export type InjectionSettings = Omit<ObjectInput, 'namespace'>;

/** Reads a file or, for `-`, standard input. Raises CliError. */
export function readText(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CliError(`${file}: ${unreadable(error)}`);
  }
}

/** The object, or undefined where there is none of that name. */
export async function getOptional(
  client: KubeClient,
  type: ResourceType,
  name: string,
  namespace?: string,
): Promise<KubeObject | undefined> {
  try {
    return await client.get(type, name, namespace);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** All objects of a kind; none where the cluster does not know it or does not let us see it. */
async function listOptional(client: KubeClient, type: ResourceType): Promise<readonly KubeObject[]> {
  try {
    return (await client.list(type)).items;
  } catch (error) {
    if (error instanceof KubeApiError && (error.status === 404 || error.status === 403)) return [];
    throw error;
  }
}

const suffixOf = (revision: string): string => (revision === '' || revision === 'default' ? '' : `-${revision}`);

async function configMap(session: Session, name: string): Promise<Readonly<Record<string, string>>> {
  const namespace = session.flags.istioNamespace;
  const object = await getOptional(session.client(), kubernetesTypes.ConfigMap, name, namespace);
  if (object === undefined)
    throw new CliError(
      `there is no ConfigMap ${namespace}/${name}: install Istio first, name the revision with --revision, or give the configuration in files`,
    );
  return (object.data ?? {}) as Readonly<Record<string, string>>;
}

/** Templates, policy and values of a revision's injector as the cluster has them. Raises CliError and InjectionError. */
export async function injectionConfigOf(session: Session, revision: string): Promise<InjectionConfig> {
  const { config = '', values = '{}' } = await configMap(session, `istio-sidecar-injector${suffixOf(revision)}`);
  return parseInjectionConfig(config, values);
}

/** Where the texts of the configuration come from; what is undefined is read from the cluster. */
export interface ConfigurationTexts {
  readonly templates?: string;
  readonly values?: string;
  readonly mesh?: string;
}

export interface SourceFlags {
  readonly meshConfigMapName: string;
  readonly webhookConfig: string;
  /** A revision or a tag. */
  readonly revision?: string;
}

const USUAL_WEBHOOK = 'istio-sidecar-injector';

/** The configuration of webhooks that leads to a revision or a tag. Raises CliError for one that was named and is not there. */
async function webhookOf(session: Session, flags: SourceFlags): Promise<KubeObject | undefined> {
  const client = session.client();
  const type = kubernetesTypes.MutatingWebhookConfiguration;
  const named = flags.webhookConfig !== USUAL_WEBHOOK;
  const names = named
    ? [flags.webhookConfig]
    : [
        `${USUAL_WEBHOOK}${suffixOf(flags.revision ?? '')}`,
        `istio-revision-tag-${flags.revision === undefined || flags.revision === '' ? 'default' : flags.revision}`,
      ];
  const inOtherNamespace =
    session.flags.istioNamespace === 'istio-system' ? [''] : [`-${session.flags.istioNamespace}`, ''];
  for (const name of names)
    for (const end of inOtherNamespace) {
      const object = await getOptional(client, type, `${name}${end}`);
      if (object !== undefined) return object;
    }
  if (named) throw new CliError(`there is no MutatingWebhookConfiguration ${flags.webhookConfig}`);
  return undefined;
}

function meshConfigFrom(text: string): MeshConfig {
  return decodeMeshConfig(parseYaml(text, 'mesh configuration')).value;
}

function nativeSetting(values: JsonObject) {
  const pilot = values.pilot as { readonly env?: Readonly<Record<string, unknown>> } | undefined;
  const setting = pilot?.env?.ENABLE_NATIVE_SIDECARS;
  return parseNativeSidecars(setting === undefined ? undefined : String(setting)) ?? 'auto';
}

/** The configuration out of files alone: no cluster is asked, so nothing is known of its nodes. Raises InjectionError. */
export function settingsFromTexts(texts: Required<ConfigurationTexts>, revision: string): InjectionSettings {
  const config = parseInjectionConfig(texts.templates, texts.values);
  return {
    config,
    meshConfig: meshConfigFrom(texts.mesh),
    revision,
    ...fromSurroundings({
      proxyConfigs: [],
      nodes: [],
      namespace: undefined,
      nativeSidecars: nativeSetting(config.values),
    }),
  };
}

/**
 * The configuration of the cluster's injector, except for the texts that are given: for each namespace what its webhook would use. Raises CliError and
 * InjectionError.
 */
export async function settingsFromCluster(
  session: Session,
  flags: SourceFlags,
  texts: ConfigurationTexts,
): Promise<(namespace: string) => InjectionSettings> {
  const client = session.client();
  const webhook = await webhookOf(session, flags);
  // A tag leads to a revision.
  const revision = webhook?.metadata.labels?.['istio.io/rev'] ?? flags.revision ?? 'default';
  const suffix = suffixOf(revision);
  const both = texts.templates !== undefined && texts.values !== undefined;
  const injector = both ? {} : await configMap(session, `istio-sidecar-injector${suffix}`);
  const config = parseInjectionConfig(
    texts.templates ?? injector.config ?? '',
    texts.values ?? injector.values ?? '{}',
  );
  const mesh = texts.mesh ?? (await configMap(session, `${flags.meshConfigMapName}${suffix}`)).mesh ?? '';
  const meshConfig = meshConfigFrom(mesh);
  const place = webhook === undefined ? {} : placeFromPath(injectionPath(webhook as unknown as JsonObject));
  const [proxyConfigs, nodes, namespaces] = await Promise.all(
    [istioTypes.ProxyConfig, kubernetesTypes.Node, kubernetesTypes.Namespace].map((type) => listOptional(client, type)),
  );
  const trustBundle = await trustBundleOf(client, config.values);
  return (namespace) => ({
    config,
    meshConfig,
    revision,
    ...place,
    ...fromSurroundings({
      proxyConfigs: proxyConfigs ?? [],
      nodes: nodes ?? [],
      namespace: namespaces?.find(({ metadata }) => metadata.name === namespace),
      nativeSidecars: nativeSetting(config.values),
      ...(trustBundle !== undefined && { trustBundle }),
    }),
  });
}
