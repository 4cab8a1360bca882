import assert from 'node:assert/strict';
import { test } from 'node:test';
import { customResourceDefinitions } from './index.ts';

type Fields = Readonly<Record<string, unknown>>;

/** The rules of structural schemas that the API server enforces when a definition is created. */
function checkStructural(schema: Fields, path: string): void {
  assert.ok(typeof schema.type === 'string', `${path}: no type`);
  assert.ok(!('$ref' in schema), `${path}: reference`);
  if (schema['x-kubernetes-preserve-unknown-fields']) assert.equal(schema.type, 'object');
  if (schema.type === 'array') checkStructural(schema.items as Fields, `${path}[]`);
  assert.ok(!(schema.properties && schema.additionalProperties), `${path}: properties and additionalProperties`);
  const properties = (schema.properties ?? {}) as Record<string, Fields>;
  for (const [name, property] of Object.entries(properties)) checkStructural(property, `${path}.${name}`);
  for (const name of (schema.required ?? []) as string[]) assert.ok(name in properties, `${path}: required ${name}`);
  if (schema.additionalProperties) checkStructural(schema.additionalProperties as Fields, `${path}{}`);
  // Inside oneOf, anyOf and not, a structural schema may only restrict, not describe.
  const restrict = (value: unknown): void => {
    for (const key of Object.keys(value as Fields))
      assert.ok(['required', 'not', 'anyOf', 'oneOf'].includes(key), `${path}: ${key}`);
  };
  for (const each of [...((schema.oneOf ?? []) as Fields[]), ...((schema.allOf ?? []) as Fields[])]) restrict(each);
}

test('every definition is structural and complete', () => {
  const definitions = customResourceDefinitions();
  assert.equal(definitions.length, 15);
  for (const definition of definitions) {
    const spec = definition.spec as {
      readonly group: string;
      readonly names: { readonly plural: string };
      readonly versions: readonly {
        readonly name: string;
        readonly storage: boolean;
        readonly schema: { readonly openAPIV3Schema: Fields };
      }[];
    };
    assert.equal(definition.metadata.name, `${spec.names.plural}.${spec.group}`);
    assert.equal(spec.versions.filter((version) => version.storage).length, 1);
    for (const version of spec.versions)
      checkStructural(version.schema.openAPIV3Schema, `${definition.metadata.name}/${version.name}`);
  }
});
