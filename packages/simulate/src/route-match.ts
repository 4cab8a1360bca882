import { headerMatches, headerText } from './header-match.ts';
import { at, type Json, list, number, object, text, typeOf } from '@istio-ts/envoy-dump/json';
import type { Maybe } from './maybe.ts';
import type { SeenRequest } from './request.ts';
import { regexMatches, stringMatches, stringText } from './string-match.ts';
import { claimMatches } from './value-match.ts';

/** Whether a route takes a request; `why` says what it wants that the request has not, or what cannot be known. */
export interface RouteFit {
  readonly matches: Maybe;
  readonly why: string;
}

interface Condition {
  readonly matches: Maybe;
  readonly wanted: string;
}

/** A path template of Envoy (`/a/{*}/{name=**}`) as an expression. */
export function templateExpression(template: string): string {
  return template
    .split(/(\{[^}]*\}|\*\*|\*)/)
    .map((part) => {
      const inner = /^\{(?:[^=}]*=)?([^}]*)\}$/.exec(part)?.[1] ?? part;
      if (inner === '**') return '.*';
      if (inner === '*' || (part.startsWith('{') && !part.includes('='))) return '[^/]+';
      return inner.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&');
    })
    .join('');
}

function pathCondition(match: Json, request: SeenRequest): Condition {
  const folded = match.caseSensitive === false ? (one: string) => one.toLowerCase() : (one: string) => one;
  const path = folded(request.path);
  if (match.prefix !== undefined)
    return {
      matches: path.startsWith(folded(text(match.prefix))),
      wanted: `a path that begins with ${text(match.prefix)}`,
    };
  if (match.path !== undefined)
    return { matches: path === folded(text(match.path)), wanted: `the path ${text(match.path)}` };
  if (match.pathSeparatedPrefix !== undefined) {
    const prefix = folded(text(match.pathSeparatedPrefix));
    return {
      matches: path === prefix || path.startsWith(`${prefix}/`),
      wanted: `the path ${text(match.pathSeparatedPrefix)} or one below it`,
    };
  }
  if (match.safeRegex !== undefined) {
    const expression = text(object(match.safeRegex).regex);
    return { matches: regexMatches(expression, request.path), wanted: `a path like /${expression}/` };
  }
  if (match.pathMatchPolicy !== undefined) {
    const template = text(at(match, 'pathMatchPolicy', 'typedConfig', 'pathTemplate'));
    return { matches: regexMatches(templateExpression(template), request.path), wanted: `a path like ${template}` };
  }
  if (match.connectMatcher !== undefined)
    return { matches: request.method === 'CONNECT', wanted: 'the method CONNECT' };
  return { matches: undefined, wanted: 'something of the path that is not known here' };
}

function queryCondition(parameter: Json, request: SeenRequest): Condition {
  const name = text(parameter.name);
  const value = request.query.get(name);
  const string = object(parameter.stringMatch);
  if (parameter.stringMatch === undefined)
    return { matches: (value !== null) === (parameter.presentMatch !== false), wanted: `the query parameter ${name}` };
  return {
    matches: value !== null && stringMatches(string, value),
    wanted: `the query parameter ${name} ${stringText(string)}`,
  };
}

/** The chance of a RuntimeFractionalPercent, 0 to 1. */
export function fraction(percent: unknown): number {
  const value = object(at(percent, 'defaultValue') ?? percent);
  const denominators: Readonly<Record<string, number>> = { HUNDRED: 100, TEN_THOUSAND: 10_000, MILLION: 1_000_000 };
  return (number(value.numerator) ?? 0) / (denominators[text(value.denominator)] ?? 100);
}

/** Whether a route's match (config.route.v3.RouteMatch) takes a request. */
export function routeFit(match: Json, request: SeenRequest): RouteFit {
  const chance = match.runtimeFraction === undefined ? 1 : fraction(match.runtimeFraction);
  const conditions: readonly Condition[] = [
    pathCondition(match, request),
    ...list(match.headers).map((header) => ({ matches: headerMatches(header, request), wanted: headerText(header) })),
    ...list(match.queryParameters).map((parameter) => queryCondition(parameter, request)),
    ...list(match.dynamicMetadata).map((metadata) => ({
      matches: claimMatches(metadata, request.claims),
      wanted: `the claim ${list(metadata.path)
        .slice(1)
        .map(({ key }) => text(key))
        .join('.')} of a token`,
    })),
    ...(match.grpc === undefined
      ? []
      : [{ matches: (request.headers.get('content-type') ?? '').startsWith('application/grpc'), wanted: 'gRPC' }]),
    ...(match.tlsContext === undefined
      ? []
      : [{ matches: request.scheme === 'https' || request.caller !== undefined, wanted: 'a connection by TLS' }]),
    ...(chance === 1
      ? []
      : [{ matches: chance === 0 ? false : undefined, wanted: `${(chance * 100).toFixed(2)} % of requests` }]),
    ...list(match.filterState).map(() => ({ matches: undefined, wanted: 'a state of filters' })),
  ];
  const failed = conditions.filter(({ matches }) => matches === false);
  if (failed.length > 0) return { matches: false, why: `it wants ${failed.map(({ wanted }) => wanted).join(' and ')}` };
  const open = conditions.filter(({ matches }) => matches === undefined);
  return open.length > 0
    ? { matches: undefined, why: `it takes ${open.map(({ wanted }) => wanted).join(' and ')}` }
    : { matches: true, why: conditions.map(({ wanted }) => wanted).join(' and ') };
}

/** How a route is called: its own name, else what it matches. */
export function routeName(route: Json): string {
  const name = text(route.name);
  if (name !== '') return name;
  const match = object(route.match);
  const path = match.prefix ?? match.path ?? match.pathSeparatedPrefix ?? at(match, 'safeRegex', 'regex');
  return path === undefined ? typeOf(at(match, 'pathMatchPolicy', 'typedConfig')) || 'a route' : `route ${text(path)}`;
}
