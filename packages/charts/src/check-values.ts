import { isJsonObject, type Json, type JsonObject } from './json.ts';

/** What is wrong with one value. `path` is as in `--set`, for example `service.ports[0].port`. */
export interface ValueProblem {
  readonly path: string;
  readonly message: string;
}

/**
 * Checks values against a chart's schema as helm does, for the keywords that our schemas have: type, enum, pattern, minimum, maximum,
 * required, properties, additionalProperties, items, and references into the schema itself.
 */
export function checkAgainstSchema(schema: JsonObject, values: Json): readonly ValueProblem[] {
  const problems: ValueProblem[] = [];
  check(values, schema, '', schema, problems);
  return problems;
}

function check(value: Json, schema: JsonObject, path: string, root: JsonObject, problems: ValueProblem[]): void {
  if (typeof schema.$ref === 'string') {
    check(value, resolve(schema.$ref, root), path, root, problems);
    return;
  }
  const report = (message: string, at = path): void => {
    problems.push({ path: at, message });
  };
  if (Array.isArray(schema.enum) && !schema.enum.includes(value)) {
    report(
      `must be one of ${schema.enum.filter((each) => each !== null && each !== '').join(', ')}, not ${show(value)}`,
    );
    return;
  }
  const types = typesOf(schema.type);
  if (types.length > 0 && !types.some((type) => isOfType(value, type))) {
    report(`must be ${describeTypes(types)}, not ${show(value)}`);
    return;
  }
  if (typeof value === 'string' && typeof schema.pattern === 'string' && !new RegExp(schema.pattern, 'u').test(value))
    report(
      `must be ${describeTypes(types.filter((type) => type !== 'string'))}${schema.pattern.includes('%') ? ' or a percentage' : ''}, not ${show(value)}`,
    );
  if (typeof value === 'number') {
    if (typeof schema.minimum === 'number' && value < schema.minimum) report(`must be at least ${schema.minimum}`);
    if (typeof schema.maximum === 'number' && value > schema.maximum) report(`must be at most ${schema.maximum}`);
  }
  if (Array.isArray(value)) {
    const { items } = schema;
    if (isJsonObject(items))
      for (const [at, item] of value.entries()) check(item, items, `${path}[${at}]`, root, problems);
  } else if (isJsonObject(value)) checkMapping(value, schema, path, root, problems);
}

function checkMapping(
  value: JsonObject,
  schema: JsonObject,
  path: string,
  root: JsonObject,
  problems: ValueProblem[],
): void {
  const below = (key: string): string => (path === '' ? key : `${path}.${key}`);
  for (const key of Array.isArray(schema.required) ? schema.required : []) {
    if (typeof key === 'string' && !(key in value)) problems.push({ path: below(key), message: 'is required' });
  }
  const properties = isJsonObject(schema.properties) ? schema.properties : {};
  const others = schema.additionalProperties;
  for (const [key, item] of Object.entries(value)) {
    const own = Object.hasOwn(properties, key) ? properties[key] : undefined;
    if (isJsonObject(own)) check(item, own, below(key), root, problems);
    else if (others === false) problems.push({ path: below(key), message: 'is not a value of this chart' });
    else if (isJsonObject(others)) check(item, others, below(key), root, problems);
  }
}

/** A part of the schema by its JSON pointer. A pointer to nowhere is a slip in the schema and allows everything. */
function resolve(pointer: string, root: JsonObject): JsonObject {
  let at: Json | undefined = root;
  for (const key of pointer.replace(/^#\//, '').split('/')) at = isJsonObject(at) ? at[key] : undefined;
  return isJsonObject(at) ? at : {};
}

function typesOf(type: Json | undefined): readonly string[] {
  if (typeof type === 'string') return [type];
  return Array.isArray(type) ? type.filter((each) => typeof each === 'string') : [];
}

function isOfType(value: Json, type: string): boolean {
  switch (type) {
    case 'null':
      return value === null;
    case 'array':
      return Array.isArray(value);
    case 'object':
      return isJsonObject(value);
    case 'integer':
      return typeof value === 'number' && Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

const NAMES: Readonly<Record<string, string>> = {
  array: 'a list',
  object: 'a mapping',
  integer: 'a whole number',
  number: 'a number',
  string: 'text',
  boolean: 'true or false',
};

function describeTypes(types: readonly string[]): string {
  const names = types.filter((type) => type !== 'null').map((type) => NAMES[type] ?? type);
  if (types.includes('string') && types.length > 2 && types.includes('boolean')) return 'a single value';
  if (types.includes('string') && types.includes('number')) return 'text';
  if (types.includes('string') && types.includes('integer')) return 'a whole number';
  return names.join(' or ');
}

function show(value: Json): string {
  if (Array.isArray(value)) return 'a list';
  if (isJsonObject(value)) return 'a mapping';
  return JSON.stringify(value);
}
