import { defaultMeshConfig, type MeshConfig, type MeshNetworks } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import {
  createMesh,
  type FetchedKeys,
  type MeshOptions,
  MeshSources,
  type Problem,
  type TrustBundles,
} from '@istio-ts/mesh';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { envoyFilterProblems } from '../envoy-filter/index.ts';
import type { ProxyNode, XdsResource } from '../source.ts';
import { telemetryProblems } from '../telemetry/problems.ts';
import { createEngine } from './engine.ts';
import type { GenerationError } from './proxy-class.ts';
import { typeUrls } from './type-urls.ts';

/** The proxy for which configuration is generated without any being connected. */
export interface OfflineProxy {
  readonly type?: ProxyNode['type'];
  /** Name of its pod; what the objects say about that pod counts as if it were connected. */
  readonly name: string;
  readonly namespace: string;
  readonly ipAddress?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly locality?: ProxyNode['locality'];
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Identity that it would prove; that of its namespace's default account where not given. */
  readonly identity?: string;
}

export interface OfflineOptions {
  readonly meshConfig?: MeshConfig;
  readonly meshNetworks?: MeshNetworks;
  readonly mesh?: Partial<MeshOptions>;
  /** What istiod would have put together of `caCertificates`. */
  readonly trustBundles?: TrustBundles;
  /** What istiod would have fetched for tokens, by `keySourceName`; without it all tokens are refused whose keys do not stand in their rules. */
  readonly fetchedKeys?: ReadonlyMap<string, FetchedKeys>;
}

export interface OfflineResult {
  /** All resources by type URL, in the order in which they were generated. */
  readonly resources: ReadonlyMap<string, readonly XdsResource[]>;
  readonly scope: ProxyScope;
  /** Objects that are invalid and were left out. */
  readonly problems: readonly Problem[];
  readonly errors: readonly GenerationError[];
}

/** The mesh configuration as the charts install it when nothing is chosen: its metrics go to Prometheus. */
export const chartMeshConfig = (): MeshConfig => ({
  ...defaultMeshConfig(),
  defaultProviders: { metrics: ['prometheus'] },
});

/** Generates the configuration of a proxy from objects in memory: the same code as in the server, on another source. */
export function generateOffline(
  objects: Iterable<KubeObject>,
  proxy: OfflineProxy,
  options: OfflineOptions = {},
): OfflineResult {
  const sources = new MeshSources({
    meshConfig: options.meshConfig ?? chartMeshConfig(),
    ...(options.meshNetworks && { meshNetworks: options.meshNetworks }),
    checkPatches: envoyFilterProblems,
    checkTelemetry: telemetryProblems,
  });
  const mesh = createMesh(sources, options.mesh ?? {});
  sources.batch(() => {
    for (const object of objects) sources.set(object);
    if (options.trustBundles) sources.trustBundles.set(options.trustBundles);
    for (const [name, keys] of options.fetchedKeys ?? []) sources.fetchedKeys.set(name, keys);
  });
  const errors: GenerationError[] = [];
  const problems = [...mesh.problems.values()].flat();
  const engine = createEngine(mesh, {
    schedule: () => {},
    onError: (error) => errors.push(error),
    // Secrets are seldom among the files: that one is missing is no news.
    onSecretProblem: (problem) => {
      if (problem.path !== '') problems.push(problem);
    },
  });
  const view = engine.connect(offlineNode(proxy));
  const resources = new Map(Object.values(typeUrls).map((url) => [url, [...view.resources(url).values()]] as const));
  const scope = view.scope();
  view.close();
  engine.close();
  return { resources, scope, problems, errors };
}

function offlineNode(proxy: OfflineProxy): ProxyNode {
  const type = proxy.type ?? 'sidecar';
  const ipAddress = proxy.ipAddress ?? '10.244.0.1';
  const dnsDomain = `${proxy.namespace}.svc.cluster.local`;
  return {
    id: `${type}~${ipAddress}~${proxy.name}.${proxy.namespace}~${dnsDomain}`,
    cluster: `${proxy.name}.${proxy.namespace}`,
    type,
    ipAddress,
    podName: proxy.name,
    namespace: proxy.namespace,
    dnsDomain,
    locality: proxy.locality ?? { region: '', zone: '', subzone: '' },
    metadata: { ...(proxy.labels && { LABELS: proxy.labels }), NAMESPACE: proxy.namespace, ...proxy.metadata },
    envoyVersion: undefined,
    identity: proxy.identity ?? `spiffe://cluster.local/ns/${proxy.namespace}/sa/default`,
  };
}
