import { table } from '../cli/table.ts';

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

export interface ListenerFilter {
  readonly address?: string;
  readonly port?: number;
  readonly type?: string;
}

const socketOf = (listener: Json): Json =>
  ((listener.address as Json | undefined)?.socket_address as Json | undefined) ?? {};
export const addressOf = (listener: Json): string =>
  String(socketOf(listener).address ?? ((listener.address as Json | undefined)?.pipe as Json | undefined)?.path ?? '');
export const portOf = (listener: Json): number => Number(socketOf(listener).port_value ?? 0);

const chainsOf = (listener: Json): readonly Json[] => [
  ...list(listener.filter_chains),
  ...(listener.default_filter_chain ? [listener.default_filter_chain as Json] : []),
];
const typeOfChain = (chain: Json): 'HTTP' | 'TCP' =>
  list(chain.filters).some(({ name }) => name === 'envoy.filters.network.http_connection_manager') ? 'HTTP' : 'TCP';

/** Keeps the listeners that the flags ask for. */
export function filterListeners(listeners: readonly Json[], filter: ListenerFilter): readonly Json[] {
  return listeners.filter(
    (listener) =>
      (filter.address === undefined || addressOf(listener).toLowerCase() === filter.address.toLowerCase()) &&
      (filter.port === undefined || portOf(listener) === filter.port) &&
      (filter.type === undefined ||
        chainsOf(listener).some((chain) => typeOfChain(chain) === filter.type?.toUpperCase())),
  );
}

/** What a filter chain asks of a connection. */
export function chainMatch(chain: Json): string {
  const match = (chain.filter_chain_match ?? {}) as Json;
  const words: string[] = [];
  if (match.transport_protocol) words.push(`Trans: ${match.transport_protocol}`);
  const protocols = match.application_protocols as readonly string[] | undefined;
  if (protocols) words.push(`App: ${protocols.join(',')}`);
  const names = match.server_names as readonly string[] | undefined;
  if (names) words.push(`SNI: ${names.join(',')}`);
  const ranges = list(match.prefix_ranges);
  if (ranges.length > 0)
    words.push(`Addr: ${ranges.map((range) => `${range.address_prefix}/${range.prefix_len}`).join(',')}`);
  if (match.destination_port) words.push(`Addr: *:${match.destination_port}`);
  return words.length > 0 ? words.join('; ') : 'ALL';
}

function weighted(clusters: readonly Json[]): string {
  return clusters.map(({ name, weight }) => `Cluster: ${name} weight: ${weight}`).join('; ');
}

/** Where a filter chain sends a connection. */
export function destinationOf(chain: Json): string {
  for (const filter of list(chain.filters)) {
    const config = (filter.typed_config ?? {}) as Json;
    if (filter.name === 'envoy.filters.network.http_connection_manager') {
      const rds = config.rds as Json | undefined;
      if (rds) return `Route: ${rds.route_config_name}`;
      const inline = config.route_config as Json | undefined;
      const hosts = list(inline?.virtual_hosts);
      const action = (list(hosts[0]?.routes)[0]?.route ?? {}) as Json;
      return action.cluster
        ? `Inline Route: ${matchPrefix(hosts)} -> Cluster: ${action.cluster}`
        : `Inline Route: ${inline?.name ?? ''}`;
    }
    if (filter.name === 'envoy.filters.network.tcp_proxy' || filter.name === 'envoy.tcp_proxy') {
      if (config.cluster) return `Cluster: ${config.cluster}`;
      return weighted(list((config.weighted_clusters as Json | undefined)?.clusters));
    }
  }
  return (
    list(chain.filters)
      .map(({ name }) => String(name))
      .join(', ') || 'Non-HTTP/Non-TCP'
  );
}

function matchPrefix(hosts: readonly Json[]): string {
  const match = (list(hosts[0]?.routes)[0]?.match ?? {}) as Json;
  return match.prefix !== undefined ? `${match.prefix}*` : String(match.path ?? '*');
}

/** The table of `istioctl proxy-config listener`. */
export function listenerTable(listeners: readonly Json[], verbose: boolean): string {
  const sorted = [...listeners].sort((a, b) => portOf(a) - portOf(b) || addressOf(a).localeCompare(addressOf(b)));
  if (!verbose)
    return table(
      ['ADDRESSES', 'PORT', 'TYPE'],
      sorted.map((listener) => [
        addressOf(listener),
        String(portOf(listener)),
        [...new Set(chainsOf(listener).map(typeOfChain))].sort().join('+'),
      ]),
    );
  const rows = sorted.flatMap((listener) =>
    chainsOf(listener).map((chain) => [
      addressOf(listener),
      String(portOf(listener)),
      chainMatch(chain),
      destinationOf(chain),
    ]),
  );
  return table(['ADDRESSES', 'PORT', 'MATCH', 'DESTINATION'], rows, 1);
}
