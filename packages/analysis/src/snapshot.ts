import { decodeMeshConfig, decodeMeshNetworks } from '@istio-ts/api/mesh/decode';
import type { MeshConfig, MeshNetworks } from '@istio-ts/api/mesh/mesh-config';
import type { KubeObject } from '@istio-ts/kube/object';
import { parseYaml } from '@istio-ts/kube/yaml';
import { type ConfigObject, configObject } from './config-object.ts';
import { type InputKind, inputKindOf, inputTypes } from './input-kinds.ts';
import type { FileObject } from './manifest-text.ts';
import type { KnownService } from './services.ts';
import type { Workload } from './workloads.ts';

/** What was read of one cluster. */
export interface ClusterObjects {
  /** Name for messages, for example a context of the kubeconfig. */
  readonly cluster: string;
  readonly objects: readonly KubeObject[];
  /** Kinds that the user may not list, and what the server said. */
  readonly forbidden?: readonly { readonly kind?: InputKind; readonly resource: string; readonly error: string }[];
}

/** Everything that an analysis looks at. */
export interface Snapshot {
  /** The cluster whose configuration is analysed. */
  readonly primary: string;
  /** All clusters of the mesh, the primary one first. */
  readonly clusters: readonly string[];
  readonly objects: readonly ConfigObject[];
  readonly forbidden: readonly {
    readonly cluster: string;
    readonly kind?: InputKind;
    readonly resource: string;
    readonly error: string;
  }[];
  readonly meshConfig: MeshConfig;
  readonly meshNetworks: MeshNetworks;
  readonly revision: string;
  readonly istioNamespace: string;
  readonly rootNamespace: string;
  /** Whether a cluster was read. Without one, a thing that is missing may just not be in the files. */
  readonly fromCluster: boolean;
  /** Milliseconds since 1970, for certificates; undefined: none is too old. */
  readonly now?: number;
  /** Suffix of the names of Kubernetes services. */
  readonly domainSuffix: string;
  /** Services and workloads, where whoever made the snapshot knows them; else they are read from the objects. */
  readonly services?: readonly KnownService[];
  readonly workloads?: readonly Workload[];
  /** Namespaces whose Secrets are known; undefined: those of all namespaces. */
  readonly secretNamespaces?: readonly string[];
}

export interface SnapshotInput {
  readonly files: readonly FileObject[];
  /** Clusters of the mesh, the primary one first; empty when only files are analysed. */
  readonly clusters: readonly ClusterObjects[];
  /** Mesh configuration as YAML, instead of that of the cluster. */
  readonly meshConfigYaml?: string;
  readonly revision: string;
  readonly istioNamespace: string;
  /** For objects of files that name no namespace. */
  readonly defaultNamespace: string;
  readonly now?: number;
}

/** Name of the cluster that files without a cluster are for. */
const filesOnly = 'files';

/**
 * Puts files and clusters together: an object of a file takes the place of the one of the same kind, namespace and name in the primary cluster, as
 * `kubectl apply` would. Istio's objects that belong to another revision (label istio.io/rev) are left out, as its istiod does.
 */
export function createSnapshot(input: SnapshotInput): Snapshot {
  const primary = input.clusters[0]?.cluster ?? filesOnly;
  const objects = new Map<string, ConfigObject>();
  const add = (entry: ConfigObject): void => {
    objects.set(JSON.stringify([entry.cluster, entry.kind, entry.namespace, entry.name]), entry);
  };
  const wrap = (object: KubeObject, where: Parameters<typeof configObject>[3]): ConfigObject | undefined => {
    const kind = inputKindOf(object.apiVersion, object.kind);
    return kind && configObject(kind, inputTypes[kind].namespaced, object, where);
  };
  const { defaultNamespace } = input;
  if (input.clusters.length === 0) {
    for (const object of assumedObjects(input.istioNamespace)) {
      const entry = wrap(object, { cluster: primary, defaultNamespace, assumed: true });
      if (entry) add(entry);
    }
  }
  for (const { cluster, objects: found } of input.clusters) {
    for (const object of found) {
      const entry = wrap(object, { cluster, defaultNamespace });
      if (entry) add(entry);
    }
  }
  for (const { object, source } of input.files) {
    const entry = wrap(object, { cluster: primary, defaultNamespace, source });
    if (entry) add(entry);
  }
  const all = [...objects.values()].filter((entry) => !ofOtherRevision(entry, input.revision));
  const config = (key: string): string | undefined => {
    const suffix = input.revision === 'default' ? '' : `-${input.revision}`;
    const map = all.find(
      ({ kind, cluster, namespace, name }) =>
        kind === 'ConfigMap' && cluster === primary && namespace === input.istioNamespace && name === `istio${suffix}`,
    );
    return (map?.object.data as Readonly<Record<string, string>> | undefined)?.[key];
  };
  const meshConfig = decodeMeshConfig(yaml(input.meshConfigYaml ?? config('mesh'), 'mesh configuration')).value;
  return {
    primary,
    clusters: input.clusters.length === 0 ? [primary] : input.clusters.map(({ cluster }) => cluster),
    objects: all,
    forbidden: input.clusters.flatMap(({ cluster, forbidden = [] }) =>
      forbidden.map((entry) => ({ cluster, ...entry })),
    ),
    meshConfig,
    meshNetworks: decodeMeshNetworks(yaml(config('meshNetworks'), 'mesh networks')).value,
    revision: input.revision,
    istioNamespace: input.istioNamespace,
    rootNamespace: meshConfig.rootNamespace || input.istioNamespace,
    fromCluster: input.clusters.length > 0,
    domainSuffix: 'cluster.local',
    ...(input.now !== undefined && { now: input.now }),
  };
}

const yaml = (text: string | undefined, what: string): unknown =>
  text === undefined || text.trim() === '' ? {} : parseYaml(text, what);

const istioGroup = /\.istio\.io$/;

function ofOtherRevision(entry: ConfigObject, revision: string): boolean {
  if (!istioGroup.test(inputTypes[entry.kind].group)) return false;
  const own = entry.labels['istio.io/rev'];
  return own !== undefined && own !== '' && own !== revision;
}

/** What every installation brings along and files of applications refer to: the default ingress gateway. */
function assumedObjects(namespace: string): readonly KubeObject[] {
  const labels = { app: 'istio-ingressgateway', istio: 'ingressgateway' };
  const name = 'istio-ingressgateway';
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels },
      spec: {
        type: 'LoadBalancer',
        selector: labels,
        ports: [
          { name: 'status-port', port: 15021, targetPort: 15021 },
          { name: 'http2', port: 80, targetPort: 8080 },
          { name: 'https', port: 443, targetPort: 8443 },
        ],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace, labels },
      spec: { containers: [{ name: 'istio-proxy', image: 'auto' }] },
    },
  ];
}
