import { isObject, type JsonObject } from '../json.ts';
import { resolve, type Schema } from '../schema/schema.ts';
import { type FieldError, fieldError } from '../status.ts';

/** Removes `null` members, which for built-in kinds mean "not set". */
export function dropNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.some((item) => typeof item === 'object') ? value.map(dropNulls) : value;
  if (!isObject(value)) return value;
  const result: JsonObject = {};
  for (const key of Object.keys(value)) if (value[key] !== null) result[key] = dropNulls(value[key]);
  return result;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

const GO_TYPES: Readonly<Record<string, string>> = {
  string: 'string',
  integer: 'int32',
  boolean: 'bool',
  array: 'slice',
  object: 'struct',
  number: 'float64',
};

/** The first value whose type is not the one of the schema, as text of a decoding error, or undefined. */
export function typeMismatch(value: unknown, unresolved: Schema, path = ''): string | undefined {
  const schema = resolve(unresolved);
  if (value === null || value === undefined) return undefined;
  const wrong = (expected: string) =>
    `json: cannot unmarshal ${typeName(value) === 'integer' ? 'number' : typeName(value)} into Go struct field ${path} of type ${expected}`;
  if (schema.format === 'int-or-string')
    return typeof value === 'string' || Number.isInteger(value) ? undefined : wrong('intstr.IntOrString');
  if (schema.format === 'quantity') {
    if (typeof value === 'number') return undefined;
    if (typeof value !== 'string') return wrong('resource.Quantity');
    return /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$/.test(value)
      ? undefined
      : `quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$' (${path}: ${JSON.stringify(value)})`;
  }
  switch (schema.type) {
    case 'string':
      if (typeof value !== 'string') return wrong('string');
      return undefined;
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value) ? undefined : wrong('int32');
    case 'number':
      return typeof value === 'number' ? undefined : wrong('float64');
    case 'boolean':
      return typeof value === 'boolean' ? undefined : wrong('bool');
    case 'array': {
      if (!Array.isArray(value))
        return wrong(
          `[]${GO_TYPES[schema.items === undefined ? 'object' : (resolve(schema.items).type ?? 'object')] ?? ''}`,
        );
      // Nobody who reads lists expects holes in them.
      if (value.includes(null)) return `null is not an element of a list (field ${path})`;
      if (schema.items === undefined) return undefined;
      for (const item of value) {
        const found = typeMismatch(item, schema.items, path);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    case 'object': {
      if (!isObject(value)) return wrong('object');
      for (const key of Object.keys(value)) {
        const additional = schema.additionalProperties;
        const below = schema.properties?.[key] ?? (typeof additional === 'object' ? additional : undefined);
        if (below === undefined) continue;
        const found = typeMismatch(value[key], below, path === '' ? key : `${path}.${key}`);
        if (found !== undefined) return found;
      }
      return undefined;
    }
    default:
      return undefined;
  }
}

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_1035 = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const LABEL_VALUE = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/;
const QUALIFIED = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/;

export function subdomainProblem(name: string): string | undefined {
  if (name.length > 253) return 'must be no more than 253 characters';
  if (SUBDOMAIN.test(name)) return undefined;
  return "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
}

export function labelProblem(name: string): string | undefined {
  if (name.length > 63) return 'must be no more than 63 characters';
  if (LABEL.test(name)) return undefined;
  return "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
}

export function label1035Problem(name: string): string | undefined {
  if (name.length > 63) return 'must be no more than 63 characters';
  if (LABEL_1035.test(name)) return undefined;
  return "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
}

/** Findings in a map of labels. */
export function labelErrors(labels: unknown, field: string): FieldError[] {
  const errors: FieldError[] = [];
  if (!isObject(labels)) return errors;
  for (const [key, value] of Object.entries(labels)) {
    errors.push(...qualifiedNameErrors(key, field));
    if (typeof value !== 'string' || value.length > 63 || !LABEL_VALUE.test(value)) {
      errors.push(
        fieldError.invalid(
          field,
          value,
          typeof value === 'string' && value.length > 63
            ? 'must be no more than 63 bytes'
            : "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
        ),
      );
    }
  }
  return errors;
}

export function qualifiedNameErrors(key: string, field: string): FieldError[] {
  const parts = key.split('/');
  const name = parts.length === 2 ? (parts[1] ?? '') : key;
  const prefix = parts.length === 2 ? (parts[0] ?? '') : undefined;
  if (parts.length > 2 || !QUALIFIED.test(name) || name.length > 63) {
    return [
      fieldError.invalid(
        field,
        key,
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      ),
    ];
  }
  if (prefix !== undefined) {
    const problem = subdomainProblem(prefix);
    if (problem !== undefined) return [fieldError.invalid(field, key, `prefix part ${problem}`)];
  }
  return [];
}
