import { builtinSchemasJson } from './generated/builtin-schemas.ts';

/** A structural schema in OpenAPI v3 form with Kubernetes' extensions; the part of it that this API server understands. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly format?: string;
  readonly description?: string;
  readonly title?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly nullable?: boolean;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly exclusiveMaximum?: boolean;
  readonly multipleOf?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly allOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly not?: Schema;
  readonly 'x-kubernetes-list-type'?: string;
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-map-type'?: string;
  readonly 'x-kubernetes-patch-merge-key'?: string;
  readonly 'x-kubernetes-patch-strategy'?: string;
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean;
  readonly 'x-kubernetes-int-or-string'?: boolean;
  readonly 'x-kubernetes-embedded-resource'?: boolean;
  readonly 'x-kubernetes-validations'?: readonly ValidationRule[];
  readonly 'x-kubernetes-group-version-kind'?: readonly { group: string; version: string; kind: string }[];
}

/** One CEL rule (`x-kubernetes-validations`). */
export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

export const REF_PREFIX = '#/components/schemas/';

let definitions: Readonly<Record<string, Schema>> | undefined;

/** Schemas of the built-in kinds by their OpenAPI name, for example `io.k8s.api.core.v1.Pod`. Decoded at first use. */
export function builtinSchemas(): Readonly<Record<string, Schema>> {
  definitions ??= JSON.parse(builtinSchemasJson) as Record<string, Schema>;
  return definitions;
}

let byKind: Map<string, string> | undefined;

/** OpenAPI name of a built-in kind, or undefined. */
export function builtinSchemaName(group: string, version: string, kind: string): string | undefined {
  if (byKind === undefined) {
    byKind = new Map();
    for (const [name, schema] of Object.entries(builtinSchemas())) {
      for (const gvk of schema['x-kubernetes-group-version-kind'] ?? []) {
        byKind.set(`${gvk.group}/${gvk.version}/${gvk.kind}`, name);
      }
    }
  }
  return byKind.get(`${group}/${version}/${kind}`);
}

export const OBJECT_META = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';

/** Follows `$ref`; every function that walks schemas calls this first. */
export function resolve(schema: Schema): Schema {
  if (schema.$ref === undefined) return schema;
  return builtinSchemas()[schema.$ref.slice(REF_PREFIX.length)] ?? {};
}

/** The schema of a field of an object, or undefined when the schema does not know the field. */
export function fieldSchema(schema: Schema, field: string): Schema | undefined {
  const known = schema.properties?.[field];
  if (known !== undefined) return resolve(known);
  const additional = schema.additionalProperties;
  if (typeof additional === 'object') return resolve(additional);
  return undefined;
}

/** True for a value whose fields the schema describes one by one or as a map (so that ownership is tracked below it). */
export function isGranularObject(schema: Schema | undefined): boolean {
  return schema?.['x-kubernetes-map-type'] !== 'atomic';
}
