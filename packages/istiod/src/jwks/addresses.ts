import { BlockList, isIP } from 'node:net';

/** A list of address ranges that cannot be read; the message says which part and what is expected. */
export class AddressRangeError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'AddressRangeError';
  }
}

/**
 * Addresses that lead to istiod's own pod or node, or to what clouds serve there (credentials of the node among it). Who may write a policy must not get
 * istiod to ask there.
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
  // Metadata services outside of the link: Alibaba Cloud, Oracle Cloud, AWS by IPv6, Google Cloud by IPv6.
  '100.100.100.200/32',
  '192.0.0.192/32',
  'fd00:ec2::/32',
  'fd20:ce::/32',
  // The same inside of addresses for translation (RFC 6052, RFC 3056).
  '64:ff9b::/104',
  '64:ff9b::7f00:0/104',
  '64:ff9b::a9fe:0/112',
  '2002:7f00::/24',
  '2002:a9fe::/32',
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

/**
 * Tells addresses that nothing is fetched from: those of the node and its link and those in `blocked`, without those in `allowed`, both lists with commas
 * between. Raises {@link AddressRangeError}.
 */
export function forbiddenAddresses(blocked: string, allowed: string): (address: string) => boolean {
  const refused = rangesOf([...local, blocked].join(','));
  const admitted = rangesOf(allowed);
  return (address) => {
    const plain = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
    const family = isIP(plain);
    // Addresses of IPv4 written as IPv6 are looked up as such by BlockList too.
    const kind = family === 4 ? 'ipv4' : 'ipv6';
    return family !== 0 && refused.check(plain, kind) && !admitted.check(plain, kind);
  };
}
