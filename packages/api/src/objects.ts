import type { KubeObject } from '@istio-ts/kube/object';
import type { RuleContext } from './kind.ts';
import { type Kind, type KindSpecs, kindOf, kindsByName } from './kinds.ts';
import { type FieldProblem, ProblemList } from './problems.ts';
import { decode as decodeSchema } from './schema/decode.ts';

/** An object of a kind, decoded. */
export interface TypedObject<K extends Kind, Spec> {
  readonly kind: K;
  readonly name: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** RFC 3339; '' for an object that no API server has seen. */
  readonly creationTimestamp: string;
  readonly resourceVersion: string;
  readonly spec: Spec;
}

/** The decoded object of each kind. */
export type KindTypes = { readonly [K in Kind]: TypedObject<K, KindSpecs[K]> };

/**
 * Reads an object of a known kind. What does not fit is left out and reported; the value is always usable. Unknown fields
 * are warnings here, because an API server with newer CRDs may let them pass. Does not run the kind's own rules:
 * `decodeAndValidate` does.
 */
export function decode<K extends Kind>(
  kind: K,
  object: KubeObject,
): { readonly value: KindTypes[K]; readonly problems: readonly FieldProblem[] } {
  const problems = new ProblemList();
  return { value: read(kind, object, problems, 'warning'), problems: problems.problems };
}

/** As `decode`, and checks everything that `validate` checks, reading the object only once. */
export function decodeAndValidate<K extends Kind>(
  kind: K,
  object: KubeObject,
): { readonly value: KindTypes[K]; readonly problems: readonly FieldProblem[] } {
  const problems = new ProblemList();
  const value = read(kind, object, problems, 'warning');
  kindsByName[kind].rules(value.spec, problems, contextOf(value));
  return { value, problems: problems.problems };
}

/**
 * Checks an object as the validation webhook, `istioctl validate` and `istioctl analyze` do: the schema with unknown
 * fields as errors, and the rules of its kind. Never throws, whatever JSON comes in. An object of a kind that is not
 * Istio's has no problems here.
 */
export function validate(object: KubeObject): readonly FieldProblem[] {
  const problems = new ProblemList();
  const definition = kindOf(text(object?.apiVersion), text(object?.kind));
  if (!definition) return [];
  if (definition.specRequired && (object.spec === undefined || object.spec === null)) {
    problems.error('spec', 'is required');
    return problems.problems;
  }
  const kind = definition.kind as Kind;
  const value = read(kind, object, problems, 'error');
  definition.rules(value.spec, problems, contextOf(value));
  return problems.problems;
}

function read<K extends Kind>(
  kind: K,
  object: KubeObject,
  problems: ProblemList,
  unknownFields: 'error' | 'warning',
): KindTypes[K] {
  const metadata: Readonly<Record<string, unknown>> = isFields(object.metadata) ? object.metadata : {};
  const spec = decodeSchema<unknown>(kindsByName[kind].spec, object.spec ?? {}, 'spec', problems, { unknownFields });
  const typed: TypedObject<K, unknown> = {
    kind,
    name: text(metadata.name),
    namespace: text(metadata.namespace),
    labels: texts(metadata.labels),
    annotations: texts(metadata.annotations),
    creationTimestamp: text(metadata.creationTimestamp),
    resourceVersion: text(metadata.resourceVersion),
    spec,
  };
  // `decodeSchema` gives exactly the type of this kind's schema; the compiler cannot follow the table by key.
  return typed as unknown as KindTypes[K];
}

function contextOf(value: {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: RuleContext['annotations'];
}): RuleContext {
  return { name: value.name, namespace: value.namespace, annotations: value.annotations };
}

function isFields(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

const none: Readonly<Record<string, string>> = {};

function texts(value: unknown): Readonly<Record<string, string>> {
  if (!isFields(value)) return none;
  if (Object.values(value).every((item) => typeof item === 'string')) return value as Readonly<Record<string, string>>;
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
