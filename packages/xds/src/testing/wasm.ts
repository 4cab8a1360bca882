/** A module for tests of WebAssembly plugins, assembled here: no compiler is at hand, and one filter needs few instructions. */

/** Unsigned, in groups of seven bits. */
const unsigned = (value: number): readonly number[] => {
  const result: number[] = [];
  for (let left = value; ; left >>>= 7) {
    if (left < 128) return [...result, left];
    result.push((left & 127) | 128);
  }
};
const vector = (items: readonly (readonly number[])[]): readonly number[] => [items.length, ...items.flat()];
const sized = (bytes: readonly number[]): readonly number[] => [...unsigned(bytes.length), ...bytes];
const text = (value: string): readonly number[] => sized([...Buffer.from(value)]);
const section = (id: number, content: readonly number[]): readonly number[] => [id, ...sized(content)];

const I32 = 0x7f;
const type = (parameters: number, results: number): readonly number[] => [
  0x60,
  ...vector(Array.from({ length: parameters }, () => [I32])),
  ...vector(Array.from({ length: results }, () => [I32])),
];
const global32 = (start: number): readonly number[] => [I32, 1, ...constant(start), 0x0b];
/** Signed, in groups of seven bits. */
const signed = (value: number): readonly number[] => {
  const result: number[] = [];
  for (let left = value; ; left >>= 7) {
    const last = left >= -64 && left < 64;
    result.push((left & 127) | (last ? 0 : 128));
    if (last) return result;
  }
};
const constant = (value: number): readonly number[] => [0x41, ...signed(value)];
const body = (...instructions: readonly (readonly number[])[]): readonly number[] =>
  sized([0, ...instructions.flat(), 0x0b]);
const call = (index: number): readonly number[] => [0x10, index];
const CALL_HOST = call(0);
const DROP = [0x1a];
const HEAP = constant(1024);
const get = (local: number): readonly number[] => [0x20, local];
const set = (local: number): readonly number[] => [0x21, local];
const getGlobal = [0x23, 0];
const setGlobal = [0x24, 0];
const ADD = [0x6a];
const IS_ZERO = [0x45];
const LESS = [0x49];
const BLOCK = [0x02, 0x40];
const LOOP = [0x03, 0x40];
const IF = [0x04, 0x40];
const END = [0x0b];
const TRAP = [0x00];
const branch = (depth: number): readonly number[] => [0x0c, depth];
const branchIf = (depth: number): readonly number[] => [0x0d, depth];
const load = (at: number): readonly number[] => [...constant(at), 0x28, 2, 0];
const loadByte = (offset: number): readonly number[] => [0x2d, 0, ...unsigned(offset)];
const storeByte = (offset: number): readonly number[] => [0x3a, 0, ...unsigned(offset)];

interface Import {
  readonly module: string;
  readonly field: string;
  /** Numbers of parameters and of results, all of them 32-bit integers. */
  readonly type: readonly [number, number];
}
interface Defined {
  readonly exported: string;
  readonly type: readonly [number, number];
  readonly body: readonly number[];
}

const ADD_HEADER: Import = { module: 'env', field: 'proxy_add_header_map_value', type: [5, 1] };
const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module of functions that may call those imported (numbered from 0), with a counter (global 0), 128 KiB of memory, and texts in it. */
function assembled(
  imports: readonly Import[],
  functions: readonly Defined[],
  texts: Readonly<Record<number, string>>,
  counterStart = 32_768,
): Buffer {
  const types = [...imports, ...functions].map((one) => type(...one.type));
  return Buffer.from([
    ...MAGIC,
    ...section(1, vector(types)),
    ...section(2, vector(imports.map(({ module, field }, i) => [...text(module), ...text(field), 0, i]))),
    ...section(3, vector(functions.map((_, i) => [imports.length + i]))),
    ...section(5, vector([[0, 2]])),
    ...section(6, vector([global32(counterStart)])),
    ...section(
      7,
      vector([
        [...text('memory'), 2, 0],
        ...functions.map(({ exported }, i) => [...text(exported), 0, imports.length + i]),
      ]),
    ),
    ...section(10, vector(functions.map((one) => one.body))),
    ...section(
      11,
      vector(Object.entries(texts).map(([at, value]) => [0, ...constant(Number(at)), 0x0b, ...text(value)])),
    ),
  ]);
}

/** What every filter has; the memory that it is asked for is what the counter says is free. */
const basics: readonly Defined[] = [
  { exported: 'proxy_abi_version_0_2_1', type: [0, 0], body: body() },
  {
    exported: 'proxy_on_memory_allocate',
    type: [1, 1],
    body: body(getGlobal, getGlobal, get(0), ADD, setGlobal),
  },
  { exported: 'proxy_on_context_create', type: [2, 0], body: body() },
  { exported: 'proxy_on_vm_start', type: [2, 1], body: body(constant(1)) },
];

/** A filter that tells of itself in headers of every request: `x-root` its root, `x-config` its configuration, `x-env` its environment (`A=1;B=2;`). */
export function tellingModule(): Buffer {
  const [addHeader, getProperty, getBuffer, environmentSizes, environment] = [0, 1, 2, 3, 4];
  // Where results are put: address and length of a property and of the configuration, number and length of the variables.
  const at = { value: 0, valueLength: 4, config: 8, configLength: 12, variables: 16, variablesLength: 20 };
  const names = { property: 64, root: 96, config: 112, env: 128 };
  const [pointers, variables] = [1024, 8192];
  const PLUGIN_CONFIGURATION = 7;
  const add = (name: number, size: number, ...value: readonly (readonly number[])[]) => [
    ...constant(0),
    ...constant(name),
    ...constant(size),
    ...value.flat(),
    ...call(addHeader),
    ...DROP,
  ];
  const i = 3;
  const onRequest = sized([
    // One more local beside the parameters.
    ...[1, 1, I32],
    ...[constant(names.property), constant(14), constant(at.value), constant(at.valueLength)].flat(),
    ...call(getProperty),
    ...DROP,
    ...add(names.root, 6, load(at.value), load(at.valueLength)),
    ...add(names.config, 8, load(at.config), load(at.configLength)),
    ...[constant(at.variables), constant(at.variablesLength), call(environmentSizes), DROP].flat(),
    ...[constant(pointers), constant(variables), call(environment), DROP].flat(),
    ...[...BLOCK, ...LOOP, ...get(i), ...load(at.variablesLength), ...LESS, ...IS_ZERO, ...branchIf(1)],
    ...[...get(i), ...loadByte(variables), ...IS_ZERO, ...IF],
    ...[...get(i), ...constant(0x3b), ...storeByte(variables), ...END],
    ...[...get(i), ...constant(1), ...ADD, ...set(i), ...branch(0), ...END, ...END],
    ...add(names.env, 5, constant(variables), load(at.variablesLength)),
    ...constant(0),
    ...END,
  ]);
  return assembled(
    [
      ADD_HEADER,
      { module: 'env', field: 'proxy_get_property', type: [4, 1] },
      { module: 'env', field: 'proxy_get_buffer_bytes', type: [5, 1] },
      { module: 'wasi_snapshot_preview1', field: 'environ_sizes_get', type: [2, 1] },
      { module: 'wasi_snapshot_preview1', field: 'environ_get', type: [2, 1] },
    ],
    [
      ...basics,
      {
        exported: 'proxy_on_configure',
        type: [2, 1],
        body: body(
          ...[constant(PLUGIN_CONFIGURATION), constant(0), get(1), constant(at.config), constant(at.configLength)],
          call(getBuffer),
          DROP,
          constant(1),
        ),
      },
      { exported: 'proxy_on_request_headers', type: [3, 1], body: onRequest },
    ],
    { [names.property]: 'plugin_root_id', [names.root]: 'x-root', [names.config]: 'x-config', [names.env]: 'x-env' },
  );
}

/** A filter that adds a header to the first request that its machine sees, and breaks down at the second one. */
export function mortalModule(name: string): Buffer {
  return assembled(
    [ADD_HEADER],
    [
      ...basics.filter(({ exported }) => exported !== 'proxy_on_memory_allocate'),
      { exported: 'proxy_on_memory_allocate', type: [1, 1], body: body(HEAP) },
      {
        exported: 'proxy_on_request_headers',
        type: [3, 1],
        body: body(
          ...[getGlobal, IF, TRAP, END, constant(1), setGlobal],
          ...[constant(0), constant(64), constant(name.length), constant(64), constant(1), CALL_HOST, DROP],
          constant(0),
        ),
      },
    ],
    { 64: name },
    0,
  );
}

/** A network filter that puts a text before everything that a client sends. */
export function prefixModule(prefix: string): Buffer {
  const DOWNSTREAM_DATA = 2;
  return assembled(
    [{ module: 'env', field: 'proxy_set_buffer_bytes', type: [5, 1] }],
    [
      ...basics,
      {
        exported: 'proxy_on_downstream_data',
        type: [3, 1],
        body: body(
          ...[
            constant(DOWNSTREAM_DATA),
            constant(0),
            constant(0),
            constant(64),
            constant(prefix.length),
            CALL_HOST,
            DROP,
          ],
          constant(0),
        ),
      },
    ],
    { 64: prefix },
  );
}

/** A proxy-wasm filter (ABI 0.2.1) that adds a header to every request. Name and value have to be short. */
export function headerModule(name: string, value: string): Buffer {
  const [at, valueAt] = [64, 128];
  return assembled(
    [ADD_HEADER],
    [
      ...basics,
      {
        exported: 'proxy_on_request_headers',
        type: [3, 1],
        body: body(
          ...[constant(0), constant(at), constant(name.length), constant(valueAt), constant(value.length)],
          ...[CALL_HOST, DROP, constant(0)],
        ),
      },
    ],
    { [at]: name, [valueAt]: value },
  );
}
