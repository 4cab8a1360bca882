import { CliError } from '@istio-ts/command-line/failure';
import { camelCaseKeys } from './camel-case.ts';
import { type Json, list, object, text } from './json.ts';

/** Envoy's answer to `/config_dump`, one entry a kind of configuration; names are camelCase whichever way the dump was printed. */
export interface ConfigDump {
  readonly configs: readonly Json[];
}

/** Reads JSON; raises CliError that names the source. */
export function parseDocument(content: string, source: string, what: string): Json {
  try {
    return object(camelCaseKeys(JSON.parse(content)));
  } catch (error) {
    throw new CliError(`${source} is not ${what}: ${(error as Error).message}`);
  }
}

/**
 * Reads a dump, for example from a file: of Envoy's admin port, of `istioctl proxy-config all -o json`, or of istiod; virtual hosts have the names that
 * they have in the mesh. Raises CliError when it is none.
 */
export function parseConfigDump(content: string, source: string): ConfigDump {
  const { configs } = parseDocument(content, source, 'a configuration dump of Envoy');
  if (!Array.isArray(configs))
    throw new CliError(`${source} is not a configuration dump of Envoy: it has no "configs"`);
  return { configs: list(configs).map(withHostNames) };
}

/**
 * Of virtual hosts that Envoy got one by one the name begins with that of the route configuration and a slash (Envoy, "Virtual Host Discovery
 * Service"): how they came is nothing that those who look at routes ask for.
 */
function withHostNames(config: Json): Json {
  if (!text(config['@type']).endsWith('.RoutesConfigDump')) return config;
  const named = (entry: Json): Json => {
    const routes = object(entry.routeConfig);
    const prefix = `${text(routes.name)}/`;
    if (prefix === '/' || !Array.isArray(routes.virtualHosts)) return entry;
    const virtualHosts = list(routes.virtualHosts).map((host) => {
      const name = text(host.name);
      return name.startsWith(prefix) ? { ...host, name: name.slice(prefix.length) } : host;
    });
    return { ...entry, routeConfig: { ...routes, virtualHosts } };
  };
  return Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key, Array.isArray(value) ? list(value).map(named) : value]),
  );
}

/** The part of a dump with this type name, for example `ClustersConfigDump`; undefined when Envoy has none. */
export function section(dump: ConfigDump, name: string): Json | undefined {
  return dump.configs.find((config) => String(config['@type']).endsWith(`.${name}`));
}

const child = (value: Json, key: string): readonly Json[] => (value[key] === undefined ? [] : [object(value[key])]);

/** All clusters that are in force, static ones first. */
export function clustersOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'ClustersConfigDump') ?? {};
  return [...list(part.staticClusters), ...list(part.dynamicActiveClusters)].flatMap((entry) =>
    child(entry, 'cluster'),
  );
}

/** All listeners that are in force, static ones first. */
export function listenersOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'ListenersConfigDump') ?? {};
  return [...list(part.staticListeners), ...list(part.dynamicListeners)].flatMap(listenerOf);
}

/** The listener of an entry of the dump: in it (static) or in its active state (dynamic). */
export const listenerOf = (entry: Json): readonly Json[] =>
  entry.listener === undefined
    ? child(entry, 'activeState').flatMap((state) => child(state, 'listener'))
    : child(entry, 'listener');

/** All route configurations, those inside listeners included. */
export function routesOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'RoutesConfigDump') ?? {};
  return [...list(part.staticRouteConfigs), ...list(part.dynamicRouteConfigs)].flatMap((entry) =>
    child(entry, 'routeConfig'),
  );
}

/** All load assignments: the endpoints of the clusters. */
export function assignmentsOf(dump: ConfigDump): readonly Json[] {
  const part = section(dump, 'EndpointsConfigDump') ?? {};
  return [...list(part.staticEndpointConfigs), ...list(part.dynamicEndpointConfigs)].flatMap((entry) =>
    child(entry, 'endpointConfig'),
  );
}
