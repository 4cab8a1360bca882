import { type FileObject, inputKindOf, readManifestText } from '@istio-ts/analysis';
import { inputTypes } from '@istio-ts/analysis/input-kinds';
import type { KubeObject } from '@istio-ts/kube';
import { dump } from 'js-yaml';
import type { ObjectName, ValidationMessage } from '../api.ts';
import { type Fields, fields, textMap } from '../mesh/read.ts';
import { type ConfigKind, isConfigKind } from '../sources/mesh-reader.ts';

/** Code of the messages about text that is no object that the console can store. */
export const syntaxCode = 'YAML';
/** Under this name the text of an editor is analysed. */
const file = 'text';

/** What kubectl notes of its own edits: of no use to people, and lost for kubectl when it is left out of what is stored. */
const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
/** Metadata that the API server keeps. */
const serversOwn = ['managedFields', 'resourceVersion', 'uid', 'generation', 'creationTimestamp', 'selfLink'];

/** An object as people edit it: without what the API server keeps of it, and without its status. */
export function editableYaml(object: KubeObject): string {
  const { status: _status, metadata, ...rest } = object;
  const kept = Object.fromEntries(Object.entries(metadata).filter(([key]) => !serversOwn.includes(key)));
  const { [lastApplied]: _lastApplied, ...annotations } = textMap(metadata.annotations);
  if (Object.keys(annotations).length === 0) delete kept.annotations;
  else kept.annotations = annotations;
  const { apiVersion, kind, ...others } = rest;
  return dump({ apiVersion, kind, metadata: kept, ...others }, { lineWidth: -1, noRefs: true });
}

/** The status of an object as YAML; undefined where it has none. */
export const statusYaml = ({ status }: KubeObject): string | undefined =>
  Object.keys(fields(status)).length === 0 ? undefined : dump(status, { lineWidth: -1, noRefs: true });

/** What was edited, to be stored in place of `stored`: with what `editableYaml` has left out. */
export function storable(edited: KubeObject, stored: KubeObject | undefined): KubeObject {
  if (!stored) return edited;
  const { ownerReferences, finalizers, uid } = stored.metadata;
  const applied = stored.metadata.annotations?.[lastApplied];
  const metadata: Fields = edited.metadata as unknown as Fields;
  return {
    ...edited,
    metadata: {
      ...(ownerReferences && { ownerReferences }),
      ...(finalizers && { finalizers }),
      ...metadata,
      ...(uid !== undefined && { uid }),
      ...(applied !== undefined && { annotations: { [lastApplied]: applied, ...textMap(metadata.annotations) } }),
    },
  };
}

/** A text that is one object of the mesh's configuration, or what keeps it from being that. */
export type ReadText =
  | { readonly kind: ConfigKind; readonly file: FileObject; readonly name: ObjectName }
  | { readonly messages: readonly ValidationMessage[]; readonly name?: ObjectName };

const problem = (
  message: string,
  where: { readonly line?: number; readonly column?: number; readonly field?: string } = {},
): ReadText => ({
  messages: [{ code: syntaxCode, level: 'Error', message, ...where }],
});

/** Reads the text of an editor. Never throws. */
export function readText(yaml: string, defaultNamespace = ''): ReadText {
  const { objects, problems } = readManifestText(yaml, file);
  if (problems.length > 0)
    return {
      messages: problems.map(({ line, column, reason }) => ({
        code: syntaxCode,
        level: 'Error',
        message: reason,
        line,
        ...(column !== undefined && { column }),
      })),
    };
  const [first, second] = objects;
  if (!first) return problem('There is no object in this text', { line: 1 });
  if (second) return problem('This is more than one object: edit them one by one', { line: second.source.line });
  const { object, source } = first;
  const { metadata } = object;
  const kind = inputKindOf(object.apiVersion, object.kind);
  const line = (field: string) => ({ field, line: source.lineOf(field) });
  if (kind === undefined || !isConfigKind(kind))
    return problem(`${object.kind} of ${object.apiVersion} is no configuration of the mesh`, line('kind'));
  if (typeof metadata.name !== 'string' || metadata.name === '')
    return problem('metadata.name is missing', line('metadata'));
  if (metadata.namespace !== undefined && typeof metadata.namespace !== 'string')
    return problem('metadata.namespace must be a text', line('metadata.namespace'));
  if (!inputTypes[kind].namespaced) {
    if (metadata.namespace)
      return problem(`${object.kind} is an object of the cluster: it has no namespace`, line('metadata.namespace'));
    return { kind, name: { kind, namespace: '', name: metadata.name }, file: { object, source } };
  }
  const namespace = metadata.namespace || defaultNamespace;
  const name = { kind, namespace, name: metadata.name };
  return { kind, name, file: { object: { ...object, metadata: { ...metadata, namespace } }, source } };
}
