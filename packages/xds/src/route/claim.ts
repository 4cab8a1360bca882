import type { MetadataMatcher, StringMatcher } from '@istio-ts/envoy';
import { JWT_FILTER, JWT_PAYLOAD } from '../filter/jwt.ts';

/** Names of a claim and of those in it, from the outermost. */
export type Claim = readonly string[];

const PREFIX = '@request.auth.claims';

/**
 * The claim that a match on a header stands for: `@request.auth.claims.NAME`, dots leading to claims in claims, or `@request.auth.claims[NAME][NAME]`
 * for names with dots (Istio documentation, "JWT claim based routing"). Undefined for headers of requests. Names of claims have a case.
 */
export function claimOf(header: string): Claim | undefined {
  if (header.slice(0, PREFIX.length).toLowerCase() !== PREFIX) return undefined;
  const rest = header.slice(PREFIX.length);
  if (rest.startsWith('.')) return rest.slice(1).split('.');
  return [...rest.matchAll(/\[([^[\]]+)\]/g)].map(([, name = '']) => name);
}

/** Matches a claim that is such a text, or a list with such a text in it; without `value` any claim of that name. */
export function claimMatcher(claim: Claim, value: StringMatcher | undefined, absent: boolean): MetadataMatcher {
  return {
    filter: JWT_FILTER,
    path: [JWT_PAYLOAD, ...claim].map((key) => ({ key })),
    value:
      value === undefined
        ? { presentMatch: true }
        : {
            orMatch: {
              valueMatchers: [{ stringMatch: value }, { listMatch: { oneOf: { stringMatch: value } } }],
            },
          },
    ...(absent && { invert: true }),
  };
}
