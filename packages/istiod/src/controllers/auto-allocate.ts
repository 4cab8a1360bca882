import { createHash } from 'node:crypto';
import { BlockList, isIPv4 } from 'node:net';
import type { ServiceEntrySpec } from '@istio-ts/api';
import { byAge, type Config, wantsAutoAddresses } from '@istio-ts/mesh';

/** Ranges from which addresses are taken, `address/bits`; neither is routed anywhere. */
export interface AddressRanges {
  readonly ipv4: string;
  readonly ipv6: string;
}

export interface StatusAddress {
  readonly host: string;
  readonly value: string;
}

export type Entry = Config<ServiceEntrySpec>;

/**
 * The addresses that every ServiceEntry should have in its status, by `namespace/name`, where that is not what it has. Addresses that are there
 * stay; where two entries have the same one, the older keeps it. New ones follow from the host's name, so that replicas of istiod decide alike.
 * Raises RangeError for ranges that are none.
 */
export function wantedAddresses(
  entries: ReadonlyMap<string, Entry>,
  ranges: AddressRanges,
): ReadonlyMap<string, readonly StatusAddress[]> {
  const pools = [new Pool(ranges.ipv4, 32), new Pool(ranges.ipv6, 128)];
  const wanted = new Map<string, readonly StatusAddress[]>();
  const missing: { readonly key: string; readonly entry: Entry }[] = [];
  const kept = new Map<string, StatusAddress[]>();
  for (const entry of entries.values())
    for (const address of entry.spec.addresses ?? []) for (const pool of pools) pool.take(address);
  for (const [key, entry] of [...entries].sort(([, a], [, b]) => byAge(a, b))) {
    const present = entry.status?.addresses ?? [];
    if (!wantsAutoAddresses(entry)) {
      if (present.length > 0) wanted.set(key, []);
      continue;
    }
    const mine = present.filter(
      ({ host, value }) => entry.spec.hosts.includes(host) && pools.some((pool) => pool.take(value)),
    );
    kept.set(key, mine);
    missing.push({ key, entry });
  }
  for (const { key, entry } of missing) {
    const mine = kept.get(key) ?? [];
    const next = entry.spec.hosts.flatMap((host) =>
      pools.flatMap((pool) => {
        const known = mine.find((address) => address.host === host && pool.holds(address.value));
        const value = known?.value ?? pool.allocate(`${key}/${host}`);
        return value === undefined ? [] : [{ host, value }];
      }),
    );
    const present = entry.status?.addresses ?? [];
    const isSame =
      present.length === next.length &&
      next.every(({ host, value }) => present.some((address) => address.host === host && address.value === value));
    if (!isSame) wanted.set(key, next);
  }
  return wanted;
}

/** The addresses of one range. */
class Pool {
  readonly #base: bigint;
  readonly #size: bigint;
  readonly #v4: boolean;
  readonly #taken = new Set<bigint>();
  readonly #range = new BlockList();

  constructor(range: string, width: number) {
    const [address = '', bits = ''] = range.split('/');
    const length = Number(bits);
    if (isIPv4(address) !== (width === 32) || !/^\d+$/.test(bits) || length < 1 || length > width - 2)
      throw new RangeError(`${range} is no range of ${width === 32 ? 'IPv4' : 'IPv6'} addresses`);
    this.#v4 = width === 32;
    this.#range.addSubnet(address, length, this.#v4 ? 'ipv4' : 'ipv6');
    this.#size = 1n << BigInt(width - length);
    this.#base = (addressNumber(address) / this.#size) * this.#size;
  }

  holds(address: string): boolean {
    return (
      isIPv4(address) === this.#v4 && !address.includes('/') && this.#range.check(address, this.#v4 ? 'ipv4' : 'ipv6')
    );
  }

  /** Whether the address is of this range and was free until now. */
  take(address: string): boolean {
    if (!this.holds(address)) return false;
    const number = addressNumber(address);
    if (this.#taken.has(number)) return false;
    this.#taken.add(number);
    return true;
  }

  /** A free address that follows from the seed; undefined when all are taken. */
  allocate(seed: string): string | undefined {
    // The first and the last address of a range are no hosts.
    const usable = this.#size - 2n;
    if (BigInt(this.#taken.size) >= usable) return undefined;
    let offset = createHash('sha256').update(seed).digest().readBigUInt64BE(0) % usable;
    while (this.#taken.has(this.#base + 1n + offset)) offset = (offset + 1n) % usable;
    const number = this.#base + 1n + offset;
    this.#taken.add(number);
    return formatAddress(number, this.#v4);
  }
}

function addressNumber(address: string): bigint {
  if (isIPv4(address)) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const words = (text: string): string[] => text.split(':').filter((word) => word !== '');
  const first = words(head);
  const last = tail === undefined ? [] : words(tail);
  const all = [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last];
  return all.reduce((sum, word) => sum * 65_536n + BigInt(`0x${word}`), 0n);
}

function formatAddress(number: bigint, v4: boolean): string {
  if (v4) return [24n, 16n, 8n, 0n].map((shift) => String((number >> shift) & 255n)).join('.');
  const words = Array.from({ length: 8 }, (_, i) => ((number >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  return words.join(':').replace(/(?:^|:)0(?::0)+(?::|$)/, '::');
}
