/** Flags in Go's way: `-name value`, `-name=value`, one dash or two, switches without a value; what is no flag ends them. */
export interface Flags {
  readonly values: ReadonlyMap<string, readonly string[]>;
  readonly rest: readonly string[];
}

export class FlagError extends Error {}

const isTrue = (text: string) => /^(1|t|true)$/i.test(text);

/** Reads flags; `known` says of each whether it takes a value. Raises FlagError for any other. */
export function readFlags(words: readonly string[], known: Readonly<Record<string, 'value' | 'switch'>>): Flags {
  const values = new Map<string, string[]>();
  let index = 0;
  for (; index < words.length; index++) {
    const word = words[index] ?? '';
    if (word === '--') {
      index++;
      break;
    }
    const [, name, given] = /^--?([^-=][^=]*)(?:=(.*))?$/s.exec(word) ?? [];
    if (name === undefined) break;
    const kind = known[name];
    if (kind === undefined) {
      throw new FlagError(
        `this fortio has no flag -${name}; it has ${Object.keys(known)
          .map((flag) => `-${flag}`)
          .join(' ')}`,
      );
    }
    const value = given ?? (kind === 'switch' ? 'true' : words[++index]);
    if (value === undefined) throw new FlagError(`the flag -${name} needs a value`);
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  return { values, rest: words.slice(index) };
}

export const last = (flags: Flags, name: string): string | undefined => flags.values.get(name)?.at(-1);

export const on = (flags: Flags, name: string): boolean => isTrue(last(flags, name) ?? 'false');

export function number(flags: Flags, name: string, usual: number): number {
  const text = last(flags, name);
  if (text === undefined) return usual;
  const value = Number(text);
  if (text === '' || !Number.isFinite(value)) throw new FlagError(`-${name} is to be a number, not "${text}"`);
  return value;
}

const units: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of a length of time like `500ms`, `3s` or `1m30s`. */
export function milliseconds(flags: Flags, name: string, usual: number): number {
  const text = last(flags, name);
  if (text === undefined) return usual;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new FlagError(`-${name} is to be a duration, not "${text}"`);
  return [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (units[unit ?? ''] ?? 0),
    0,
  );
}

/** Headers of `-H "name: value"`, in the order they were given. */
export function headers(flags: Flags): Readonly<Record<string, string>> {
  return Object.fromEntries(
    (flags.values.get('H') ?? []).map((line) => {
      const colon = line.indexOf(':');
      if (colon < 1) throw new FlagError(`-H is to be "name: value", not "${line}"`);
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
    }),
  );
}
