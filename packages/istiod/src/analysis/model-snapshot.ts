import type { ConfigObject } from '@istio-ts/analysis/config-object';
import { type InputKind, inputTypes } from '@istio-ts/analysis/input-kinds';
import type { KnownService } from '@istio-ts/analysis/services';
import type { Snapshot } from '@istio-ts/analysis/snapshot';
import type { Workload } from '@istio-ts/analysis/workloads';
import { type Mesh, type MeshSources, rootNamespaceOf } from '@istio-ts/mesh';
import type { Config } from '@istio-ts/mesh/model';
import { configKinds } from '../config/config-kinds.ts';

export interface ModelSnapshotOptions {
  readonly clusterId: string;
  readonly revision: string;
  readonly namespace: string;
  readonly secretNamespaces?: readonly string[];
  /** Milliseconds since 1970. */
  readonly now: number;
}

/**
 * What an analysis looks at, as istiod's model has it: nothing is asked of the API server, and specs, services and workloads are shared with the model.
 * Of invalid objects it has the last valid version. Pods are known by their names and labels only.
 */
export function modelSnapshot(
  sources: MeshSources,
  mesh: Pick<Mesh, 'services' | 'config' | 'options'>,
  { clusterId, revision, namespace, secretNamespaces, now }: ModelSnapshotOptions,
): Snapshot {
  const entry = (
    kind: InputKind,
    origin: { readonly namespace: string; readonly name: string },
    facts: {
      readonly labels?: Readonly<Record<string, string>>;
      readonly annotations?: Readonly<Record<string, string>>;
      readonly spec?: unknown;
      readonly data?: unknown;
    },
  ): ConfigObject => {
    const { labels = {}, annotations = {}, spec, data } = facts;
    const { group, version, kind: realKind } = inputTypes[kind];
    return {
      kind,
      name: origin.name,
      namespace: origin.namespace,
      labels,
      annotations,
      ...(spec !== undefined && { spec }),
      object: {
        apiVersion: group === '' ? version : `${group}/${version}`,
        kind: realKind,
        metadata: { namespace: origin.namespace, name: origin.name, labels, annotations },
        ...(spec !== undefined && { spec }),
        ...(data !== undefined && { data }),
      },
      cluster: clusterId,
    };
  };
  const configs = configKinds.flatMap((kind) =>
    [...(sources.configs(kind).values() as Iterable<Config<unknown>>)].map((config) =>
      entry(kind, config.origin, config),
    ),
  );
  const namespaces = [...sources.namespaces.entries()].map(([name, { labels }]) =>
    entry('Namespace', { namespace: '', name }, { labels }),
  );
  const secrets = [...sources.secrets.values()].map((secret) => entry('Secret', secret, { data: secret.data }));
  const services = [...mesh.services.values()].map(
    (service): KnownService => ({
      ...service,
      object: entry(service.registry === 'Kubernetes' ? 'Service' : 'ServiceEntry', service.origin, {
        labels: service.labels,
      }),
    }),
  );
  const workloads = [...sources.pods.values()].map(({ labels, origin, finished }): Workload => {
    return {
      object: entry('Pod', origin, { labels }),
      namespace: origin.namespace,
      name: origin.name,
      labels,
      annotations: {},
      spec: {},
      specPath: 'spec',
      phase: finished ? 'Succeeded' : 'Running',
    };
  });
  const meshConfig = mesh.config.current;
  return {
    primary: clusterId,
    clusters: [clusterId],
    objects: [...configs, ...namespaces, ...secrets],
    forbidden: [],
    meshConfig,
    meshNetworks: sources.meshNetworks.current,
    revision,
    istioNamespace: namespace,
    rootNamespace: rootNamespaceOf(meshConfig),
    fromCluster: true,
    domainSuffix: mesh.options.domainSuffix,
    services,
    workloads,
    ...(secretNamespaces && { secretNamespaces }),
    now,
  };
}
