import { either, type Json, number, object, text } from '@istio-ts/envoy-dump/json';
import { type Maybe, not } from './maybe.ts';
import type { SeenRequest } from './request.ts';
import { regexMatches, stringMatches, stringText } from './string-match.ts';

/** Envoy's HeaderMatcher (config.route.v3.HeaderMatcher). */
export function headerMatches(matcher: Json, request: SeenRequest): Maybe {
  const inverted = either(matcher, 'invertMatch') === true;
  const found = request.headers.get(text(matcher.name).toLowerCase());
  const missingIsEmpty = either(matcher, 'treatMissingHeaderAsEmpty') === true;
  const present = either(matcher, 'presentMatch');
  if (present !== undefined) return ((found !== undefined) === (present === true)) !== inverted;
  const value = found ?? (missingIsEmpty ? '' : undefined);
  // Envoy: a header that is not there matches nothing, except what only asks for it not to be so.
  if (value === undefined) return inverted;
  const result = valueMatches(matcher, value);
  return inverted ? not(result) : result;
}

function valueMatches(matcher: Json, value: string): Maybe {
  const string = either(matcher, 'stringMatch');
  if (string !== undefined) return stringMatches(object(string), value);
  const exact = either(matcher, 'exactMatch');
  if (exact !== undefined) return value === text(exact);
  const prefix = either(matcher, 'prefixMatch');
  if (prefix !== undefined) return value.startsWith(text(prefix));
  const regex = either(matcher, 'safeRegexMatch');
  if (regex !== undefined) return regexMatches(text(object(regex).regex), value);
  const range = either(matcher, 'rangeMatch');
  if (range !== undefined) {
    const { start, end } = object(range);
    const is = number(value);
    return is !== undefined && is >= (number(start) ?? 0) && is < (number(end) ?? 0);
  }
  return true;
}

/** A HeaderMatcher in words. */
export function headerText(matcher: Json): string {
  const name = text(matcher.name);
  const no = either(matcher, 'invertMatch') === true ? 'not ' : '';
  const string = either(matcher, 'stringMatch');
  return string === undefined ? `header ${name} ${no}as wanted` : `header ${name} ${no}${stringText(object(string))}`;
}
