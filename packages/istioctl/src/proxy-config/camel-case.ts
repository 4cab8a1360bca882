// Below these keys stand users' own names (google.protobuf.Struct and maps), which must stay as they are.
const freeForm = new Set([
  'filter_metadata',
  'metadata',
  'fields',
  'platform_metadata',
  'labels',
  'environment_variables',
  'json_format',
  'static_layer',
]);

/** Turns the names that Envoy's admin prints (`connect_timeout`) into those of ProtoJSON (`connectTimeout`), as istioctl has always printed them. */
export function camelCaseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCaseKeys);
  if (typeof value !== 'object' || value === null) return value;
  const struct = String((value as Readonly<Record<string, unknown>>)['@type']).endsWith('.TypedStruct');
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      if (struct && key === 'value') return [key, child];
      // A key with a dot is a key of a map (an extension's name): its value is a message again.
      const name =
        key.includes('.') || key.startsWith('@')
          ? key
          : key.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());
      if (key === 'filter_metadata' || (freeForm.has(key) && isPlainMap(key, child))) return [name, child];
      return [name, camelCaseKeys(child)];
    }),
  );
}

/** `metadata` is Envoy's Metadata message in most places (with `filter_metadata` in it) and a Struct in a node. */
function isPlainMap(key: string, child: unknown): boolean {
  return (
    key !== 'metadata' ||
    !(typeof child === 'object' && child !== null && ('filter_metadata' in child || 'typed_filter_metadata' in child))
  );
}
