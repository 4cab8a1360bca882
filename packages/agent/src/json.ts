/** Plain JSON, as read from variables and files. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** The value as an object; an empty one when it is anything else. */
export function asObject(value: Json | undefined): { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as { readonly [key: string]: Json })
    : {};
}

/** An own property, never one of the prototype's. */
export function field(object: { readonly [key: string]: Json }, name: string): Json | undefined {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function textField(object: { readonly [key: string]: Json }, name: string): string {
  const value = field(object, name);
  return typeof value === 'string' ? value : '';
}
