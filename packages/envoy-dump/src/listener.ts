import { readAddress } from './address.ts';
import { at, type Json, list, text, texts } from './json.ts';

const httpManager = 'HttpConnectionManager';
const typedName = (filter: Json) =>
  text(at(filter, 'typedConfig', '@type'))
    .split('.')
    .at(-1) ?? '';
const isHttp = (filter: Json) =>
  typedName(filter) === httpManager || filter.name === 'envoy.filters.network.http_connection_manager';
const isTcp = (filter: Json) =>
  typedName(filter) === 'TcpProxy' ||
  filter.name === 'envoy.filters.network.tcp_proxy' ||
  filter.name === 'envoy.tcp_proxy';

/** All addresses that a listener takes connections at. */
export const addressesOf = (listener: Json): readonly string[] => [
  readAddress(listener.address).host,
  ...list(listener.additionalAddresses).map(({ address }) => readAddress(address).host),
];
export const portOf = (listener: Json): number => readAddress(listener.address).port ?? 0;

export const chainsOf = (listener: Json): readonly Json[] => [
  ...list(listener.filterChains),
  ...(listener.defaultFilterChain ? list([listener.defaultFilterChain]) : []),
];

type ChainType = 'HTTP' | 'TCP' | 'UNKNOWN';
const typeOfChain = (chain: Json): ChainType => {
  const filters = list(chain.filters);
  return filters.some(isHttp) ? 'HTTP' : filters.some(isTcp) ? 'TCP' : 'UNKNOWN';
};

/** HTTP, TCP, HTTP+TCP or UNKNOWN: what the filter chains of a listener speak. */
export function typeOfListener(listener: Json): string {
  const types = [...new Set(chainsOf(listener).map(typeOfChain))].filter((type) => type !== 'UNKNOWN').sort();
  return types.join('+') || 'UNKNOWN';
}

/** What a filter chain asks of a connection. */
export function chainMatch(chain: Json): string {
  const match = chain.filterChainMatch;
  const words: string[] = [];
  const protocol = text(at(match, 'transportProtocol'));
  if (protocol !== '') words.push(`Trans: ${protocol}`);
  const protocols = texts(at(match, 'applicationProtocols'));
  if (protocols.length > 0) words.push(`App: ${protocols.join(',')}`);
  const names = texts(at(match, 'serverNames'));
  if (names.length > 0) words.push(`SNI: ${names.join(',')}`);
  const ranges = list(at(match, 'prefixRanges')).map(range);
  const port = text(at(match, 'destinationPort'));
  if (ranges.length > 0) words.push(`Addr: ${ranges.join(',')}${port === '' ? '' : `:${port}`}`);
  else if (port !== '') words.push(`Addr: *:${port}`);
  const sources = list(at(match, 'sourcePrefixRanges')).map(range);
  if (sources.length > 0) words.push(`Source: ${sources.join(',')}`);
  return words.length > 0 ? words.join('; ') : 'ALL';
}

const range = (value: Json) => `${text(value.addressPrefix)}/${text(value.prefixLen) || '0'}`;

/** Where a filter chain sends a connection. */
export function destinationOf(chain: Json): string {
  const filters = list(chain.filters);
  for (const filter of filters) {
    const config = filter.typedConfig;
    if (isHttp(filter)) {
      const name = at(config, 'rds', 'routeConfigName');
      if (name !== undefined) return `Route: ${text(name)}`;
      const routes = list(at(config, 'routeConfig', 'virtualHosts')).flatMap((host) => list(host.routes));
      if (routes.length > 1) return `Inline Route: ${routes.map(({ match }) => matchPath(match)).join(', ')}`;
      const [route] = routes;
      const cluster = text(at(route, 'route', 'cluster'));
      return route !== undefined && cluster !== ''
        ? `Inline Route: ${matchPath(route.match)} -> Cluster: ${cluster}`
        : `Inline Route: ${text(at(config, 'routeConfig', 'name'))}`;
    }
    if (isTcp(filter)) {
      const cluster = text(at(config, 'cluster'));
      if (cluster !== '') return `Cluster: ${cluster}`;
      const weighted = list(at(config, 'weightedClusters', 'clusters'));
      return weighted.map(({ name, weight }) => `Cluster: ${text(name)} weight: ${text(weight)}`).join('; ');
    }
  }
  return filters.map(({ name }) => text(name)).join(', ') || 'Non-HTTP/Non-TCP';
}

function matchPath(match: unknown): string {
  const prefix = at(match, 'prefix');
  return prefix === undefined ? text(at(match, 'path')) || '*' : `${text(prefix)}*`;
}
