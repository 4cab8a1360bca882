import { either, type Json, list, number, object } from '@istio-ts/envoy-dump/json';
import { type Maybe, not, some } from './maybe.ts';
import { stringMatches } from './string-match.ts';

/** Envoy's ValueMatcher (type.matcher.v3) on a value of dynamic metadata; undefined as value: there is none. */
export function valueMatches(matcher: Json, value: unknown): Maybe {
  const string = either(matcher, 'stringMatch');
  if (string !== undefined) return typeof value === 'string' && stringMatches(object(string), value);
  const items = either(matcher, 'listMatch');
  if (items !== undefined) {
    if (!Array.isArray(value)) return false;
    const one = object(either(object(items), 'oneOf'));
    return some(value.map((item) => valueMatches(one, item)));
  }
  const or = either(matcher, 'orMatch');
  if (or !== undefined)
    return some(list(either(object(or), 'valueMatchers')).map((inner) => valueMatches(inner, value)));
  const present = either(matcher, 'presentMatch');
  if (present !== undefined) return (value !== undefined) === (present === true);
  const bool = either(matcher, 'boolMatch');
  if (bool !== undefined) return value === bool;
  if (either(matcher, 'nullMatch') !== undefined) return value === null;
  const double = either(matcher, 'doubleMatch');
  if (double !== undefined) return value === number(object(double).exact);
  return undefined;
}

/** Envoy's MetadataMatcher where the metadata is that of a checked token: `claims` are what it says. */
export function claimMatches(matcher: Json, claims: Readonly<Record<string, unknown>> | undefined): Maybe {
  const path = list(matcher.path).map(({ key }) => String(key));
  const inverted = matcher.invert === true;
  const [first, ...rest] = path;
  if (matcher.filter !== 'envoy.filters.http.jwt_authn' || first !== 'payload') return undefined;
  const value = rest.reduce(
    (inner: unknown, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Readonly<Record<string, unknown>>)[key] : undefined,
    claims,
  );
  const result = valueMatches(object(matcher.value), value);
  return inverted ? not(result) : result;
}
