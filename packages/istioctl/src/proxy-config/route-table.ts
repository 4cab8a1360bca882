import { type Json, list, text, texts } from '@istio-ts/envoy-dump/json';
import { domainSummary, matchOf, virtualServiceOf } from '@istio-ts/envoy-dump/route';
import { table } from '../cli/table.ts';

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
