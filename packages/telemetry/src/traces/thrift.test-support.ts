/** Writers of Thrift's binary protocol. */
export const i32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
export const i64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
export const double = (value: number): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return bytes;
};
export const text = (value: string): Buffer => Buffer.concat([i32(Buffer.byteLength(value)), Buffer.from(value)]);
export const field = (type: number, number: number, value: Buffer): Buffer =>
  Buffer.concat([Buffer.from([type, number >> 8, number & 0xff]), value]);
export const struct = (...fields: readonly Buffer[]): Buffer => Buffer.concat([...fields, Buffer.from([0])]);
export const list = (type: number, ...items: readonly Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([type]), i32(items.length), ...items]);
