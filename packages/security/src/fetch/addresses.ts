import { BlockList, isIP } from 'node:net';

/** A list of address ranges that cannot be read; the message says which part and what is expected. */
export class AddressRangeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AddressRangeError';
  }
}

/**
 * Addresses that lead to the program's own pod or node, or to what clouds serve there (credentials of the node among it). Who may write a policy or a
 * WasmPlugin must not get the mesh's programs to ask there.
 */
const local = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
  // Metadata services outside of the link: Alibaba Cloud, Oracle Cloud, Azure's host, AWS by IPv6, Google Cloud by IPv6.
  '100.100.100.200/32',
  '192.0.0.192/32',
  '168.63.129.16/32',
  'fd00:ec2::/32',
  'fd20:ce::/32',
];

function rangesOf(text: string): BlockList {
  const ranges = new BlockList();
  for (const one of text.split(',').map((part) => part.trim())) {
    if (one === '') continue;
    const [address = '', bits] = one.split('/');
    const family = isIP(address);
    const length = bits === undefined ? (family === 4 ? 32 : 128) : Number(bits);
    if (family === 0 || !/^\d{1,3}$/.test(bits ?? '0') || length > (family === 4 ? 32 : 128))
      throw new AddressRangeError(`'${one}' is not a range of addresses such as 10.0.0.0/8`);
    ranges.addSubnet(address, length, family === 4 ? 'ipv4' : 'ipv6');
  }
  return ranges;
}

/** The eight groups of an address of IPv6. */
function groupsOf(address: string): readonly number[] {
  const dotted = address.replace(/\d+\.\d+\.\d+\.\d+$/, (text) => {
    const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = dotted.split('::');
  const numbers = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((part) => Number.parseInt(part, 16));
  const first = numbers(head);
  if (tail === undefined) return first;
  const last = numbers(tail);
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last];
}

const dotted = (high: number, low: number): string => [high >> 8, high & 255, low >> 8, low & 255].join('.');

/**
 * The addresses of IPv4 to which an address of IPv6 leads where it is one of translation or a tunnel: mapped and compatible (RFC 4291, 2.5.5), NAT64
 * (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380) and ISATAP (RFC 5214).
 */
function embedded(address: string): readonly string[] {
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = groupsOf(address);
  const last = dotted(g, h);
  const leading = a | b | c | d | e;
  if (leading === 0 && (f === 0xffff || (f === 0 && (g !== 0 || h > 1)))) return [last];
  if ((a | b | c | d) === 0 && e === 0xffff && f === 0) return [last];
  if (a === 0x64 && b === 0xff9b) {
    if ((c | d | e | f) === 0) return [last];
    // The prefix of operators may have any length of RFC 6052: with those of 48, 56, 64 and 96 bits the address is in these places.
    if (c === 1)
      return [
        dotted(d, ((e & 0xff) << 8) | (f >> 8)),
        dotted(((d & 0xff) << 8) | (e & 0xff), f),
        dotted(((e & 0xff) << 8) | (f >> 8), ((f & 0xff) << 8) | (g >> 8)),
        last,
      ];
  }
  if (a === 0x2002) return [dotted(b, c)];
  if (a === 0x2001 && b === 0) return [dotted(c, d), dotted(g ^ 0xffff, h ^ 0xffff)];
  if ((e & 0xfdff) === 0 && f === 0x5efe) return [last];
  return [];
}

/**
 * Tells addresses that nothing is fetched from: those of the node and its link and those in `blocked`, without those in `allowed`, both lists with commas
 * between. An address of IPv6 that leads to one of IPv4 is refused with it. What is no address is not refused. Raises {@link AddressRangeError}.
 */
export function forbiddenAddresses(blocked: string, allowed: string): (address: string) => boolean {
  const refused = rangesOf([...local, blocked].join(','));
  const admitted = rangesOf(allowed);
  const forbids = (address: string, kind: 'ipv4' | 'ipv6'): boolean =>
    refused.check(address, kind) && !admitted.check(address, kind);
  return (address) => {
    const plain = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
    const family = isIP(plain);
    if (family === 4) return forbids(plain, 'ipv4');
    return (
      family === 6 &&
      (forbids(plain, 'ipv6') ||
        (!admitted.check(plain, 'ipv6') && embedded(plain).some((inner) => forbids(inner, 'ipv4'))))
    );
  };
}
