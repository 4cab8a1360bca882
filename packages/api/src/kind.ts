import type { ResourceType } from '@istio-ts/kube/object';
import type { ProblemList } from './problems.ts';
import type { AnySchema, CelRule, Presence, Schema } from './schema/schema.ts';

/** A column of `kubectl get`. */
export interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date';
  readonly jsonPath: string;
  readonly description: string;
}

/** What else than the spec a kind's rules may look at. */
export interface RuleContext {
  readonly name: string;
  readonly namespace: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** Everything there is to know about a kind. */
export interface KindDefinition {
  readonly kind: string;
  readonly group: string;
  readonly plural: string;
  readonly singular: string;
  readonly listKind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  /** Served versions; all have the same schema. */
  readonly versions: readonly string[];
  readonly storedVersion: string;
  readonly columns: readonly PrinterColumn[];
  readonly description: string;
  readonly spec: AnySchema;
  readonly specRequired: boolean;
  readonly specCel: readonly CelRule[];
  /** Checks that a schema cannot express; runs on a decoded spec and never throws. */
  readonly rules: (spec: unknown, problems: ProblemList, context: RuleContext) => void;
  /** Where the API server serves the stored version. */
  readonly type: ResourceType;
}

/** A definition that knows its spec's type. */
export interface TypedKind<K extends string, T> extends KindDefinition {
  readonly kind: K;
  readonly spec: Schema<T, Presence>;
}

export const ageColumn: PrinterColumn = {
  name: 'Age',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'When the object was created.',
};

export function defineKind<const K extends string, T>(definition: {
  readonly kind: K;
  readonly group: string;
  readonly plural: string;
  readonly shortNames?: readonly string[];
  readonly versions: readonly string[];
  readonly storedVersion: string;
  readonly columns?: readonly PrinterColumn[];
  readonly description: string;
  readonly spec: Schema<T, Presence>;
  readonly specRequired?: boolean;
  readonly specCel?: readonly CelRule[];
  readonly rules?: (spec: T, problems: ProblemList, context: RuleContext) => void;
}): TypedKind<K, T> {
  const { kind, group, plural, storedVersion, rules } = definition;
  return {
    kind,
    group,
    plural,
    singular: kind.toLowerCase(),
    listKind: `${kind}List`,
    shortNames: definition.shortNames ?? [],
    categories: ['istio-io', group.replaceAll('.', '-')],
    versions: definition.versions,
    storedVersion,
    columns: definition.columns ?? [],
    description: definition.description,
    spec: definition.spec,
    specRequired: definition.specRequired ?? false,
    specCel: definition.specCel ?? [],
    // `decode` gives exactly `T` for this schema, whatever came in.
    rules: (spec, problems, context) => rules?.(spec as T, problems, context),
    type: { group, version: storedVersion, resource: plural, kind, namespaced: true },
  };
}
