import type { StringMatcher } from '@istio-ts/envoy';
import type { StringMatch } from './spec.ts';

/** Escapes a literal for use inside an RE2 expression. */
export const escapeRe2 = (literal: string): string => literal.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');

/** Envoy's matcher of an Istio StringMatch; undefined for an empty one, which only asks for presence. */
export function stringMatcher(match: StringMatch): StringMatcher | undefined {
  if (match.exact !== undefined) {
    return { exact: match.exact };
  }
  if (match.prefix !== undefined) {
    return match.prefix === '' ? undefined : { prefix: match.prefix };
  }
  if (match.regex !== undefined) {
    return { safeRegex: { regex: match.regex } };
  }
  return undefined;
}
