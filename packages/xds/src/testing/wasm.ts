/** A module for tests of WebAssembly plugins, assembled here: no compiler is at hand, and one filter needs few instructions. */

const length = (bytes: readonly number[]): readonly number[] => {
  const result: number[] = [];
  for (let left = bytes.length; ; left >>>= 7) {
    if (left < 128) return [...result, left];
    result.push((left & 127) | 128);
  }
};
const vector = (items: readonly (readonly number[])[]): readonly number[] => [items.length, ...items.flat()];
const sized = (bytes: readonly number[]): readonly number[] => [...length(bytes), ...bytes];
const text = (value: string): readonly number[] => sized([...Buffer.from(value)]);
const section = (id: number, content: readonly number[]): readonly number[] => [id, ...sized(content)];

const I32 = 0x7f;
const type = (parameters: number, results: number): readonly number[] => [
  0x60,
  ...vector(Array.from({ length: parameters }, () => [I32])),
  ...vector(Array.from({ length: results }, () => [I32])),
];
/** Constants below 64 take one byte. */
const constant = (value: number): readonly number[] => [0x41, value];
const body = (...instructions: readonly (readonly number[])[]): readonly number[] =>
  sized([0, ...instructions.flat(), 0x0b]);
const CALL_HOST = [0x10, 0];
const DROP = [0x1a];
/** 1 KiB into the memory, in the encoding of signed numbers. */
const HEAP = [0x41, 0x80, 0x08];

/** A proxy-wasm filter (ABI 0.2.1) that adds a header to every request. Name and value have to be short. */
export function headerModule(name: string, value: string): Buffer {
  const [at, valueAt] = [1, 40];
  const exported = (field: string, index: number): readonly number[] => [...text(field), 0, index];
  return Buffer.from([
    0x00,
    0x61,
    0x73,
    0x6d,
    0x01,
    0x00,
    0x00,
    0x00,
    ...section(1, vector([type(0, 0), type(1, 1), type(2, 0), type(3, 1), type(5, 1), type(2, 1)])),
    ...section(2, vector([[...text('env'), ...text('proxy_add_header_map_value'), 0, 4]])),
    ...section(3, vector([[0], [1], [2], [3], [5]])),
    ...section(5, vector([[0, 2]])),
    ...section(
      7,
      vector([
        [...text('memory'), 2, 0],
        exported('proxy_abi_version_0_2_1', 1),
        exported('proxy_on_memory_allocate', 2),
        exported('proxy_on_context_create', 3),
        exported('proxy_on_request_headers', 4),
        exported('proxy_on_vm_start', 5),
      ]),
    ),
    ...section(
      10,
      vector([
        body(),
        body(HEAP),
        body(),
        body(
          constant(0),
          constant(at),
          constant(name.length),
          constant(valueAt),
          constant(value.length),
          CALL_HOST,
          DROP,
          constant(0),
        ),
        body(constant(1)),
      ]),
    ),
    ...section(
      11,
      vector([
        [0, ...constant(at), 0x0b, ...text(name)],
        [0, ...constant(valueAt), 0x0b, ...text(value)],
      ]),
    ),
  ]);
}
