import { RE2JS } from 're2js';
import { either, type Json, object, text } from '@istio-ts/envoy-dump/json';
import type { Maybe } from './maybe.ts';

/** A whole match by RE2's rules, as Envoy's; undefined when the expression is none. */
export function regexMatches(expression: string, value: string): Maybe {
  try {
    return RE2JS.compile(expression).matches(value);
  } catch {
    // Envoy has taken it, so its RE2 knows more than this one: what it says cannot be known from here.
    return undefined;
  }
}

/** Envoy's StringMatcher. */
export function stringMatches(matcher: Json, value: string): Maybe {
  const folded = either(matcher, 'ignoreCase') === true ? (one: string) => one.toLowerCase() : (one: string) => one;
  const found = folded(value);
  if (matcher.exact !== undefined) return found === folded(text(matcher.exact));
  if (matcher.prefix !== undefined) return found.startsWith(folded(text(matcher.prefix)));
  if (matcher.suffix !== undefined) return found.endsWith(folded(text(matcher.suffix)));
  if (matcher.contains !== undefined) return found.includes(folded(text(matcher.contains)));
  const regex = either(matcher, 'safeRegex');
  return regex === undefined ? undefined : regexMatches(text(object(regex).regex), value);
}

/** A StringMatcher in words. */
export function stringText(matcher: Json): string {
  const regex = either(matcher, 'safeRegex');
  if (matcher.exact !== undefined) return `"${text(matcher.exact)}"`;
  if (matcher.prefix !== undefined) return `"${text(matcher.prefix)}*"`;
  if (matcher.suffix !== undefined) return `"*${text(matcher.suffix)}"`;
  if (matcher.contains !== undefined) return `"*${text(matcher.contains)}*"`;
  return regex === undefined ? 'something' : `/${text(object(regex).regex)}/`;
}
