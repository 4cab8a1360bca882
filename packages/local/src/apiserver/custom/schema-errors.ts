import { isIPv4, isIPv6 } from 'node:net';
import { RE2JS } from 're2js';
import { equal, isObject } from '../json.ts';
import type { Schema } from '../schema/schema.ts';
import { type FieldError, fieldError } from '../status.ts';

const MAX_ERRORS = 100;
const patterns = new Map<string, RE2JS | undefined>();

/** A pattern in RE2 syntax, compiled once; undefined when it is not valid. */
export function pattern(text: string): RE2JS | undefined {
  if (!patterns.has(text)) {
    if (patterns.size > 2000) patterns.clear();
    try {
      patterns.set(text, RE2JS.compile(text));
    } catch {
      patterns.set(text, undefined);
    }
  }
  return patterns.get(text);
}

export function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function hasType(value: unknown, type: string): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return Array.isArray(value);
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

const FORMATS: Readonly<Record<string, (text: string) => boolean>> = {
  'date-time': (text) =>
    /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(\.\d+)?([Zz]|[+-]\d{2}:\d{2})$/.test(text) &&
    !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(Date.parse(text)),
  ipv4: isIPv4,
  ipv6: isIPv6,
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text),
  uuid: (text) => /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i.test(text),
  duration: (text) => /^[+-]?((\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h))+$|^0$/.test(text),
  uri: (text) => URL.canParse(text),
  byte: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
  cidr: (text) => /^[0-9a-fA-F.:]+\/\d{1,3}$/.test(text),
};

/** Findings of a value against a structural schema, in the wording of the Kubernetes API server. */
export function schemaErrors(value: unknown, schema: Schema, path = ''): FieldError[] {
  const errors: FieldError[] = [];
  check(value, schema, path, errors);
  return errors.slice(0, MAX_ERRORS);
}

function matchesAlone(value: unknown, schema: Schema, path: string): boolean {
  const errors: FieldError[] = [];
  check(value, schema, path, errors);
  return errors.length === 0;
}

function check(value: unknown, schema: Schema, path: string, errors: FieldError[]): void {
  if (errors.length >= MAX_ERRORS) return;
  if (value === null && schema.nullable === true) return;
  if (schema['x-kubernetes-int-or-string'] === true) {
    if (typeof value !== 'string' && !(typeof value === 'number' && Number.isInteger(value))) {
      errors.push(
        fieldError.typeInvalid(
          path,
          value,
          `${path} in body must be of type integer,string: ${JSON.stringify(typeName(value))}`,
        ),
      );
      return;
    }
  } else if (schema.type !== undefined && !hasType(value, schema.type)) {
    errors.push(typeError(value, schema.type, path));
    return;
  }
  if (schema.enum !== undefined && !schema.enum.some((allowed) => equal(allowed, value))) {
    errors.push(fieldError.notSupported(path, value, schema.enum));
  }
  if (typeof value === 'string') checkString(value, schema, path, errors);
  else if (typeof value === 'number') checkNumber(value, schema, path, errors);
  else if (Array.isArray(value)) checkArray(value, schema, path, errors);
  else if (isObject(value)) checkObject(value, schema, path, errors);
  checkCombined(value, schema, path, errors);
}

function typeError(value: unknown, type: string, path: string): FieldError {
  const shown = isObject(value) || Array.isArray(value) ? typeName(value) : value;
  return fieldError.typeInvalid(
    path,
    shown,
    `${path} in body must be of type ${type}: ${JSON.stringify(typeName(value))}`,
  );
}

function checkString(value: string, schema: Schema, path: string, errors: FieldError[]): void {
  const length = [...value].length;
  if (schema.maxLength !== undefined && length > schema.maxLength)
    errors.push(fieldError.tooLong(path, schema.maxLength));
  if (schema.minLength !== undefined && length < schema.minLength) {
    errors.push(fieldError.invalid(path, value, `${path} in body should be at least ${schema.minLength} chars long`));
  }
  if (schema.pattern !== undefined) {
    const compiled = pattern(schema.pattern);
    if (compiled !== undefined && !compiled.matcher(value).find()) {
      errors.push(fieldError.invalid(path, value, `${path} in body should match '${schema.pattern}'`));
    }
  }
  if (schema.format !== undefined) {
    const format = FORMATS[schema.format];
    if (format !== undefined && !format(value))
      errors.push(
        fieldError.invalid(path, value, `${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`),
      );
  }
}

function checkNumber(value: number, schema: Schema, path: string, errors: FieldError[]): void {
  const { minimum, maximum, multipleOf } = schema;
  if (maximum !== undefined && (schema.exclusiveMaximum === true ? value >= maximum : value > maximum)) {
    errors.push(
      fieldError.invalid(
        path,
        value,
        `${path} in body should be less than ${schema.exclusiveMaximum === true ? '' : 'or equal to '}${maximum}`,
      ),
    );
  }
  if (minimum !== undefined && (schema.exclusiveMinimum === true ? value <= minimum : value < minimum)) {
    errors.push(
      fieldError.invalid(
        path,
        value,
        `${path} in body should be greater than ${schema.exclusiveMinimum === true ? '' : 'or equal to '}${minimum}`,
      ),
    );
  }
  if (multipleOf !== undefined && !Number.isInteger(value / multipleOf)) {
    errors.push(fieldError.invalid(path, value, `${path} in body should be a multiple of ${multipleOf}`));
  }
}

function checkArray(value: readonly unknown[], schema: Schema, path: string, errors: FieldError[]): void {
  if (schema.maxItems !== undefined && value.length > schema.maxItems)
    errors.push(fieldError.tooMany(path, value.length, schema.maxItems));
  if (schema.minItems !== undefined && value.length < schema.minItems) {
    errors.push(
      fieldError.invalid(path, value.length, `${path} in body should have at least ${schema.minItems} items`),
    );
  }
  const { items } = schema;
  if (items !== undefined)
    value.forEach((item, index) => {
      check(item, items, `${path}[${index}]`, errors);
    });
  const listType = schema['x-kubernetes-list-type'];
  if (listType !== 'map' && listType !== 'set' && schema.uniqueItems !== true) return;
  const keys = schema['x-kubernetes-list-map-keys'] ?? [];
  const seen = new Set<string>();
  value.forEach((item, index) => {
    const id =
      listType === 'map' && isObject(item)
        ? Object.fromEntries(keys.filter((key) => item[key] !== undefined).map((key) => [key, item[key]]))
        : item;
    const text = JSON.stringify(id);
    if (seen.has(text)) errors.push(fieldError.duplicate(`${path}[${index}]`, id));
    seen.add(text);
  });
}

function checkObject(
  value: Readonly<Record<string, unknown>>,
  schema: Schema,
  path: string,
  errors: FieldError[],
): void {
  const keys = Object.keys(value);
  if (schema.maxProperties !== undefined && keys.length > schema.maxProperties) {
    errors.push(fieldError.tooMany(path, keys.length, schema.maxProperties));
  }
  if (schema.minProperties !== undefined && keys.length < schema.minProperties) {
    errors.push(
      fieldError.invalid(path, keys.length, `${path} in body should have at least ${schema.minProperties} properties`),
    );
  }
  for (const key of schema.required ?? []) {
    if (value[key] === undefined) errors.push(fieldError.required(path === '' ? key : `${path}.${key}`));
  }
  for (const key of keys) {
    const additional = schema.additionalProperties;
    const below = schema.properties?.[key] ?? (typeof additional === 'object' ? additional : undefined);
    if (below === undefined || value[key] === undefined) continue;
    if (path === '' && (key === 'metadata' || key === 'apiVersion' || key === 'kind')) continue;
    check(
      value[key],
      below,
      path === ''
        ? key
        : schema.properties?.[key] !== undefined
          ? `${path}.${key}`
          : `${path}[${key}]`.replace(/\[([\w-]+)\]$/, '.$1'),
      errors,
    );
  }
}

function checkCombined(value: unknown, schema: Schema, path: string, errors: FieldError[]): void {
  for (const part of schema.allOf ?? []) check(value, part, path, errors);
  if (schema.anyOf !== undefined && !schema.anyOf.some((part) => matchesAlone(value, part, path))) {
    errors.push(
      fieldError.invalid(
        path,
        brief(value),
        `${path === '' ? '<nil>' : path} in body must validate at least one schema (anyOf)`,
      ),
    );
  }
  if (schema.oneOf !== undefined) {
    const matching = schema.oneOf.filter((part) => matchesAlone(value, part, path)).length;
    if (matching !== 1) {
      const found = matching === 0 ? 'Found none valid' : `Found ${matching} valid alternatives`;
      errors.push(
        fieldError.invalid(
          path,
          brief(value),
          `${path === '' ? '<nil>' : path} in body must validate one and only one schema (oneOf). ${found}`,
        ),
      );
    }
  }
  if (schema.not !== undefined && matchesAlone(value, schema.not, path)) {
    errors.push(
      fieldError.invalid(
        path,
        brief(value),
        `${path === '' ? '<nil>' : path} in body must not validate the schema (not)`,
      ),
    );
  }
}

function brief(value: unknown): unknown {
  const text = JSON.stringify(value);
  return text !== undefined && text.length > 1000 ? `${text.slice(0, 1000)}...` : value;
}
