/**
 * Reading of untyped objects. The API server has checked what it serves; still, nothing here trusts a shape, so that a strange object is at worst
 * read as an empty one.
 */
export type Fields = Readonly<Record<string, unknown>>;

export const fields = (value: unknown): Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {};

export const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

export const text = (value: unknown): string => (typeof value === 'string' ? value : '');

export const integer = (value: unknown): number | undefined =>
  Number.isInteger(value) ? (value as number) : undefined;

export const texts = (value: unknown): readonly string[] => list(value).filter((item) => typeof item === 'string');

export function textMap(value: unknown): Readonly<Record<string, string>> {
  const result: Record<string, string> = {};
  for (const [key, item] of Object.entries(fields(value))) if (typeof item === 'string') result[key] = item;
  return result;
}
