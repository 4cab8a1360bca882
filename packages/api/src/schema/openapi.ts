import type { AnySchema, CelRule, Shape } from './schema.ts';

/** A schema as CustomResourceDefinitions carry it: structural, that is with a type everywhere and without references. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/**
 * The OpenAPI v3 schema of a kind's part.
 * `elements` is how many values of this schema one object may hold, through the lists and maps around it: where it is too many,
 * the API server would refuse the rules for what they might cost, so they are left to istiod.
 * Rules: Kubernetes documentation, "Custom Resource Definitions", section "Specifying a structural schema".
 */
export function openApi(schema: AnySchema, cel: readonly CelRule[] = [], elements = 1): JsonSchema {
  const rules = elements > MOST_ELEMENTS ? [] : [...shapeRules(schema.shape), ...(schema.cel ?? []), ...cel];
  return {
    ...(schema.description !== '' && { description: schema.description }),
    ...shapeOf(schema.shape, elements),
    ...(rules.length > 0 && { 'x-kubernetes-validations': rules }),
  };
}

/** A request holds at most 3 MiB, and so about this many values, whatever a schema allows. */
const MOST_ELEMENTS = 1_572_864;
const UNBOUNDED = MOST_ELEMENTS;

/** Durations have a form that the API server can check; the estimate of what that costs needs a bound on their length. */
const duration: CelRule = {
  rule: "duration(self) >= duration('0s')",
  message: 'must be a duration that is not negative, for example 500ms, 1.5s or 1m30s',
};
const maxDurationLength = 64;

function shapeRules(shape: Shape): readonly CelRule[] {
  return shape.kind === 'string' && shape.format === 'duration' ? [duration] : [];
}

function shapeOf(shape: Shape, elements: number): JsonSchema {
  switch (shape.kind) {
    case 'string':
      return {
        type: 'string',
        ...(shape.minLength !== undefined && { minLength: shape.minLength }),
        ...(shape.maxLength !== undefined && { maxLength: shape.maxLength }),
        ...(shape.format === 'duration' && { maxLength: maxDurationLength }),
        ...(shape.pattern !== undefined && { pattern: shape.pattern }),
        ...(shape.format === 'base64' && { format: 'binary' }),
      };
    case 'enum':
      return { type: 'string', enum: shape.values };
    case 'boolean':
      return { type: 'boolean' };
    case 'integer':
      return {
        type: 'integer',
        ...((shape.format === 'int32' || shape.format === 'int64') && { format: shape.format }),
        ...(shape.minimum !== undefined && { minimum: shape.minimum }),
        ...maximumOf(shape),
      };
    case 'number':
      return {
        type: 'number',
        ...(shape.minimum !== undefined && { minimum: shape.minimum }),
        ...(shape.maximum !== undefined && { maximum: shape.maximum }),
      };
    case 'list':
      return {
        type: 'array',
        items: openApi(shape.items, [], elements * (shape.maxItems ?? UNBOUNDED)),
        ...(shape.minItems !== undefined && { minItems: shape.minItems }),
        ...(shape.maxItems !== undefined && { maxItems: shape.maxItems }),
      };
    case 'map':
      return {
        type: 'object',
        additionalProperties: openApi(shape.values, [], elements * (shape.maxProperties ?? UNBOUNDED)),
        ...(shape.maxProperties !== undefined && { maxProperties: shape.maxProperties }),
      };
    case 'object':
      return objectOf(shape, elements);
    case 'struct':
      return { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    default:
      return shape satisfies never;
  }
}

function maximumOf(shape: Extract<Shape, { kind: 'integer' }>): JsonSchema {
  if (shape.maximum !== undefined) return { maximum: shape.maximum };
  return shape.format === 'uint32' ? { maximum: 2 ** 32 - 1 } : {};
}

function objectOf(shape: Extract<Shape, { kind: 'object' }>, elements: number): JsonSchema {
  const fields = Object.entries(shape.fields);
  const required = fields.filter(([, field]) => field.presence === 'required').map(([name]) => name);
  const groups = shape.oneofs.map(atMostOne);
  return {
    type: 'object',
    properties: Object.fromEntries(fields.map(([name, field]) => [name, openApi(field, [], elements)])),
    ...(required.length > 0 && { required }),
    ...(groups.length === 1 ? groups[0] : groups.length > 1 && { allOf: groups }),
  };
}

/** At most one of these fields: none of them, or exactly one. */
function atMostOne(names: readonly string[]): JsonSchema {
  const each = names.map((name) => ({ required: [name] }));
  return { oneOf: [{ not: { anyOf: each } }, ...each] };
}
