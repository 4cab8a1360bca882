import type { VirtualServiceSpec } from '@istio-ts/api';

type HttpRoute = NonNullable<VirtualServiceSpec['http']>[number];
type HttpMatch = NonNullable<HttpRoute['match']>[number];
type StringMatch = { readonly exact?: string; readonly prefix?: string; readonly regex?: string } | undefined;

function stringMatch(match: StringMatch): string {
  if (match?.exact !== undefined) return match.exact;
  if (match?.prefix !== undefined) return `${match.prefix}*`;
  return match?.regex !== undefined ? `regex ${match.regex}` : 'present';
}

/** What one match of an HTTP route asks for, in words: `/hello, header x-canary=true`. */
export function httpMatchText(match: HttpMatch): string {
  const named = (what: string, matches: Readonly<Record<string, StringMatch>> | undefined, without = false) =>
    Object.entries(matches ?? {}).map(
      ([name, value]) => `${without ? 'not ' : ''}${what} ${name}=${stringMatch(value)}`,
    );
  const labels = Object.entries(match.sourceLabels ?? {}).map(([key, value]) => `from pods with ${key}=${value}`);
  const words = [
    ...(match.uri ? [stringMatch(match.uri)] : []),
    ...(match.method ? [`method ${stringMatch(match.method)}`] : []),
    ...(match.scheme ? [`scheme ${stringMatch(match.scheme)}`] : []),
    ...(match.authority ? [`host ${stringMatch(match.authority)}`] : []),
    ...named('header', match.headers),
    ...named('header', match.withoutHeaders, true),
    ...named('query', match.queryParams),
    ...(match.port ? [`port ${match.port}`] : []),
    ...labels,
    ...(match.sourceNamespace ? [`from namespace ${match.sourceNamespace}`] : []),
  ];
  return words.join(', ') || '/*';
}

/** What a whole route matches: any of its matches. */
export const routeMatchText = (route: { readonly match?: readonly HttpMatch[] }): string =>
  route.match?.length ? route.match.map(httpMatchText).join(' or ') : '/*';

/** What a route does to requests beside sending them on, for example `timeout 5s`. Empty when nothing. */
export function routeExtras(route: HttpRoute): string {
  const extras = [
    ...(route.timeout ? [`timeout ${route.timeout}`] : []),
    ...(route.retries?.attempts !== undefined ? [`${route.retries.attempts} retries`] : []),
    ...(route.fault?.delay ? ['injected delay'] : []),
    ...(route.fault?.abort ? ['injected failure'] : []),
    ...(route.mirror || route.mirrors?.length ? ['mirrored'] : []),
    ...(route.rewrite ? ['rewritten'] : []),
  ];
  return extras.join(', ');
}
