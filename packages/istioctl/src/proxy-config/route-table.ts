import { table } from '../cli/table.ts';

type Json = Readonly<Record<string, unknown>>;
const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? (value as readonly Json[]) : []);

/** What a route matches, in one word: `/path`, `/prefix*`, a pattern, plus how many headers. */
export function matchOf(route: Json): string {
  const match = (route.match ?? {}) as Json;
  const regex = match.safe_regex as Json | undefined;
  const path =
    match.path ??
    (match.prefix !== undefined ? `${match.prefix}*` : undefined) ??
    (match.path_separated_prefix !== undefined ? `PathPrefix:${match.path_separated_prefix}` : undefined) ??
    (regex ? `regex ${regex.regex}` : '*');
  return String(path);
}

/** `name.namespace` of the VirtualService that a route came from (metadata `istio.config`), or 404 for an answer without one. */
export function virtualServiceOf(route: Json): string {
  const istio = ((route.metadata as Json | undefined)?.filter_metadata as Json | undefined)?.istio as Json | undefined;
  const path = typeof istio?.config === 'string' ? istio.config : '';
  const found = /\/namespaces\/([^/]+)\/virtual-?service\/([^/]+)$/.exec(path);
  if (found) return `${found[2]}.${found[1]}`;
  const direct = route.direct_response as Json | undefined;
  return direct ? String(direct.status ?? '') : '';
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

function domains(host: Json): string {
  return domainSummary(Array.isArray(host.domains) ? (host.domains as readonly string[]) : []);
}

/** The table of `istioctl proxy-config route`. */
export function routeTable(configs: readonly Json[]): string {
  const rows = [...configs]
    .sort((a, b) => Number(a.name) - Number(b.name) || String(a.name ?? '').localeCompare(String(b.name ?? '')))
    .flatMap((config) =>
      list(config.virtual_hosts).flatMap((host) => {
        const routes = list(host.routes);
        const shown = routes.length > 0 ? routes : [{}];
        return shown.map((route) => [
          String(config.name ?? ''),
          String(host.name ?? ''),
          domains(host),
          routes.length > 0 ? matchOf(route) : '',
          virtualServiceOf(route),
        ]);
      }),
    );
  return table(['NAME', 'VHOST NAME', 'DOMAINS', 'MATCH', 'VIRTUAL SERVICE'], rows);
}
