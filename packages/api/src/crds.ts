import type { KindDefinition } from './kind.ts';
import { kinds } from './kinds.ts';
import { type JsonSchema, openApi } from './schema/openapi.ts';

/** A CustomResourceDefinition, ready for the API server. */
export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly annotations: Readonly<Record<string, string>>;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: Readonly<Record<string, unknown>>;
}

/** The definitions of all of Istio's kinds, by name. */
export function customResourceDefinitions(): readonly CustomResourceDefinition[] {
  return kinds.map(definitionOf).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function definitionOf(kind: KindDefinition): CustomResourceDefinition {
  const schema: JsonSchema = {
    type: 'object',
    description: kind.description,
    properties: {
      spec: openApi(kind.spec, kind.specCel),
      // Written by controllers only, and differently by versions.
      status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
    },
    ...(kind.specRequired && { required: ['spec'] }),
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: `${kind.plural}.${kind.group}`,
      // Helm must not delete users' objects with the chart.
      annotations: { 'helm.sh/resource-policy': 'keep' },
      labels: { app: 'istio-pilot', istio: kind.group.split('.')[0] ?? '' },
    },
    spec: {
      group: kind.group,
      names: {
        kind: kind.kind,
        listKind: kind.listKind,
        plural: kind.plural,
        singular: kind.singular,
        ...(kind.shortNames.length > 0 && { shortNames: kind.shortNames }),
        categories: kind.categories,
      },
      scope: 'Namespaced',
      versions: kind.versions.map((version) => ({
        name: version,
        served: true,
        storage: version === kind.storedVersion,
        schema: { openAPIV3Schema: schema },
        subresources: { status: {} },
        ...(kind.columns.length > 0 && { additionalPrinterColumns: kind.columns }),
      })),
    },
  };
}
