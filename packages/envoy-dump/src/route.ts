import { at, type Json, list, text } from './json.ts';
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
