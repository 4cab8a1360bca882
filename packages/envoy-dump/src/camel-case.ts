// Below these fields stand users' own names (google.protobuf.Struct and maps to text), which must stay as they are.
const freeForm = new Set([
  'filterMetadata',
  'metadata',
  'fields',
  'platformMetadata',
  'labels',
  'environmentVariables',
  'jsonFormat',
  'staticLayer',
]);

// Maps whose keys users chose and whose values are messages again.
const messageMaps = new Set([
  'map',
  'policies',
  'providers',
  'requirementMap',
  'requires',
  'typedFilterMetadata',
  'typedPerFilterConfig',
  'typedExtensionProtocolOptions',
]);

const camelCase = (key: string) =>
  key.includes('.') || key.startsWith('@')
    ? key
    : key.replace(/_([a-z0-9])/g, (_match, letter: string) => letter.toUpperCase());

/**
 * Turns the names that Envoy's admin prints (`connect_timeout`) into those of ProtoJSON (`connectTimeout`), as istioctl has always printed them.
 * What has those names already stays as it is.
 */
export function camelCaseKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelCaseKeys);
  if (typeof value !== 'object' || value === null) return value;
  const struct = String((value as Readonly<Record<string, unknown>>)['@type']).endsWith('.TypedStruct');
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => {
      if (struct && key === 'value') return [key, child];
      const name = camelCase(key);
      if (name === 'filterMetadata' || (freeForm.has(name) && isFreeForm(name, child))) return [name, child];
      if (messageMaps.has(name) && isJsonObject(child))
        return [
          name,
          Object.fromEntries(Object.entries(child).map(([inner, message]) => [inner, camelCaseKeys(message)])),
        ];
      return [name, camelCaseKeys(child)];
    }),
  );
}

const isJsonObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `metadata` is Envoy's Metadata message in most places (with `filterMetadata` in it) and a Struct in a node. */
function isFreeForm(name: string, child: unknown): boolean {
  const message = ['filter_metadata', 'typed_filter_metadata', 'filterMetadata', 'typedFilterMetadata'];
  return name !== 'metadata' || !(isJsonObject(child) && message.some((key) => key in child));
}
