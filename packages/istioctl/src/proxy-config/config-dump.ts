import type { KubeClient } from '@istio-ts/kube';
import { CliError } from '../cli/failure.ts';
import type { PodName } from '../pods/find-pod.ts';
import { podHttp } from '../pods/pod-http.ts';

type Json = Readonly<Record<string, unknown>>;

/** Envoy's answer to `/config_dump`, one entry a kind of configuration. */
export interface ConfigDump {
  readonly configs: readonly Json[];
}

/** Fetches the configuration of a pod's Envoy. */
export async function fetchConfigDump(client: KubeClient, pod: PodName, adminPort: number): Promise<ConfigDump> {
  return parseConfigDump(
    await podHttp(client, pod, adminPort, '/config_dump?include_eds'),
    `${pod.name}.${pod.namespace}`,
  );
}

/** Reads a dump, for example from a file. Raises CliError when it is none. */
export function parseConfigDump(text: string, source: string): ConfigDump {
  let dump: unknown;
  try {
    dump = JSON.parse(text);
  } catch (error) {
    throw new CliError(`${source} is not a configuration dump of Envoy: ${(error as Error).message}`);
  }
  const configs = (dump as { readonly configs?: unknown } | null)?.configs;
  if (!Array.isArray(configs))
    throw new CliError(`${source} is not a configuration dump of Envoy: it has no "configs"`);
  return { configs: configs as readonly Json[] };
}

/** The part of a dump with this type name, for example `ClustersConfigDump`; undefined when Envoy has none. */
export function section(dump: ConfigDump, name: string): Json | undefined {
  return dump.configs.find((config) => String(config['@type']).endsWith(`.${name}`));
}

const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);
const child = (value: Json, key: string): readonly Json[] => (value[key] === undefined ? [] : [value[key] as Json]);

/** All clusters, static and dynamic, in snake case as Envoy prints them. */
export function clustersOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'ClustersConfigDump') ?? {};
  return [...list(part.static_clusters), ...list(part.dynamic_active_clusters)].flatMap((entry) =>
    child(entry, 'cluster'),
  );
}

export function listenersOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'ListenersConfigDump') ?? {};
  return [
    ...list(part.static_listeners).flatMap((entry) => child(entry, 'listener')),
    ...list(part.dynamic_listeners).flatMap((entry) =>
      child(entry, 'active_state').flatMap((state) => child(state, 'listener')),
    ),
  ];
}

export function routesOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'RoutesConfigDump') ?? {};
  return [...list(part.static_route_configs), ...list(part.dynamic_route_configs)].flatMap((entry) =>
    child(entry, 'route_config'),
  );
}
