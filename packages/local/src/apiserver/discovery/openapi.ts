import { createHash } from 'node:crypto';
import type { ResourceDefinition } from '../definitions.ts';
import { type JsonObject, isObject } from '../json.ts';
import { apiVersionOf } from '../object.ts';
import type { ResourceRegistry } from '../registry.ts';
import { builtinSchemaName, builtinSchemas, REF_PREFIX, type Schema } from '../schema/schema.ts';
import { VERSION_INFO } from './version.ts';

function groupVersionPaths(registry: ResourceRegistry): Map<string, { group: string; version: string }> {
  const found = new Map<string, { group: string; version: string }>();
  for (const definition of registry.all()) {
    for (const version of definition.versions) {
      const path = definition.group === '' ? `api/${version}` : `apis/${definition.group}/${version}`;
      found.set(path, { group: definition.group, version });
    }
  }
  return found;
}

/** The index `/openapi/v3`. The hash changes with the set of resources, so clients may cache the documents for ever. */
export function openApiIndex(registry: ResourceRegistry, token: string): object {
  const paths: JsonObject = {};
  for (const path of groupVersionPaths(registry).keys()) {
    const hash = createHash('sha256').update(`${token}/${registry.generation}/${path}`).digest('hex').toUpperCase();
    paths[path] = { serverRelativeURL: `/openapi/v3/${path}?hash=${hash}` };
  }
  return { paths };
}

function customSchemaName(group: string, version: string, kind: string): string {
  return `${group.split('.').reverse().join('.')}.${version}.${kind}`;
}

function collectRefs(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collectRefs(item, into);
  else if (isObject(value)) {
    const ref = value.$ref;
    if (typeof ref === 'string') {
      const name = ref.slice(REF_PREFIX.length);
      if (!into.has(name)) {
        into.add(name);
        collectRefs(builtinSchemas()[name], into);
      }
    }
    for (const item of Object.values(value)) if (typeof item === 'object') collectRefs(item, into);
  }
}

/** In OpenAPI documents a quantity and an int-or-string are what a real server says they are. */
function published(name: string, schema: Schema): unknown {
  if (name.endsWith('.Quantity')) return { oneOf: [{ type: 'string' }, { type: 'number' }] };
  if (name.endsWith('.IntOrString'))
    return { format: 'int-or-string', oneOf: [{ type: 'integer' }, { type: 'string' }] };
  return schema;
}

interface Operation {
  readonly method: string;
  readonly verb: string;
}

function parameters(verb: string): object[] {
  const query = (name: string, type = 'string') => ({ name, in: 'query', schema: { type, uniqueItems: true } });
  const list = [query('pretty')];
  if (verb === 'create' || verb === 'update' || verb === 'patch') {
    list.push(query('dryRun'), query('fieldManager'), query('fieldValidation'));
  }
  if (verb === 'patch') list.push(query('force', 'boolean'));
  return list;
}

function operations(definition: ResourceDefinition, version: string, name: string, collection: boolean): JsonObject {
  const gvk = { group: definition.group, version, kind: definition.kind };
  const body = { schema: { $ref: `${REF_PREFIX}${name}` } };
  const wanted: Operation[] = collection
    ? [
        { method: 'get', verb: 'list' },
        { method: 'post', verb: 'create' },
        { method: 'delete', verb: 'deletecollection' },
      ]
    : [
        { method: 'get', verb: 'get' },
        { method: 'put', verb: 'update' },
        { method: 'patch', verb: 'patch' },
        { method: 'delete', verb: 'delete' },
      ];
  const result: JsonObject = {};
  const patchTypes = [
    'application/json-patch+json',
    'application/merge-patch+json',
    ...(definition.custom === undefined ? ['application/strategic-merge-patch+json'] : []),
    'application/apply-patch+yaml',
  ];
  for (const { method, verb } of wanted) {
    if (!definition.verbs.includes(verb)) continue;
    const content: JsonObject = {};
    if (verb === 'patch') {
      for (const type of patchTypes)
        content[type] = { schema: { $ref: `${REF_PREFIX}io.k8s.apimachinery.pkg.apis.meta.v1.Patch` } };
    } else if (verb === 'create' || verb === 'update') content['*/*'] = body;
    const action = verb === 'update' ? 'put' : verb === 'create' ? 'post' : verb;
    result[method] = {
      operationId: `${verb}${definition.kind}${collection ? 'Collection' : ''}`,
      'x-kubernetes-action': action,
      'x-kubernetes-group-version-kind': gvk,
      parameters: parameters(verb),
      ...(Object.keys(content).length === 0 ? {} : { requestBody: { content } }),
      responses: { 200: { description: 'OK', content: { 'application/json': body } } },
    };
  }
  return result;
}

/** The OpenAPI v3 document of one group and version (`/openapi/v3/apis/apps/v1`), or undefined when it is not served. */
export function openApiV3(registry: ResourceRegistry, path: string): object | undefined {
  const found = groupVersionPaths(registry).get(path);
  if (found === undefined) return undefined;
  const { group, version } = found;
  const schemas: JsonObject = {};
  const paths: JsonObject = {};
  const refs = new Set<string>(['io.k8s.apimachinery.pkg.apis.meta.v1.Patch']);
  for (const definition of registry.all()) {
    if (definition.group !== group || !definition.versions.includes(version)) continue;
    let name = builtinSchemaName(group, version, definition.kind);
    if (definition.custom !== undefined || name === undefined) {
      name = customSchemaName(group, version, definition.kind);
      const schema = registry.schema(definition, version) ?? { type: 'object' };
      schemas[name] = { ...schema, 'x-kubernetes-group-version-kind': [{ group, version, kind: definition.kind }] };
      collectRefs(schema, refs);
    } else {
      refs.add(name);
      collectRefs(builtinSchemas()[name], refs);
    }
    const base = `/${path}${definition.namespaced ? '/namespaces/{namespace}' : ''}/${definition.resource}`;
    paths[base] = operations(definition, version, name, true);
    if (!definition.virtual) paths[`${base}/{name}`] = operations(definition, version, name, false);
  }
  for (const name of refs) {
    const schema = builtinSchemas()[name];
    schemas[name] = schema === undefined ? { type: 'object' } : published(name, schema);
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: VERSION_INFO.gitVersion },
    paths,
    components: { schemas },
  };
}

/** OpenAPI v2 as JSON; old clients read group, version and kind of the definitions from it. */
export function openApiV2(registry: ResourceRegistry): object {
  const definitions: JsonObject = {};
  const rename = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(rename);
    if (!isObject(value)) return value;
    const result: JsonObject = {};
    for (const [key, item] of Object.entries(value)) {
      result[key] =
        key === '$ref' && typeof item === 'string' ? item.replace(REF_PREFIX, '#/definitions/') : rename(item);
    }
    return result;
  };
  for (const [name, schema] of Object.entries(builtinSchemas())) definitions[name] = rename(schema);
  const paths: JsonObject = {};
  for (const definition of registry.all()) {
    for (const version of definition.versions) {
      const group = definition.group;
      let name = builtinSchemaName(group, version, definition.kind);
      if (definition.custom !== undefined || name === undefined) {
        name = customSchemaName(group, version, definition.kind);
        const schema = rename(registry.schema(definition, version) ?? { type: 'object' });
        definitions[name] = {
          ...(isObject(schema) ? schema : {}),
          'x-kubernetes-group-version-kind': [{ group, version, kind: definition.kind }],
        };
      }
      const root = group === '' ? `/api/${version}` : `/apis/${apiVersionOf(group, version)}`;
      const base = `${root}${definition.namespaced ? '/namespaces/{namespace}' : ''}/${definition.resource}/{name}`;
      if (!definition.virtual) {
        const consumes = [
          'application/json-patch+json',
          'application/merge-patch+json',
          'application/apply-patch+yaml',
        ];
        paths[base] = {
          patch: {
            consumes,
            produces: ['application/json'],
            parameters: ['dryRun', 'fieldManager', 'fieldValidation'].map((item) => ({
              name: item,
              in: 'query',
              type: 'string',
            })),
            responses: { 200: { description: 'OK', schema: { $ref: `#/definitions/${name}` } } },
            'x-kubernetes-action': 'patch',
            'x-kubernetes-group-version-kind': { group, version, kind: definition.kind },
          },
        };
      }
    }
  }
  return { swagger: '2.0', info: { title: 'Kubernetes', version: VERSION_INFO.gitVersion }, paths, definitions };
}
