/** Nanoseconds of each unit that Go's time.ParseDuration knows. */
const UNIT: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};

/** Length in nanoseconds of a duration as Kubernetes and protobuf write it (`1.5s`, `1h30m`, `500ms`, `0`), or undefined when it is none. */
export function nanoseconds(text: string): bigint | undefined {
  if (text === '0') {
    return 0n;
  }
  const sign = text.startsWith('-') ? -1n : 1n;
  const body = text.replace(/^[+-]/, '');
  const parts = [...body.matchAll(/(\d+)(?:\.(\d+))?(ns|us|µs|μs|ms|s|m|h)/gy)];
  if (parts.length === 0 || parts.map((p) => p[0]).join('') !== body) {
    return undefined;
  }
  let total = 0n;
  for (const [, whole = '0', fraction = '', unit = 's'] of parts) {
    const scale = UNIT[unit] ?? 1n;
    total += BigInt(whole) * scale;
    if (fraction !== '') {
      total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
    }
  }
  return sign * total;
}

/** A duration in ProtoJSON form (seconds with up to nine decimals and an `s`); undefined for none or for one that cannot be read. */
export function protoDuration(text: string | undefined): string | undefined {
  const ns = text === undefined || text === '' ? undefined : nanoseconds(text);
  if (ns === undefined) {
    return undefined;
  }
  const absolute = ns < 0n ? -ns : ns;
  const fraction = (absolute % 1_000_000_000n).toString().padStart(9, '0').replace(/0+$/, '');
  return `${ns < 0n ? '-' : ''}${absolute / 1_000_000_000n}${fraction === '' ? '' : `.${fraction}`}s`;
}
