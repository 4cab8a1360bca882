import type { Unit } from './unit.ts';

/** What a descriptor may be asked for. */
export type Limit = {
  /** `rate_limit.name`, by which another limit may replace this one. */
  readonly name: string;
  /** Names of limits that do not count where this one does. */
  readonly replaces: readonly string[];
  /** Decides as ever, but its decision does not count. */
  readonly shadow: boolean;
  /** Metrics for each value that a descriptor without a value matches. */
  readonly detailedMetric: boolean;
} & (
  | { readonly unlimited: true }
  | { readonly unlimited: false; readonly unit: Unit; readonly requestsPerUnit: number }
);

/** One level of a domain's descriptors. */
export interface Level {
  /** By `key` alone or `key` and value; see {@link levelKey}. */
  readonly exact: ReadonlyMap<string, Node>;
  /** Those whose value ends in an asterisk, longest prefix first. */
  readonly wildcards: readonly Wildcard[];
}

export interface Wildcard {
  readonly key: string;
  /** What stands before the asterisk. */
  readonly prefix: string;
  readonly node: Node;
}

/** What the configuration says of one descriptor entry. */
export interface Node {
  /** As metrics name it: `key`, or `key_value`. */
  readonly label: string;
  /** Whether it takes any value. */
  readonly anyValue: boolean;
  readonly limit: Limit | undefined;
  readonly next: Level;
}

/** All that the configuration says, by domain. */
export type Domains = ReadonlyMap<string, Level>;

/** The name of an entry on a level: no key and value can be taken for another pair. */
export function levelKey(key: string, value?: string): string {
  return value === undefined ? key : `${key}\0${value}`;
}

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

/** A limit that a descriptor falls under. */
export interface Match {
  readonly limit: Limit;
  /** Parts of its metrics' names, one for each level. */
  readonly labels: readonly string[];
}

/**
 * The limit of a descriptor: on each level the entry of exactly this value, else the wildcard with the longest prefix, else the one without a value; the limit
 * counts only where the descriptor ends (the rule of envoyproxy/ratelimit). Undefined where nothing limits it.
 */
export function findLimit(domain: Level, entries: readonly DescriptorEntry[]): Match | undefined {
  const labels: string[] = [];
  let level = domain;
  for (const [index, { key, value }] of entries.entries()) {
    const node =
      level.exact.get(levelKey(key, value)) ??
      level.wildcards.find((each) => each.key === key && value.startsWith(each.prefix))?.node ??
      level.exact.get(levelKey(key));
    if (node === undefined) return undefined;
    const detailed = node.limit?.detailedMetric === true && node.anyValue;
    labels.push(detailed && value !== '' ? `${key}_${value}` : node.label);
    if (index === entries.length - 1) return node.limit && { limit: node.limit, labels };
    level = node.next;
  }
  return undefined;
}
