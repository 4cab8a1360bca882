import { table } from '../cli/table.ts';
import { at, type Json, list, text, texts } from './json.ts';
import { originOf } from './origin.ts';

/** What a route matches: `/path`, `/prefix*` or a pattern, then the headers and query parameters that it looks at. */
export function matchOf(route: Json): string {
  const { match } = route;
  const regex = at(match, 'safeRegex', 'regex');
  const path =
    at(match, 'path') ??
    (at(match, 'prefix') !== undefined ? `${text(at(match, 'prefix'))}*` : undefined) ??
    (at(match, 'pathSeparatedPrefix') !== undefined
      ? `PathPrefix:${text(at(match, 'pathSeparatedPrefix'))}`
      : undefined) ??
    (regex !== undefined ? `regex ${text(regex)}` : '*');
  const headers = list(at(match, 'headers')).map(({ name }) => text(name));
  const parameters = list(at(match, 'queryParameters')).map(({ name }) => `?${text(name)}`);
  const also = [...new Set([...headers, ...parameters])];
  return `${text(path)}${also.length > 0 ? ` (${also.join(', ')})` : ''}`;
}

/** `name.namespace` of the VirtualService that a route came from, or the status of an answer without one. */
export function virtualServiceOf(route: Json): string {
  return originOf(route, 'virtual-service') || text(at(route, 'directResponse', 'status'));
}

const isAddress = (domain: string) => /^[\d.]+$/.test(domain) || domain.includes('[') || domain.split(':').length > 2;

/** The two shortest names of a virtual host and how many more there are. Names with a port or a final dot stand for the same name without. */
export function domainSummary(domains: readonly string[]): string {
  const names = [
    ...new Set(domains.map((domain) => (isAddress(domain) ? domain : domain.replace(/:\d+$/, '').replace(/\.$/, '')))),
  ].sort((a, b) => Number(isAddress(a)) - Number(isAddress(b)) || a.length - b.length);
  const more = names.length > 2 ? ` + ${names.length - 2} more...` : '';
  return `${names.slice(0, 2).join(', ')}${more}`;
}

/** Keeps the route configurations with one of these names (separated by commas). */
export function filterRoutes(configs: readonly Json[], filter: { readonly name?: string }): readonly Json[] {
  if (filter.name === undefined) return configs;
  const names = new Set(filter.name.split(',').map((name) => name.trim()));
  return configs.filter(({ name }) => names.has(text(name)));
}

// Those of ports first, by number; other names after them, by letter.
function byName(a: Json, b: Json): number {
  const [x, y] = [text(a.name), text(b.name)];
  const [m, n] = [/^\d+$/.test(x), /^\d+$/.test(y)];
  return m && n ? Number(x) - Number(y) : m !== n ? (m ? -1 : 1) : x.localeCompare(y);
}

/** The table of `istioctl proxy-config route`; without details one row a route configuration. */
export function routeTable(configs: readonly Json[], verbose = true): string {
  const sorted = [...configs].sort(byName);
  if (!verbose)
    return table(
      ['NAME', 'VIRTUAL HOSTS'],
      sorted.map((config) => [text(config.name), String(list(config.virtualHosts).length)]),
    );
  const rows = sorted.flatMap((config) =>
    list(config.virtualHosts).flatMap((host) => {
      const routes = list(host.routes);
      const shown = routes.length > 0 ? routes : [{}];
      return shown.map((route) => [
        text(config.name),
        text(host.name),
        domainSummary(texts(host.domains)),
        routes.length > 0 ? matchOf(route) : '',
        virtualServiceOf(route),
      ]);
    }),
  );
  return table(['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'VIRTUAL SERVICE'], rows, 3);
}
