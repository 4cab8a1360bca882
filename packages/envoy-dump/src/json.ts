/** A JSON object of unknown shape: dumps come from files and from Envoys of any version, so nothing about them is certain. */
export type Json = Readonly<Record<string, unknown>>;

/** The value when it is an object, else an empty one. */
export const object = (value: unknown): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};

/** The objects of an array; anything else in it counts as an empty object, anything else than an array as an empty one. */
export const list = (value: unknown): readonly Json[] => (Array.isArray(value) ? value.map(object) : []);

/** The texts of an array. */
export const texts = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((item) => typeof item !== 'object').map(String) : [];

/** A text, number or boolean as text; anything else is empty. */
export const text = (value: unknown): string =>
  typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';

/** The value below these keys, or undefined. */
export const at = (value: unknown, ...path: readonly string[]): unknown =>
  path.reduce((inner: unknown, key) => object(inner)[key], value);

/** A number, also where ProtoJSON writes it as text; undefined when there is none. */
export const number = (value: unknown): number | undefined => {
  const read = typeof value === 'string' && value !== '' ? Number(value) : value;
  return typeof read === 'number' && Number.isFinite(read) ? read : undefined;
};

/** A field under its name of ProtoJSON or of the protobuf text: structs that dumps leave as they are have the latter. */
export const either = (value: Json, camel: string): unknown =>
  value[camel] ?? value[camel.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)];

/** Name of the message in an `Any`, without its package. */
export const typeOf = (config: unknown): string => text(at(config, '@type')).split('.').at(-1) ?? '';
