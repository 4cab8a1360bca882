import { isIPv4, isIPv6 } from 'node:net';
import type { Environment } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import { Quantity } from './quantity.ts';

const patterns = new Map<string, RE2JS>();

function compiled(pattern: string): RE2JS {
  let found = patterns.get(pattern);
  if (found === undefined) {
    if (patterns.size > 1000) patterns.clear();
    found = RE2JS.compile(pattern);
    patterns.set(pattern, found);
  }
  return found;
}

/** A parsed URL, for `url()`. */
class Url {
  readonly url: URL;
  constructor(text: string) {
    const relative = text.startsWith('/');
    this.url = new URL(text, relative ? 'relative://x' : undefined);
    this.relative = relative;
  }
  readonly relative: boolean;
}

function isUrl(text: string): boolean {
  if (text.startsWith('/')) return true;
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/\s]*/.test(text) && URL.canParse(text);
}

class Ip {
  readonly text: string;
  constructor(text: string) {
    if (!isIPv4(text) && !isIPv6(text))
      throw new Error(`IP Address ${JSON.stringify(text)} parse error during conversion from string`);
    this.text = text;
  }
}

class Cidr {
  readonly text: string;
  constructor(text: string) {
    if (!isCidr(text))
      throw new Error(`network address parse error during conversion from string: ${JSON.stringify(text)}`);
    this.text = text;
  }
  get bits(): number {
    return Number(this.text.split('/')[1]);
  }
  get address(): string {
    return this.text.split('/')[0] ?? '';
  }
  contains(address: string): boolean {
    if (isIPv4(address) !== isIPv4(this.address)) return false;
    const width = isIPv4(address) ? 32 : 128;
    const shift = BigInt(width - this.bits);
    return ipNumber(address) >> shift === ipNumber(this.address) >> shift;
  }
}

function isCidr(text: string): boolean {
  const [address = '', bits = '', ...rest] = text.split('/');
  if (rest.length > 0 || !/^\d{1,3}$/.test(bits)) return false;
  return (isIPv4(address) && Number(bits) <= 32) || (isIPv6(address) && Number(bits) <= 128);
}

function ipNumber(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const groups =
    tail === undefined
      ? left
      : [...left, ...new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0'), ...right];
  return groups.reduce((sum, group) => sum * 65_536n + BigInt(Number.parseInt(group, 16) || 0), 0n);
}

type Comparable = bigint | number | string | boolean;

function ordered(list: readonly unknown[]): boolean {
  return list.every((item, index) => index === 0 || (list[index - 1] as Comparable) <= (item as Comparable));
}

function extreme(list: readonly unknown[], sign: 1 | -1): unknown {
  if (list.length === 0) throw new Error('min/max of an empty list');
  return list.reduce((best, item) =>
    (item as Comparable) < (best as Comparable) === sign < 0 && item !== best ? item : best,
  );
}

function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) {
    return (
      (typeof a === 'bigint' || typeof a === 'number') &&
      (typeof b === 'bigint' || typeof b === 'number') &&
      Number(a) === Number(b)
    );
  }
  const replacer = (_key: string, value: unknown) => (typeof value === 'bigint' ? `int:${value}` : value);
  return JSON.stringify(a, replacer) === JSON.stringify(b, replacer);
}

function text(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(text).join(', ')}]`;
  if (typeof value === 'object' && value !== null && !(value instanceof Date)) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${key}: ${text(item)}`)
      .join(', ')}}`;
  }
  return value instanceof Date ? value.toISOString() : String(value);
}

/** `"%s is %d".format([...])` (CEL strings extension). */
function format(pattern: string, values: readonly unknown[]): string {
  let next = 0;
  return pattern.replaceAll(
    /%(?:\.(\d{1,2}))?([%sdfexXob])/g,
    (_whole, precision: string | undefined, verb: string) => {
      if (verb === '%') return '%';
      if (next >= values.length) throw new Error('index out of range in format');
      const value = values[next++];
      switch (verb) {
        case 'd':
          return String(value);
        case 'f':
          return Number(value).toFixed(precision === undefined ? 6 : Number(precision));
        case 'e':
          return Number(value).toExponential(precision === undefined ? 6 : Number(precision));
        case 'x':
          return typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(value as bigint).toString(16);
        case 'X':
          return (
            typeof value === 'string' ? Buffer.from(value).toString('hex') : BigInt(value as bigint).toString(16)
          ).toUpperCase();
        case 'o':
          return BigInt(value as bigint).toString(8);
        case 'b':
          return typeof value === 'boolean' ? String(value) : BigInt(value as bigint).toString(2);
        default:
          return text(value);
      }
    },
  );
}

function sum(list: readonly unknown[]): unknown {
  if (list.length === 0) return 0n;
  if (list.every((item) => typeof item === 'bigint'))
    return (list as bigint[]).reduce((total, item) => total + item, 0n);
  return list.reduce<number>((total, item) => total + Number(item), 0);
}

const LONGEST = 1_000_000;

function replaced(value: string, from: string, to: string, limit = -1n): string {
  const parts = from === '' ? [...value] : value.split(from);
  if (from !== '' && limit >= 0n) {
    const count = Number(limit);
    if (parts.length - 1 > count) parts.splice(count, parts.length - count, parts.slice(count).join(from));
  }
  if (value.length + parts.length * to.length > LONGEST) throw new Error('the result of replace() is too long');
  return from === '' ? value : parts.join(to);
}

/** Functions that Kubernetes adds to CEL (its documentation, "Common Expression Language in Kubernetes"), beside those of the library. */
const FUNCTIONS: readonly (readonly [signature: string, handler: (...values: never[]) => unknown])[] = [
  // Regular expressions run in RE2; `matches` of the library is renamed to this one before parsing.
  ['string.matchesRe2(string): bool', (value: string, pattern: string) => compiled(pattern).matcher(value).find()],
  ['matchesRe2(string, string): bool', (value: string, pattern: string) => compiled(pattern).matcher(value).find()],
  [
    'string.find(string): string',
    (value: string, pattern: string) => {
      const matcher = compiled(pattern).matcher(value);
      return matcher.find() ? (matcher.group() ?? '') : '';
    },
  ],
  ['string.findAll(string): list<string>', (value: string, pattern: string) => all(value, pattern, LONGEST)],
  [
    'string.findAll(string, int): list<string>',
    (value: string, pattern: string, limit: bigint) => all(value, pattern, limit < 0n ? LONGEST : Number(limit)),
  ],
  ['string.replace(string, string): string', (value: string, from: string, to: string) => replaced(value, from, to)],
  [
    'string.replace(string, string, int): string',
    (value: string, from: string, to: string, limit: bigint) => replaced(value, from, to, limit),
  ],
  ['string.charAt(int): string', (value: string, index: bigint) => [...value][Number(index)] ?? ''],
  ['string.reverse(): string', (value: string) => [...value].reverse().join('')],
  ['string.format(list<dyn>): string', (value: string, values: unknown[]) => format(value, values)],
  ['kubernetes.Strings.quote(string): string', (_: unknown, value: string) => JSON.stringify(value)],
  ['list.isSorted(): bool', (list: unknown[]) => ordered(list)],
  ['list.sum(): dyn', (list: unknown[]) => sum(list)],
  ['list.min(): dyn', (list: unknown[]) => extreme(list, -1)],
  ['list.max(): dyn', (list: unknown[]) => extreme(list, 1)],
  ['list.indexOf(dyn): int', (list: unknown[], value: unknown) => BigInt(list.findIndex((item) => same(item, value)))],
  [
    'list.lastIndexOf(dyn): int',
    (list: unknown[], value: unknown) => BigInt(list.findLastIndex((item) => same(item, value))),
  ],
  ['list.slice(int, int): list', (list: unknown[], from: bigint, to: bigint) => list.slice(Number(from), Number(to))],
  ['list.flatten(): list', (list: unknown[]) => list.flat()],
  [
    'list.distinct(): list',
    (list: unknown[]) => list.filter((item, index) => list.findIndex((other) => same(other, item)) === index),
  ],
  ['list.reverse(): list', (list: unknown[]) => [...list].reverse()],
  [
    'list.sort(): list',
    (list: unknown[]) => [...list].sort((a, b) => ((a as Comparable) < (b as Comparable) ? -1 : 1)),
  ],
  [
    'kubernetes.Sets.contains(list, list): bool',
    (_: unknown, list: unknown[], part: unknown[]) => part.every((item) => list.some((other) => same(item, other))),
  ],
  [
    'kubernetes.Sets.intersects(list, list): bool',
    (_: unknown, list: unknown[], part: unknown[]) => part.some((item) => list.some((other) => same(item, other))),
  ],
  [
    'kubernetes.Sets.equivalent(list, list): bool',
    (_: unknown, a: unknown[], b: unknown[]) =>
      a.every((item) => b.some((other) => same(item, other))) &&
      b.every((item) => a.some((other) => same(item, other))),
  ],
  ['isURL(string): bool', (value: string) => isUrl(value)],
  [
    'url(string): kubernetes.URL',
    (value: string) => {
      if (!isUrl(value)) throw new Error(`URL parse error during conversion from string: ${JSON.stringify(value)}`);
      return new Url(value);
    },
  ],
  ['kubernetes.URL.getScheme(): string', (value: Url) => (value.relative ? '' : value.url.protocol.slice(0, -1))],
  ['kubernetes.URL.getHost(): string', (value: Url) => (value.relative ? '' : value.url.host)],
  [
    'kubernetes.URL.getHostname(): string',
    (value: Url) => (value.relative ? '' : value.url.hostname.replace(/^\[(.*)\]$/, '$1')),
  ],
  ['kubernetes.URL.getPort(): string', (value: Url) => value.url.port],
  ['kubernetes.URL.getEscapedPath(): string', (value: Url) => value.url.pathname],
  [
    'kubernetes.URL.getQuery(): map',
    (value: Url) => {
      const result: Record<string, string[]> = {};
      for (const key of new Set(value.url.searchParams.keys())) result[key] = value.url.searchParams.getAll(key);
      return result;
    },
  ],
  ['isIP(string): bool', (value: string) => isIPv4(value) || isIPv6(value)],
  ['ip(string): net.IP', (value: string) => new Ip(value)],
  ['net.IP.family(): int', (value: Ip) => (isIPv4(value.text) ? 4n : 6n)],
  ['net.IP.isLoopback(): bool', (value: Ip) => value.text.startsWith('127.') || value.text === '::1'],
  ['net.IP.isUnspecified(): bool', (value: Ip) => value.text === '0.0.0.0' || value.text === '::'],
  [
    'net.IP.isLinkLocalUnicast(): bool',
    (value: Ip) => value.text.startsWith('169.254.') || /^fe[89ab]/i.test(value.text),
  ],
  ['isCIDR(string): bool', (value: string) => isCidr(value)],
  ['cidr(string): net.CIDR', (value: string) => new Cidr(value)],
  ['net.CIDR.prefixLength(): int', (value: Cidr) => BigInt(value.bits)],
  ['net.CIDR.ip(): net.IP', (value: Cidr) => new Ip(value.address)],
  ['net.CIDR.containsIP(string): bool', (value: Cidr, address: string) => value.contains(address)],
  ['net.CIDR.containsIP(net.IP): bool', (value: Cidr, address: Ip) => value.contains(address.text)],
  ['isQuantity(string): bool', (value: string) => attempt(() => Quantity.parse(value)) !== undefined],
  ['quantity(string): kubernetes.Quantity', (value: string) => Quantity.parse(value)],
  ['kubernetes.Quantity.isGreaterThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.compare(b) > 0],
  ['kubernetes.Quantity.isLessThan(kubernetes.Quantity): bool', (a: Quantity, b: Quantity) => a.compare(b) < 0],
  ['kubernetes.Quantity.compareTo(kubernetes.Quantity): int', (a: Quantity, b: Quantity) => BigInt(a.compare(b))],
  ['kubernetes.Quantity.add(kubernetes.Quantity): kubernetes.Quantity', (a: Quantity, b: Quantity) => a.add(b)],
  ['kubernetes.Quantity.add(int): kubernetes.Quantity', (a: Quantity, b: bigint) => a.add(new Quantity(b, 0))],
  ['kubernetes.Quantity.sub(kubernetes.Quantity): kubernetes.Quantity', (a: Quantity, b: Quantity) => a.add(b, -1n)],
  ['kubernetes.Quantity.sub(int): kubernetes.Quantity', (a: Quantity, b: bigint) => a.add(new Quantity(b, 0), -1n)],
  ['kubernetes.Quantity.sign(): int', (a: Quantity) => a.sign],
  ['kubernetes.Quantity.isInteger(): bool', (a: Quantity) => a.isInteger],
  ['kubernetes.Quantity.asInteger(): int', (a: Quantity) => a.integer],
  ['kubernetes.Quantity.asApproximateFloat(): double', (a: Quantity) => a.float],
];

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    // Not a quantity, which is what is asked.
    return undefined;
  }
}

function all(value: string, pattern: string, limit: number): string[] {
  const matcher = compiled(pattern).matcher(value);
  const found: string[] = [];
  while (found.length < limit && matcher.find()) found.push(matcher.group() ?? '');
  return found;
}

class Sets {}
class Strings {}
class Maths {}

/** The library has no functions in namespaces, so `sets.contains(a, b)` is a method of a constant. */
const SPACES = {
  sets: { type: 'kubernetes.Sets', value: new Sets() },
  strings: { type: 'kubernetes.Strings', value: new Strings() },
  math: { type: 'kubernetes.Math', value: new Maths() },
} as const;

/** Registers everything in an environment. */
export function registerKubernetesLibrary(environment: Environment): void {
  environment.registerType('kubernetes.URL', Url);
  environment.registerType('kubernetes.Quantity', Quantity);
  environment.registerType('kubernetes.Sets', Sets);
  environment.registerType('kubernetes.Strings', Strings);
  environment.registerType('kubernetes.Math', Maths);
  environment.registerType('net.IP', Ip);
  environment.registerType('net.CIDR', Cidr);
  for (const [signature, handler] of FUNCTIONS)
    environment.registerFunction(signature, handler as (...values: unknown[]) => unknown);
  for (const [name, space] of Object.entries(SPACES)) environment.registerConstant(name, space.type, space.value);
  for (const name of ['least', 'greatest']) {
    const least = name === 'least';
    environment.registerFunction(`kubernetes.Math.${name}(dyn, dyn): dyn`, (_: unknown, a: unknown, b: unknown) =>
      (a as Comparable) < (b as Comparable) === least ? a : b,
    );
    environment.registerFunction(`kubernetes.Math.${name}(list): dyn`, (_: unknown, list: unknown[]) =>
      extreme(list, least ? -1 : 1),
    );
  }
}
