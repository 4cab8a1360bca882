import { FunctionError } from './errors.ts';
import { print } from './print.ts';
import { GoObject, type GoValue, isList, isMap, isTrue, kindOf, numberOf, toFloat } from './value.ts';
import { parseGoInt } from './yaml-read.ts';

/** Sprig's `strval`: text as it is, anything else as `%v` prints it. */
export function toText(value: GoValue): string {
  return print(value);
}

/** Sprig's conversion to int64: text by strconv with base 0, fractions cut off, everything else 0. */
export function toInt(value: GoValue): number {
  const number = numberOf(value);
  if (number !== undefined) return Number.isFinite(number) ? Math.trunc(number) : 0;
  if (value === true) return 1;
  if (typeof value === 'string') {
    // spf13/cast cuts a fraction of zeros before it parses.
    const text = value.replace(/\.0*$/, '');
    return parseGoInt(text) ?? 0;
  }
  return 0;
}

export function toFloat64(value: GoValue): number {
  const number = numberOf(value);
  if (number !== undefined) return number;
  if (value === true) return 1;
  if (typeof value === 'string' && value.trim() !== '' && value.trim() === value) {
    const parsed = Number(value);
    return Number.isNaN(parsed) ? 0 : parsed;
  }
  return 0;
}

export function listOf(name: string, value: GoValue): readonly GoValue[] {
  if (isList(value)) return value;
  throw new FunctionError(`Cannot find ${name} on type ${kindOf(value) === 'nil' ? 'invalid' : kindOf(value)}`);
}

/** Sprig's `strslice`: the elements of a list as text without nils; any other value as a list of one. */
export function toTexts(value: GoValue): readonly string[] {
  if (value === null || value === undefined) return [];
  if (isList(value)) return value.filter((item) => item !== null && item !== undefined).map(toText);
  return [toText(value)];
}

export function isEmpty(value: GoValue): boolean {
  return !isTrue(value);
}

/** JSON as Go's encoding/json writes it: sorted keys, `<`, `>` and `&` escaped unless `raw`. */
export function writeJson(value: GoValue, options: { readonly raw?: boolean; readonly indent?: string } = {}): string {
  const text = JSON.stringify(sorted(value), null, options.indent) ?? 'null';
  const breaks = text.replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  if (options.raw === true) return breaks;
  return breaks.replaceAll('<', '\\u003c').replaceAll('>', '\\u003e').replaceAll('&', '\\u0026');
}

function sorted(value: GoValue): unknown {
  if (kindOf(value) === 'float' || kindOf(value) === 'int') {
    const number = numberOf(value) ?? 0;
    if (!Number.isFinite(number)) throw new FunctionError(`json: unsupported value: ${print(value)}`);
    return number;
  }
  if (isList(value)) return value.map(sorted);
  if (value instanceof GoObject) return sorted(value.toJSON());
  if (isMap(value)) {
    return Object.fromEntries(
      Object.keys(value)
        .sort()
        .map((key) => [key, sorted(value[key])]),
    );
  }
  return value ?? null;
}

/** Turns whole numbers of decoded data into float64, the only number type that Go's JSON decoding gives. */
export function asDecoded(value: unknown): GoValue {
  if (typeof value === 'number') return toFloat(value);
  if (isList(value)) return value.map(asDecoded);
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, asDecoded(item)]));
  return value ?? null;
}

/** JSON's mistakes in Go's words where they are the same mistake. */
export function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    const end = /end of JSON input|Unterminated/.test(message) || message.includes(`at position ${text.length} `);
    throw new FunctionError(end ? 'unexpected end of JSON input' : message);
  }
}
