import type { HeaderMatcher, MetadataMatcher, QueryParameterMatcher, RouteMatch, StringMatcher } from '@istio-ts/envoy';
import type { HttpMatch, StringMatch } from './spec.ts';
import { claimMatcher, claimOf } from './claim.ts';
import { stringMatcher } from './string-match.ts';

/** Facts of the proxy and listener that a match can ask for; they are decided here, Envoy never sees them. */
export interface MatchContext {
  /** Gateways that the route is made for: `mesh` or `namespace/name`. */
  readonly gateways: readonly string[];
  /** Port that the client dialled. */
  readonly port: number;
  readonly sourceLabels: Readonly<Record<string, string>>;
  readonly sourceNamespace: string;
  /** True for VirtualServices made from the Gateway API, where a prefix ends at a path segment. */
  readonly segmentPrefixes: boolean;
}

/** Whether all labels of `wanted` are among `labels`. */
export function hasLabels(
  labels: Readonly<Record<string, string>>,
  wanted: Readonly<Record<string, string>> | undefined,
): boolean {
  return Object.entries(wanted ?? {}).every(([key, value]) => labels[key] === value);
}

/** Whether a match can hold at all for this proxy, gateway and port (VirtualService reference: HTTPMatchRequest port, sourceLabels, gateways, sourceNamespace). */
export function matchApplies(match: HttpMatch, context: MatchContext): boolean {
  if (match.port !== undefined && match.port !== 0 && match.port !== context.port) {
    return false;
  }
  if (
    match.gateways !== undefined &&
    match.gateways.length > 0 &&
    !match.gateways.some((g) => context.gateways.includes(g))
  ) {
    return false;
  }
  if (
    match.sourceNamespace !== undefined &&
    match.sourceNamespace !== '' &&
    match.sourceNamespace !== context.sourceNamespace
  ) {
    return false;
  }
  return hasLabels(context.sourceLabels, match.sourceLabels);
}

/** An empty value asks for presence only (VirtualService reference, HTTPMatchRequest.headers and queryParams). */
function valueMatcher(match: StringMatch): StringMatcher | undefined {
  return match.exact === '' || match.regex === '*' ? undefined : stringMatcher(match);
}

function header(name: string, match: StringMatch): HeaderMatcher {
  const matcher = valueMatcher(match);
  return matcher === undefined ? { name, presentMatch: true } : { name, stringMatch: matcher };
}

/** A request without the header counts as one that does not match, so its absence has to be read as an empty value before inverting. */
function withoutHeader(name: string, match: StringMatch): HeaderMatcher {
  const positive = header(name, match);
  return {
    ...positive,
    invertMatch: true,
    ...(positive.presentMatch === undefined ? { treatMissingHeaderAsEmpty: true } : {}),
  };
}

function query(name: string, match: StringMatch): QueryParameterMatcher {
  const matcher = valueMatcher(match);
  return matcher === undefined ? { name, presentMatch: true } : { name, stringMatch: matcher };
}

function path(uri: StringMatch | undefined, segmentPrefixes: boolean): RouteMatch {
  if (uri?.exact !== undefined) {
    return { path: uri.exact };
  }
  if (uri?.regex !== undefined && uri.regex !== '*') {
    return { safeRegex: { regex: uri.regex } };
  }
  const prefix = uri?.prefix ?? '/';
  if (segmentPrefixes && prefix !== '/') {
    return { pathSeparatedPrefix: prefix.replace(/\/+$/, '') };
  }
  return { prefix };
}

/** Envoy's match for one HTTPMatchRequest; undefined stands for "every request". */
export function routeMatch(match: HttpMatch | undefined, segmentPrefixes: boolean): RouteMatch {
  if (match === undefined) {
    return { prefix: '/' };
  }
  const headers: HeaderMatcher[] = [];
  const dynamicMetadata: MetadataMatcher[] = [];
  for (const [names, absent] of [
    [match.headers, false],
    [match.withoutHeaders, true],
  ] as const) {
    for (const [name, value] of Object.entries(names ?? {})) {
      const claim = claimOf(name);
      if (claim !== undefined) {
        dynamicMetadata.push(claimMatcher(claim, valueMatcher(value ?? {}), absent));
      } else {
        headers.push((absent ? withoutHeader : header)(name.toLowerCase(), value ?? {}));
      }
    }
  }
  for (const [name, value] of [
    [':method', match.method],
    [':authority', match.authority],
    [':scheme', match.scheme],
  ] as const) {
    if (value !== undefined) {
      headers.push(header(name, value));
    }
  }
  const queryParameters = Object.entries(match.queryParams ?? {}).map(([name, value]) => query(name, value ?? {}));
  return {
    ...path(match.uri, segmentPrefixes),
    caseSensitive: match.ignoreUriCase !== true,
    ...(headers.length > 0 ? { headers } : {}),
    ...(queryParameters.length > 0 ? { queryParameters } : {}),
    ...(dynamicMetadata.length > 0 ? { dynamicMetadata } : {}),
  };
}

/** Whether a match holds for every request, so that routes after it can never be reached. */
export function matchesEverything(match: RouteMatch): boolean {
  return (
    match.prefix === '/' &&
    match.headers === undefined &&
    match.queryParameters === undefined &&
    match.dynamicMetadata === undefined
  );
}
