import { isIPv4, isIPv6 } from 'node:net';
import {
  bitString,
  boolean,
  children,
  contextTag,
  expectTag,
  octetString,
  oid,
  readOid,
  sequence,
  smallInteger,
  Tag,
  tlv,
} from './der.ts';
import type { DerValue } from './der.ts';
import { Oid } from './oids.ts';

/** A subject alternative name. IP addresses are in text form. */
export type AltName =
  | { readonly kind: 'uri'; readonly value: string }
  | { readonly kind: 'dns'; readonly value: string }
  | { readonly kind: 'ip'; readonly value: string };

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  readonly value: Buffer;
}

export function encodeExtension(id: string, critical: boolean, value: Uint8Array): Buffer {
  return critical ? sequence(oid(id), boolean(true), octetString(value)) : sequence(oid(id), octetString(value));
}

export function decodeExtensions(list: DerValue): readonly Extension[] {
  return children(expectTag(list, Tag.sequence, 'extensions')).map((entry) => {
    const parts = children(expectTag(entry, Tag.sequence, 'extension'));
    const flag = parts[1]?.tag === Tag.boolean ? parts[1] : undefined;
    const value = expectTag(parts[flag ? 2 : 1], Tag.octetString, 'extension value');
    return { oid: readOid(parts[0], 'extension id'), critical: flag?.content[0] === 0xff, value: value.content };
  });
}

export function subjectAltName(names: readonly AltName[], critical: boolean): Buffer {
  return encodeExtension(Oid.subjectAltName, critical, sequence(...names.map(encodeAltName)));
}

function encodeAltName(name: AltName): Buffer {
  switch (name.kind) {
    case 'uri':
      return tlv(contextTag(6, false), Buffer.from(name.value, 'latin1'));
    case 'dns':
      return tlv(contextTag(2, false), Buffer.from(name.value, 'latin1'));
    case 'ip':
      return tlv(contextTag(7, false), encodeIp(name.value));
  }
}

/** URI, DNS and IP names of a subjectAltName extension; other kinds are passed over. */
export function decodeAltNames(extension: Buffer): readonly AltName[] {
  const list = expectTag(readOne(extension), Tag.sequence, 'alternative names');
  return children(list).flatMap((name): AltName[] => {
    switch (name.tag) {
      case contextTag(6, false):
        return [{ kind: 'uri', value: name.content.toString('latin1') }];
      case contextTag(2, false):
        return [{ kind: 'dns', value: name.content.toString('latin1') }];
      case contextTag(7, false): {
        const value = decodeIp(name.content);
        return value === undefined ? [] : [{ kind: 'ip', value }];
      }
      default:
        return [];
    }
  });
}

function readOne(bytes: Buffer): DerValue | undefined {
  // The extension's octet string holds exactly one value; what follows it would be unreachable and is ignored by X.509 readers.
  return children({ tag: Tag.sequence, content: bytes, raw: bytes, offset: 0 })[0];
}

export function basicConstraints(isCa: boolean): Buffer {
  return encodeExtension(Oid.basicConstraints, true, isCa ? sequence(boolean(true)) : sequence());
}

export function decodeIsCa(extension: Buffer): boolean {
  const first = children(expectTag(readOne(extension), Tag.sequence, 'basic constraints'))[0];
  return first?.tag === Tag.boolean && first.content[0] === 0xff;
}

/** Key usage bits (RFC 5280, 4.2.1.3): a workload signs and enciphers keys, a CA signs certificates and revocation lists. */
export function keyUsage(kind: 'leaf' | 'ca'): Buffer {
  const value = kind === 'leaf' ? bitString(Uint8Array.of(0xa0), 5) : bitString(Uint8Array.of(0x06), 1);
  return encodeExtension(Oid.keyUsage, true, value);
}

export function extKeyUsage(): Buffer {
  return encodeExtension(Oid.extKeyUsage, false, sequence(oid(Oid.serverAuth), oid(Oid.clientAuth)));
}

export function subjectKeyIdentifier(id: Uint8Array): Buffer {
  return encodeExtension(Oid.subjectKeyIdentifier, false, octetString(id));
}

export function authorityKeyIdentifier(id: Uint8Array): Buffer {
  return encodeExtension(Oid.authorityKeyIdentifier, false, sequence(tlv(contextTag(0, false), id)));
}

/** Key identifier inside a subjectKeyIdentifier extension. */
export function decodeKeyIdentifier(extension: Buffer): Buffer {
  return expectTag(readOne(extension), Tag.octetString, 'key identifier').content;
}

export const VERSION_3 = tlv(contextTag(0, true), smallInteger(2));

function encodeIp(text: string): Buffer {
  if (isIPv4(text)) return Buffer.from(text.split('.').map(Number));
  if (!isIPv6(text)) throw new RangeError(`"${text}" is no IP address`);
  const [head = '', tail] = text.split('::');
  const groups = (part: string): number[] =>
    part === ''
      ? []
      : part.split(':').flatMap((group) => {
          if (!group.includes('.')) return [Number.parseInt(group, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const front = groups(head);
  const back = tail === undefined ? [] : groups(tail);
  const all = [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function decodeIp(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return bytes.join('.');
  if (bytes.length !== 16) return undefined;
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) groups.push(bytes.readUInt16BE(at).toString(16));
  // The URL parser knows the shortest form (RFC 5952).
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
