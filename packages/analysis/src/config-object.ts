import type { Kind, KindSpecs } from '@istio-ts/api/kinds';
import type { KubeObject } from '@istio-ts/kube/object';
import type { InputKind } from './input-kinds.ts';

/** Where an object was read from, when that was a file. */
export interface FileSource {
  readonly file: string;
  /** Line on which the object starts, from 1. */
  readonly line: number;
  /** Line of a field, for example `spec.http[0].match`; of the nearest field above it when it does not exist. */
  readonly lineOf: (path: string) => number;
}

/** An object under analysis. */
export interface ConfigObject {
  readonly kind: InputKind;
  readonly name: string;
  /** '' for kinds without namespaces. */
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly object: KubeObject;
  /** Its spec, where whoever read it has decoded it already. */
  readonly spec?: unknown;
  /** The cluster it is (or, for files, will be) in. */
  readonly cluster: string;
  /** Undefined for objects of a cluster. */
  readonly source?: FileSource;
  /** Assumed to exist, because it is part of every installation; there are no messages about it. */
  readonly assumed?: true;
}

/** An object of one of Istio's kinds with its decoded spec, defaults filled in. What does not fit the schema is left out of `spec`. */
export interface IstioObject<K extends Kind> extends ConfigObject {
  readonly kind: K;
  readonly spec: KindSpecs[K];
}

/** `namespace/name`, or the name alone. */
export const nameOf = ({ namespace, name }: Pick<ConfigObject, 'namespace' | 'name'>): string =>
  namespace === '' ? name : `${namespace}/${name}`;

/** Kind and name for people: `VirtualService default/reviews`. */
export const describe = (object: ConfigObject): string => `${object.object.kind} ${nameOf(object)}`;

/** Wraps an object. `defaultNamespace` is for namespaced objects that name none. */
export function configObject(
  kind: InputKind,
  namespaced: boolean,
  object: KubeObject,
  where: {
    readonly cluster: string;
    readonly defaultNamespace: string;
    readonly source?: FileSource;
    readonly assumed?: true;
  },
): ConfigObject {
  const { metadata } = object;
  return {
    kind,
    name: typeof metadata.name === 'string' ? metadata.name : (metadata.generateName ?? ''),
    namespace: namespaced ? metadata.namespace || where.defaultNamespace : '',
    labels: texts(metadata.labels),
    annotations: texts(metadata.annotations),
    object,
    cluster: where.cluster,
    ...(where.source && { source: where.source }),
    ...(where.assumed && { assumed: true }),
  };
}

function texts(value: unknown): Readonly<Record<string, string>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
