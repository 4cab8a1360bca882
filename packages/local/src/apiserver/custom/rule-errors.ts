import { Optional } from '@marcbachmann/cel-js';
import { evaluateCel, toCel } from '../cel/environment.ts';
import { equal, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { Schema, ValidationRule } from '../schema/schema.ts';
import { type FieldError, fieldError } from '../status.ts';

const MAX_ERRORS = 50;
const withRules = new WeakMap<Schema, boolean>();

/** Whether there is a rule anywhere in a schema; most parts have none and are skipped. */
function hasRules(schema: Schema): boolean {
  let known = withRules.get(schema);
  if (known === undefined) {
    const below = [
      ...Object.values(schema.properties ?? {}),
      ...(schema.items === undefined ? [] : [schema.items]),
      ...(typeof schema.additionalProperties === 'object' ? [schema.additionalProperties] : []),
    ];
    known = (schema['x-kubernetes-validations'] ?? []).length > 0 || below.some(hasRules);
    withRules.set(schema, known);
  }
  return known;
}

/** Findings of the CEL rules (`x-kubernetes-validations`) of a schema. `old` is the state before an update, for transition rules. */
export function ruleErrors(object: ApiObject, old: ApiObject | undefined, schema: Schema): FieldError[] {
  const errors: FieldError[] = [];
  if (hasRules(schema)) walk(trimmed(object), old === undefined ? undefined : trimmed(old), schema, '', errors);
  return errors;
}

/** Rules at the root see only the name of the metadata. */
function trimmed(object: ApiObject): JsonObject {
  const { name, generateName } = object.metadata;
  return {
    ...object,
    metadata: { ...(name === undefined ? {} : { name }), ...(generateName === undefined ? {} : { generateName }) },
  };
}

function walk(value: unknown, old: unknown, schema: Schema, path: string, errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS || value === undefined || value === null || !hasRules(schema)) return;
  const rules = schema['x-kubernetes-validations'] ?? [];
  if (rules.length > 0) {
    const unchanged = old !== undefined && equal(value, old);
    const self = toCel(value, schema);
    const before = old === undefined ? undefined : toCel(old, schema);
    for (const rule of rules) {
      const found = violated(rule, self, before, value, schema, path, unchanged);
      if (found !== undefined) errors.push(found);
    }
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    if (items === undefined) return;
    const keys = schema['x-kubernetes-list-type'] === 'map' ? (schema['x-kubernetes-list-map-keys'] ?? []) : undefined;
    const olds = Array.isArray(old) ? old : [];
    value.forEach((item, index) => {
      // Items can only be compared with their earlier state where a key tells which one that is.
      const match =
        keys === undefined || !isObject(item)
          ? undefined
          : olds.find((other) => isObject(other) && keys.every((key) => equal(other[key], item[key])));
      walk(item, match, items, `${path}[${index}]`, errors);
    });
    return;
  }
  if (!isObject(value)) return;
  const additional = schema.additionalProperties;
  for (const key of Object.keys(value)) {
    const below = schema.properties?.[key] ?? (typeof additional === 'object' ? additional : undefined);
    if (below === undefined) continue;
    const child = schema.properties?.[key] === undefined ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`;
    walk(value[key], isObject(old) ? old[key] : undefined, below, child, errors);
  }
}

const USES_OLD = /\boldSelf\b/;

function violated(
  rule: ValidationRule,
  self: unknown,
  before: unknown,
  value: unknown,
  schema: Schema,
  path: string,
  unchanged: boolean,
): FieldError | undefined {
  const transition = USES_OLD.test(rule.rule);
  if (transition && before === undefined && rule.optionalOldSelf !== true) return undefined;
  // What an update leaves as it was is not held against it.
  if (unchanged && !transition) return undefined;
  const oldSelf =
    rule.optionalOldSelf === true ? (before === undefined ? Optional.none() : Optional.of(before)) : before;
  const variables = { self, ...(transition || before !== undefined ? { oldSelf } : {}) };
  const shown = isObject(value) || Array.isArray(value) ? (schema.type ?? 'object') : value;
  const at = rule.fieldPath === undefined ? path : `${path}${rule.fieldPath}`.replace(/^\./, '');
  try {
    if (evaluateCel(rule.rule, variables) === true) return undefined;
  } catch (error) {
    const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return fieldError.invalid(at, shown, `${why} evaluating rule: ${rule.message ?? rule.rule}`);
  }
  return finding(rule, at, shown, messageOf(rule, variables));
}

function messageOf(rule: ValidationRule, variables: Readonly<Record<string, unknown>>): string {
  if (rule.messageExpression !== undefined) {
    try {
      const text = evaluateCel(rule.messageExpression, variables);
      if (typeof text === 'string' && text.trim() !== '' && !text.includes('\n')) return text;
    } catch {
      // The fixed message takes its place, as documented for messageExpression.
    }
  }
  return rule.message?.trim() ?? `failed rule: ${rule.rule.trim()}`;
}

function finding(rule: ValidationRule, path: string, shown: unknown, message: string): FieldError {
  switch (rule.reason) {
    case 'FieldValueRequired':
      return fieldError.required(path, message);
    case 'FieldValueForbidden':
      return fieldError.forbidden(path, message);
    case 'FieldValueDuplicate':
      return { type: 'FieldValueDuplicate', field: path, text: fieldError.duplicate(path, shown).text };
    default:
      return fieldError.invalid(path, shown, message);
  }
}
