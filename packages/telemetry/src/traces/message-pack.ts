import { SpanError } from './span.ts';

const MAX_DEPTH = 32;

/** Reads one value of MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md); integers are bigints. Raises SpanError. */
export function readMessagePack(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const take = (size: number): number => {
    if (size > bytes.byteLength - at) throw new SpanError('the body ends within a value of MessagePack');
    at += size;
    return at - size;
  };
  const uint = (size: 1 | 2 | 4): number => {
    const from = take(size);
    return size === 1 ? view.getUint8(from) : size === 2 ? view.getUint16(from) : view.getUint32(from);
  };
  const text = (length: number): string => {
    const from = take(length);
    return Buffer.from(bytes.buffer, bytes.byteOffset + from, length).toString('utf8');
  };
  const list = (length: number, depth: number): unknown[] => {
    const items: unknown[] = [];
    for (let i = 0; i < length; i++) items.push(value(depth + 1));
    return items;
  };
  const map = (length: number, depth: number): Record<string, unknown> => {
    const entries: [string, unknown][] = [];
    for (let i = 0; i < length; i++) entries.push([String(value(depth + 1)), value(depth + 1)]);
    return Object.fromEntries(entries);
  };
  const value = (depth: number): unknown => {
    if (depth > MAX_DEPTH) throw new SpanError('MessagePack is nested too deeply');
    const tag = uint(1);
    if (tag <= 0x7f) return BigInt(tag);
    if (tag <= 0x8f) return map(tag & 0x0f, depth);
    if (tag <= 0x9f) return list(tag & 0x0f, depth);
    if (tag <= 0xbf) return text(tag & 0x1f);
    if (tag >= 0xe0) return BigInt(tag - 256);
    switch (tag) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
      case 0xc5:
      case 0xc6: {
        const length = uint(tag === 0xc4 ? 1 : tag === 0xc5 ? 2 : 4);
        const from = take(length);
        return bytes.subarray(from, from + length);
      }
      case 0xca:
        return view.getFloat32(take(4));
      case 0xcb:
        return view.getFloat64(take(8));
      case 0xcc:
      case 0xcd:
      case 0xce:
        return BigInt(uint(tag === 0xcc ? 1 : tag === 0xcd ? 2 : 4));
      case 0xcf:
        return view.getBigUint64(take(8));
      case 0xd0:
        return BigInt(view.getInt8(take(1)));
      case 0xd1:
        return BigInt(view.getInt16(take(2)));
      case 0xd2:
        return BigInt(view.getInt32(take(4)));
      case 0xd3:
        return view.getBigInt64(take(8));
      case 0xd9:
      case 0xda:
      case 0xdb:
        return text(uint(tag === 0xd9 ? 1 : tag === 0xda ? 2 : 4));
      case 0xdc:
      case 0xdd:
        return list(uint(tag === 0xdc ? 2 : 4), depth);
      case 0xde:
      case 0xdf:
        return map(uint(tag === 0xde ? 2 : 4), depth);
      default:
        throw new SpanError(`MessagePack of the type 0x${tag.toString(16)} is not expected in spans`);
    }
  };
  return value(0);
}
