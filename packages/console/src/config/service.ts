import { inputTypes } from '@istio-ts/analysis/input-kinds';
import { isNotFound, type KubeObject, resourcePath } from '@istio-ts/kube';
import type { CheckResult, ConfigDetail, ConfigItem, ConfigList, ObjectName } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { time } from '../mesh/read.ts';
import type { Caller } from '../session/caller.ts';
import { type ConfigKind, configKinds, isConfigKind, type MeshState } from '../sources/mesh-reader.ts';
import type { Analysis, Analyst } from './analysis.ts';
import { References } from './references.ts';
import { editableYaml, readText, statusYaml, storable } from './text.ts';

/** Under this name the API server notes what the console has changed. */
const fieldManager = 'istio-console';

const nameOf = (kind: ConfigKind, { metadata }: KubeObject): ObjectName => ({
  kind,
  namespace: metadata.namespace ?? '',
  name: metadata.name ?? '',
});

function itemOf(kind: ConfigKind, object: KubeObject, analysis: Analysis): ConfigItem {
  const name = nameOf(kind, object);
  return {
    ...name,
    apiVersion: object.apiVersion,
    createdAt: time(object.metadata.creationTimestamp),
    labels: object.metadata.labels ?? {},
    messages: analysis.of(kind, name.namespace, name.name),
  };
}

/** All configuration of these namespaces and kinds (empty: all kinds), by namespace, kind and name. Pure. */
export function listConfig(
  state: MeshState,
  analysis: Analysis,
  namespaces: readonly string[],
  kinds: readonly ConfigKind[],
): ConfigList {
  const wanted = new Set(namespaces);
  const items = (kinds.length === 0 ? configKinds : kinds).flatMap((kind) =>
    state.objects[kind]
      .filter(({ metadata }) => wanted.has(metadata.namespace ?? ''))
      .map((object) => itemOf(kind, object, analysis)),
  );
  const order = (item: ConfigItem): string => `${item.namespace} ${item.kind} ${item.name}`;
  return { items: items.sort((a, b) => (order(a) < order(b) ? -1 : 1)), kinds: state.kinds };
}

/** Reads kinds out of a query. Raises ApiFailure 400. */
export function kindsOf(names: readonly string[]): readonly ConfigKind[] {
  return names.map(kindOf);
}

export function kindOf(name: string): ConfigKind {
  if (!isConfigKind(name))
    throw new ApiFailure(
      400,
      `"${name.slice(0, 60)}" is no kind of the mesh's configuration: use one of ${configKinds.join(', ')}`,
    );
  return name;
}

async function stored(caller: Caller, { kind, namespace, name }: ObjectName): Promise<KubeObject> {
  return caller.client.get(inputTypes[kindOf(kind)], name, namespace);
}

/** An object with everything about it. Raises KubeApiError. */
export async function configDetail(
  caller: Caller,
  analyst: Analyst,
  name: ObjectName,
  rootNamespace: string,
): Promise<ConfigDetail> {
  await caller.mesh.namespaces([name.namespace]);
  const [object, state, analysis] = await Promise.all([stored(caller, name), caller.mesh.state(), analyst.stored()]);
  const status = statusYaml(object);
  return {
    ...itemOf(kindOf(name.kind), object, analysis),
    yaml: editableYaml(object),
    resourceVersion: object.metadata.resourceVersion ?? '',
    ...(status !== undefined && { status }),
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
  if (read.name.namespace === '')
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
  // Unknown fields would be dropped silently otherwise.
  const query = { fieldManager, fieldValidation: 'Strict' };
  return (await caller.client.request(method, path, object, { query })) as KubeObject;
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
  const current = await stored(caller, name);
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
    current = await stored(caller, name);
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
  await caller.client.delete(inputTypes[kindOf(name.kind)], name.name, name.namespace);
  caller.mesh.changed();
}

const isConflict = (error: unknown): boolean => (error as { readonly status?: unknown } | undefined)?.status === 409;

const conflict = (object: ObjectName): ApiFailure =>
  new ApiFailure(
    409,
    `${object.kind} ${object.namespace}/${object.name} has changed since it was opened: open it again`,
    { object },
  );
