import type { StringMatcher, TypedAny } from '@istio-ts/envoy';
import { nanoseconds } from '../duration.ts';
import { typed } from '../typed.ts';
import type { Cors } from './spec.ts';
import { stringMatcher } from './string-match.ts';

/** Configuration of the CORS filter for one route. */
export function corsConfig(
  cors: Cors | undefined,
): TypedAny<'envoy.extensions.filters.http.cors.v3.CorsPolicy'> | undefined {
  if (cors === undefined) {
    return undefined;
  }
  const origins: StringMatcher[] = [];
  for (const origin of cors.allowOrigins ?? []) {
    const matcher = stringMatcher(origin);
    if (matcher !== undefined) {
      origins.push(matcher);
    }
  }
  for (const origin of cors.allowOrigin ?? []) {
    origins.push(origin === '*' ? { safeRegex: { regex: '.*' } } : { exact: origin });
  }
  const maxAge = cors.maxAge === undefined ? undefined : nanoseconds(cors.maxAge);
  return typed('envoy.extensions.filters.http.cors.v3.CorsPolicy', {
    filterEnabled: { defaultValue: { numerator: 100, denominator: 'HUNDRED' } },
    ...(origins.length > 0 ? { allowOriginStringMatch: origins } : {}),
    ...((cors.allowMethods ?? []).length > 0 ? { allowMethods: cors.allowMethods?.join(',') } : {}),
    ...((cors.allowHeaders ?? []).length > 0 ? { allowHeaders: cors.allowHeaders?.join(',') } : {}),
    ...((cors.exposeHeaders ?? []).length > 0 ? { exposeHeaders: cors.exposeHeaders?.join(',') } : {}),
    ...(maxAge !== undefined ? { maxAge: (maxAge / 1_000_000_000n).toString() } : {}),
    ...(cors.allowCredentials !== undefined ? { allowCredentials: cors.allowCredentials } : {}),
    // UNSPECIFIED means FORWARD (VirtualService reference, CorsPolicy.UnmatchedPreflights).
    forwardNotMatchingPreflights: cors.unmatchedPreflights !== 'IGNORE',
  });
}
