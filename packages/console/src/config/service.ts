import { inputTypes } from '@istio-ts/analysis/input-kinds';
import { isNotFound, type KubeObject, resourcePath } from '@istio-ts/kube';
import type { CheckResult, ConfigDetail, ConfigItem, ConfigList, MissingRight, ObjectName } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { time } from '../mesh/read.ts';
import type { Caller } from '../session/caller.ts';
import { missingRight, sayingRights } from '../session/rights.ts';
import type { Listed } from '../sources/cluster-reader.ts';
import { type ConfigKind, configKinds, isConfigKind, type MeshState } from '../sources/mesh-reader.ts';
import type { Analysis, Analyst } from './analysis.ts';
import { References } from './references.ts';
import {
  isMeshesOwnKind,
  isNamespaced,
  type MeshesOwnKind,
  meshesOwnKinds,
  readShown,
  type ShownKind,
  typesOf,
  withoutSecrets,
} from './shown-kinds.ts';
import { editableYaml, readText, statusYaml, storable } from './text.ts';

/** Under this name the API server notes what the console has changed. */
const fieldManager = 'istio-console';

const nameOf = (kind: ShownKind, { metadata }: KubeObject): ObjectName => ({
  kind,
  namespace: metadata.namespace ?? '',
  name: metadata.name ?? '',
});

function itemOf(kind: ShownKind, object: KubeObject, analysis: Analysis): ConfigItem {
  const name = nameOf(kind, object);
  return {
    ...name,
    apiVersion: object.apiVersion,
    createdAt: time(object.metadata.creationTimestamp),
    labels: object.metadata.labels ?? {},
    messages: analysis.of(kind, name.namespace, name.name),
  };
}

export interface ConfigQuery {
  /** '' for objects of the cluster. */
  readonly namespaces: readonly string[];
  /** Empty: all kinds. */
  readonly kinds: readonly (ConfigKind | MeshesOwnKind)[];
  /** What istiod itself has written, as far as the caller may list it. */
  readonly meshesOwn: ReadonlyMap<MeshesOwnKind, Listed>;
}

/** All configuration of these namespaces and kinds, by namespace, kind and name. Pure. */
export function listConfig(state: MeshState, analysis: Analysis, query: ConfigQuery): ConfigList {
  const wanted = new Set(query.namespaces);
  const kinds = query.kinds.length === 0 ? [...configKinds, ...meshesOwnKinds] : query.kinds;
  const items = kinds.flatMap((kind) =>
    (isConfigKind(kind) ? state.objects[kind] : (query.meshesOwn.get(kind)?.items ?? []))
      .filter(({ metadata }) => wanted.has(metadata.namespace ?? ''))
      .map((object) => itemOf(kind, object, analysis)),
  );
  const order = (item: ConfigItem): string => `${item.namespace} ${item.kind} ${item.name}`;
  const missing = kinds.flatMap((kind) => notListed(kind, state, query));
  const unreadable = kinds.filter((kind) => missing.some(({ resource, group }) => isTypeOf(kind, group, resource)));
  return {
    items: items.sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    kinds: [...state.kinds, ...(query.meshesOwn.size > 0 ? meshesOwnKinds : [])],
    ...(missing.length > 0 && { unreadable, missing }),
  };
}

const isTypeOf = (kind: ShownKind, group: string, resource: string): boolean =>
  typesOf(kind).some((type) => type.group === group && type.resource === resource);

/** The rights that a caller would need to see all of a kind in the asked namespaces. */
function notListed(
  kind: ConfigKind | MeshesOwnKind,
  state: MeshState,
  { namespaces, kinds, meshesOwn }: ConfigQuery,
): readonly MissingRight[] {
  const refused = (isConfigKind(kind) ? state.refused.get(kind) : meshesOwn.get(kind)?.refusedIn) ?? [];
  const [type] = typesOf(kind);
  if (!type || refused.length === 0) return [];
  // Nobody who works in a namespace has to hear about the cluster's objects unless they ask for them.
  if (!type.namespaced) return kinds.includes(kind) && namespaces.includes('') ? [missingRight('list', type, '')] : [];
  if (refused.includes('')) return [missingRight('list', type, '')];
  return refused
    .filter((namespace) => namespaces.includes(namespace))
    .map((namespace) => missingRight('list', type, namespace));
}

/** Reads kinds out of a query. Raises ApiFailure 400. */
export function kindsOf(names: readonly string[]): readonly (ConfigKind | MeshesOwnKind)[] {
  return names.map((name) => (isMeshesOwnKind(name) ? name : kindOf(name)));
}

export function kindOf(name: string): ConfigKind {
  if (!isConfigKind(name))
    throw new ApiFailure(
      400,
      `"${name.slice(0, 60)}" is no kind of the mesh's configuration: use one of ${configKinds.join(', ')}`,
    );
  return name;
}

const stored = (caller: Caller, name: ObjectName, kind: ShownKind): Promise<KubeObject> => {
  const [type] = typesOf(kind);
  const read = (): Promise<KubeObject> => readShown(caller.client, kind, name.namespace, name.name);
  return type ? sayingRights(caller.client, 'get', type, name, read) : read();
};

/** Raises ApiFailure 403 for what lies in a namespace that the caller does not see. */
async function refuseHidden({ mesh }: Caller, { kind, namespace, name }: ObjectName): Promise<void> {
  if (kind === 'Namespace') await mesh.namespaces([name]);
  else if (namespace !== '') await mesh.namespaces([namespace]);
}

/** An object with everything about it. Raises KubeApiError. */
export async function configDetail(
  caller: Caller,
  analyst: Analyst,
  name: ObjectName & { readonly kind: ShownKind },
  rootNamespace: string,
): Promise<ConfigDetail> {
  await refuseHidden(caller, name);
  const [whole, state, analysis] = await Promise.all([
    stored(caller, name, name.kind),
    caller.mesh.state(),
    analyst.stored(),
  ]);
  const object = withoutSecrets(name.kind, whole);
  const status = statusYaml(object);
  return {
    ...itemOf(name.kind, object, analysis),
    yaml: editableYaml(object),
    resourceVersion: object.metadata.resourceVersion ?? '',
    ...(status !== undefined && { status }),
    ...(!isConfigKind(name.kind) && { readOnly: true as const }),
    references: new References(state, rootNamespace).around(name),
  };
}

/** What is wrong with a text, and what would be wrong if it were stored. */
export async function checkText(analyst: Analyst, yaml: string, namespace: string): Promise<CheckResult> {
  const read = readText(yaml, namespace);
  if ('messages' in read) return { messages: read.messages };
  return { object: read.name, messages: await analyst.instead([read.file]) };
}

/** The object of a text. Raises ApiFailure 422 with what is wrong with the text. */
function readObject(yaml: string, namespace: string): { readonly name: ObjectName; readonly object: KubeObject } {
  const read = readText(yaml, namespace);
  if ('messages' in read) {
    const [first] = read.messages;
    const where =
      first?.line === undefined
        ? ''
        : ` (line ${first.line}${first.column === undefined ? '' : `, column ${first.column}`})`;
    throw new ApiFailure(
      422,
      `${first?.message ?? 'This text is no object'}${where}`,
      first?.field === undefined ? {} : { field: first.field },
    );
  }
  if (read.name.namespace === '' && isNamespaced(read.kind))
    throw new ApiFailure(422, 'metadata.namespace is missing: say where the object belongs', {
      object: read.name,
      field: 'metadata.namespace',
    });
  return { name: read.name, object: read.file.object };
}

async function write(
  caller: Caller,
  method: 'POST' | 'PUT',
  kind: ConfigKind,
  object: KubeObject,
): Promise<KubeObject> {
  const { namespace, name } = object.metadata;
  const type = inputTypes[kind];
  const path = method === 'POST' ? resourcePath(type, namespace) : resourcePath(type, namespace, name);
  const about = nameOf(kind, object);
  // Unknown fields would be dropped silently otherwise.
  const query = { fieldManager, fieldValidation: 'Strict' };
  return sayingRights(
    caller.client,
    method === 'POST' ? 'create' : 'update',
    type,
    about,
    async () => (await caller.client.request(method, path, object, { query })) as KubeObject,
  );
}

/**
 * Stores an object that was edited. Raises ApiFailure 409 when it has changed since, 422 for a text that is no such object, and KubeApiError for what
 * the API server or a webhook refuses.
 */
export async function putObject(
  caller: Caller,
  name: ObjectName,
  yaml: string,
  resourceVersion: string | undefined,
): Promise<void> {
  const edited = readObject(yaml, name.namespace);
  const kind = kindOf(name.kind);
  if (edited.name.kind !== name.kind || edited.name.namespace !== name.namespace || edited.name.name !== name.name)
    throw new ApiFailure(
      422,
      `this text is ${edited.name.kind} ${edited.name.namespace}/${edited.name.name}: kind, namespace and name of an object cannot be changed`,
      { object: name, field: 'metadata' },
    );
  const current = await stored(caller, name, kind);
  const version = resourceVersion ?? edited.object.metadata.resourceVersion;
  if (version !== undefined && version !== current.metadata.resourceVersion) throw conflict(name);
  const object = storable(edited.object, current);
  const versioned = {
    ...object,
    metadata: { ...object.metadata, resourceVersion: current.metadata.resourceVersion ?? '' },
  };
  await write(caller, 'PUT', kind, versioned).catch((error) => {
    throw isConflict(error) ? conflict(name) : error;
  });
  caller.mesh.changed();
}

/** Makes an object, or makes the one of this name what the text says. Raises as `putObject`. */
export async function applyObject(
  caller: Caller,
  yaml: string,
  resourceVersion: string | undefined,
): Promise<ObjectName> {
  const { name, object } = readObject(yaml, '');
  let current: KubeObject | undefined;
  try {
    current = await stored(caller, name, kindOf(name.kind));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  if (current) {
    await putObject(caller, name, yaml, resourceVersion);
    return name;
  }
  const { resourceVersion: _version, ...metadata } = object.metadata;
  await write(caller, 'POST', kindOf(name.kind), { ...object, metadata });
  caller.mesh.changed();
  return name;
}

/** Raises KubeApiError. */
export async function deleteObject(caller: Caller, name: ObjectName): Promise<void> {
  const type = inputTypes[kindOf(name.kind)];
  await sayingRights(caller.client, 'delete', type, name, () =>
    caller.client.delete(type, name.name, type.namespaced ? name.namespace : undefined),
  );
  caller.mesh.changed();
}

const isConflict = (error: unknown): boolean => (error as { readonly status?: unknown } | undefined)?.status === 409;

const conflict = (object: ObjectName): ApiFailure =>
  new ApiFailure(
    409,
    `${object.kind} ${object.namespace}/${object.name} has changed since it was opened: open it again`,
    { object },
  );
