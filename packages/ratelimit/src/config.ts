import { load } from 'js-yaml';
import { type Domains, type Level, type Limit, levelKey, type Node, type Wildcard } from './limits.ts';
import { unitOf } from './unit.ts';

/** A configuration that cannot be used; says in which file, at which field, and why. */
export class ConfigError extends Error {
  readonly file: string;
  /** Such as `descriptors[0].rate_limit.unit`; empty for the whole file. */
  readonly path: string;

  constructor(file: string, path: string, reason: string) {
    super(`${file}: ${path === '' ? '' : `${path}: `}${reason}`);
    this.name = 'ConfigError';
    this.file = file;
    this.path = path;
  }
}

export interface ConfigFile {
  readonly name: string;
  readonly text: string;
}

type Fields = Readonly<Record<string, unknown>>;

const FILE_FIELDS = ['domain', 'descriptors'];
const DESCRIPTOR_FIELDS = ['key', 'value', 'rate_limit', 'shadow_mode', 'detailed_metric', 'descriptors'];
const LIMIT_FIELDS = ['unit', 'requests_per_unit', 'unlimited', 'name', 'replaces'];
/** Deeper nesting is a mistake or an attack. */
const MAX_DEPTH = 32;

/** Reads one file's fields. */
class Reader {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  fail(path: string, reason: string): never {
    throw new ConfigError(this.#file, path, reason);
  }

  fields(value: unknown, path: string, known: readonly string[]): Fields {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) this.fail(path, 'is no object');
    for (const name of Object.keys(value))
      if (!known.includes(name))
        this.fail(path, `there is no field ${JSON.stringify(name)} here; known are ${known.join(', ')}`);
    return value as Fields;
  }

  list(value: unknown, path: string): readonly unknown[] {
    if (value === undefined || value === null) return [];
    return Array.isArray(value) ? value : this.fail(path, 'is no list');
  }

  /** Numbers and booleans count by their text, as YAML makes them of unquoted words. */
  text(value: unknown, path: string): string {
    if (value === undefined || value === null) return '';
    if (typeof value === 'string') return value;
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return this.fail(path, 'is no text');
  }

  flag(value: unknown, path: string): boolean {
    if (value === undefined || value === null) return false;
    return typeof value === 'boolean' ? value : this.fail(path, 'is neither true nor false');
  }

  limit(descriptor: Fields, path: string): Limit | undefined {
    const common = {
      shadow: this.flag(descriptor.shadow_mode, `${path}.shadow_mode`),
      detailedMetric: this.flag(descriptor.detailed_metric, `${path}.detailed_metric`),
    };
    if (descriptor.rate_limit === undefined || descriptor.rate_limit === null) return undefined;
    const at = `${path}.rate_limit`;
    const fields = this.fields(descriptor.rate_limit, at, LIMIT_FIELDS);
    const name = this.text(fields.name, `${at}.name`);
    const replaces = this.list(fields.replaces, `${at}.replaces`).map((item, index) => {
      const where = `${at}.replaces[${index}]`;
      const replaced = this.text(this.fields(item, where, ['name']).name, `${where}.name`);
      if (replaced === '') this.fail(`${where}.name`, 'is empty');
      if (replaced === name) this.fail(`${where}.name`, 'a limit cannot replace itself');
      return replaced;
    });
    const unitText = this.text(fields.unit, `${at}.unit`);
    if (this.flag(fields.unlimited, `${at}.unlimited`)) {
      if (unitText !== '') this.fail(`${at}.unit`, 'an unlimited one has no unit');
      return { name, replaces, ...common, unlimited: true };
    }
    const unit = unitOf(unitText);
    if (unit === undefined)
      this.fail(`${at}.unit`, `${JSON.stringify(unitText)} is none of second, minute, hour, day, week, month, year`);
    const requests = fields.requests_per_unit ?? 0;
    if (typeof requests !== 'number' || !Number.isInteger(requests) || requests < 0 || requests > 0xffffffff)
      this.fail(`${at}.requests_per_unit`, 'is no whole number from 0 to 4294967295');
    return { name, replaces, ...common, unlimited: false, unit, requestsPerUnit: requests };
  }

  level(value: unknown, path: string, depth: number): Level {
    if (depth > MAX_DEPTH) this.fail(path, `is nested deeper than ${MAX_DEPTH} levels`);
    const exact = new Map<string, Node>();
    const wildcards: Wildcard[] = [];
    for (const [index, item] of this.list(value, path).entries()) {
      const at = `${path}[${index}]`;
      const descriptor = this.fields(item, at, DESCRIPTOR_FIELDS);
      const key = this.text(descriptor.key, `${at}.key`);
      if (key === '') this.fail(`${at}.key`, 'is missing');
      const text = this.text(descriptor.value, `${at}.value`);
      // As in the service that the format comes from: an empty value is none.
      const given = text === '' ? undefined : text;
      const node: Node = {
        label: given === undefined ? key : `${key}_${given}`,
        anyValue: given === undefined || given.endsWith('*'),
        limit: this.limit(descriptor, at),
        next: this.level(descriptor.descriptors, `${at}.descriptors`, depth + 1),
      };
      const prefix = given?.endsWith('*') ? given.slice(0, -1) : undefined;
      const twice =
        prefix === undefined
          ? exact.has(levelKey(key, given))
          : wildcards.some((other) => other.key === key && other.prefix === prefix);
      if (twice) this.fail(at, `${node.label} is there twice`);
      if (prefix === undefined) exact.set(levelKey(key, given), node);
      else wildcards.push({ key, prefix, node });
    }
    return { exact, wildcards: wildcards.sort((a, b) => b.prefix.length - a.prefix.length) };
  }
}

function parseFile({ name, text }: ConfigFile): { readonly domain: string; readonly level: Level } {
  const reader = new Reader(name);
  let content: unknown;
  try {
    content = load(text);
  } catch (error) {
    reader.fail('', error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error));
  }
  const fields = reader.fields(content, '', FILE_FIELDS);
  const domain = reader.text(fields.domain, 'domain');
  if (domain === '') reader.fail('domain', 'is missing');
  return { domain, level: reader.level(fields.descriptors, 'descriptors', 1) };
}

/**
 * Reads all files of a configuration; with `merge` several may speak of the same domain (MERGE_DOMAIN_CONFIG), as long as no descriptor is there twice.
 * Raises {@link ConfigError}.
 */
export function parseConfig(files: readonly ConfigFile[], merge = false): Domains {
  const domains = new Map<string, Level>();
  for (const file of files) {
    const { domain, level } = parseFile(file);
    const before = domains.get(domain);
    if (before === undefined) domains.set(domain, level);
    else if (!merge) throw new ConfigError(file.name, 'domain', `${domain} is in another file already`);
    else {
      const twice = [...level.exact.keys()].find((key) => before.exact.has(key));
      const twiceWild = level.wildcards.find((one) =>
        before.wildcards.some((other) => other.key === one.key && other.prefix === one.prefix),
      );
      if (twice !== undefined || twiceWild !== undefined)
        throw new ConfigError(
          file.name,
          'descriptors',
          `${twiceWild?.node.label ?? level.exact.get(twice ?? '')?.label} is in another file of ${domain} already`,
        );
      domains.set(domain, {
        exact: new Map([...before.exact, ...level.exact]),
        wildcards: [...before.wildcards, ...level.wildcards].sort((a, b) => b.prefix.length - a.prefix.length),
      });
    }
  }
  return domains;
}

/** The limits in force, one a line: `DOMAIN.KEY_VALUE.KEY: unit=MINUTE requests_per_unit=10, shadow_mode: false`. */
export function describeConfig(domains: Domains): string {
  const lines: string[] = [];
  const walk = (path: string, level: Level): void => {
    for (const node of [...level.exact.values(), ...level.wildcards.map((each) => each.node)]) {
      const at = `${path}.${node.label}`;
      const { limit } = node;
      if (limit !== undefined)
        lines.push(
          `${at}: ${limit.unlimited ? 'unlimited' : `unit=${limit.unit} requests_per_unit=${limit.requestsPerUnit}`}, shadow_mode: ${limit.shadow}`,
        );
      walk(at, node.next);
    }
  };
  for (const [domain, level] of domains) walk(domain, level);
  return lines.map((line) => `${line}\n`).join('');
}
