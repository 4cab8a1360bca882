import { type InputKind, inputTypes } from '@istio-ts/analysis/input-kinds';
import type { KubeObject } from '@istio-ts/kube';
import { ApiFailure } from '../http/failure.ts';
import { type ConfigView, configView } from '../mesh/config-view.ts';
import { type MeshView, meshView } from '../mesh/mesh-view.ts';
import { readTraffic, noTraffic, type TrafficSamples } from '../traffic/samples.ts';
import { Cached } from './cached.ts';
import type { ClusterReader } from './cluster-reader.ts';
import { SourceError } from './http-get.ts';
import type { Prometheus } from './prometheus.ts';

/** Suffix of the names of services: Kubernetes' own, which nearly nobody changes. */
export const domainSuffix = 'cluster.local';

/** Kinds of configuration that the console shows. The Gateway API's Gateway is called KubernetesGateway, for Istio has a Gateway too. */
export const configKinds = [
  'VirtualService',
  'DestinationRule',
  'Gateway',
  'ServiceEntry',
  'Sidecar',
  'WorkloadEntry',
  'WorkloadGroup',
  'EnvoyFilter',
  'ProxyConfig',
  'AuthorizationPolicy',
  'PeerAuthentication',
  'RequestAuthentication',
  'Telemetry',
  'WasmPlugin',
  'TrafficExtension',
  'GatewayClass',
  'KubernetesGateway',
  'HTTPRoute',
  'GRPCRoute',
  'TLSRoute',
  'TCPRoute',
  'ReferenceGrant',
] as const satisfies readonly InputKind[];
export type ConfigKind = (typeof configKinds)[number];

export const isConfigKind = (kind: string): kind is ConfigKind => (configKinds as readonly string[]).includes(kind);

/** The cluster as one user sees it, in relation. */
export interface MeshState {
  readonly mesh: MeshView;
  readonly config: ConfigView;
  readonly objects: Readonly<Record<ConfigKind, readonly KubeObject[]>>;
  /** Kinds that the cluster serves. */
  readonly kinds: readonly ConfigKind[];
  /** Namespaces in which kinds may not be listed, '' for all: that there are none of them says nothing then. */
  readonly refused: ReadonlyMap<ConfigKind, readonly string[]>;
  /** What could not be read. */
  readonly warnings: readonly string[];
}

const viewMs = 3_000;

/** Reads the mesh with the rights of one user. */
export class MeshReader {
  readonly cluster: ClusterReader;
  readonly #states: Cached<MeshState>;

  constructor(cluster: ClusterReader, now: () => number) {
    this.cluster = cluster;
    this.#states = new Cached(viewMs, now);
  }

  state(): Promise<MeshState> {
    return this.#states.get('', () => this.#read());
  }

  /** The namespaces that are asked for, or all that the user sees. Raises ApiFailure 403. */
  async namespaces(asked: readonly string[]): Promise<readonly string[]> {
    const { names } = await this.cluster.visible();
    if (asked.length === 0) return names;
    const hidden = asked.find((name) => !names.includes(name));
    if (hidden !== undefined)
      throw new ApiFailure(403, `there is no namespace ${hidden}, or you may not look into it`, {
        object: { kind: 'Namespace', namespace: '', name: hidden },
      });
    return asked;
  }

  /** Raises ApiFailure 403 for those who do not see the whole cluster: `what` cannot be limited to some namespaces. */
  async seesAll(what: string): Promise<void> {
    const { all } = await this.cluster.visible();
    if (!all)
      throw new ApiFailure(
        403,
        `${what} tell about all namespaces: they are for those who may list the pods of all namespaces`,
      );
  }

  /** Traffic that touches these namespaces; none, and the reason, where the metrics cannot be had. */
  async traffic(
    prometheus: Prometheus,
    namespaces: readonly string[],
    duration: number,
    at: number,
  ): Promise<{ readonly samples: TrafficSamples; readonly warnings: readonly string[] }> {
    const { all, names } = await this.cluster.visible();
    // Without a list of namespaces the metrics are found faster.
    const limited = all && namespaces.length === names.length ? undefined : namespaces;
    if (limited?.length === 0) return { samples: noTraffic, warnings: [] };
    try {
      return { samples: await readTraffic(prometheus, limited, duration, at), warnings: [] };
    } catch (error) {
      if (!(error instanceof SourceError)) throw error;
      return { samples: noTraffic, warnings: [`There are no metrics: ${error.message}`] };
    }
  }

  /** Forgets what was read, because the user has changed something. */
  changed(): void {
    this.cluster.changed();
    this.#states.clear();
  }

  async #read(): Promise<MeshState> {
    const kinds: readonly InputKind[] = [
      'Namespace',
      'Pod',
      'Service',
      'Deployment',
      'StatefulSet',
      'DaemonSet',
      ...configKinds,
    ];
    const lists = new Map(await Promise.all(kinds.map(async (kind) => [kind, await this.cluster.list(kind)] as const)));
    const of = (kind: InputKind): readonly KubeObject[] => lists.get(kind)?.items ?? [];
    const { names } = await this.cluster.visible();
    // Who may not list namespaces still knows the names of their own.
    const namespaces =
      of('Namespace').length > 0
        ? of('Namespace')
        : names.map((name) => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } }));
    // What belongs to no namespace is of no concern to who works in one.
    const forbidden = kinds.filter((kind) => lists.get(kind)?.forbidden !== undefined && inputTypes[kind].namespaced);
    return {
      mesh: meshView({
        namespaces,
        pods: of('Pod'),
        services: of('Service'),
        controllers: [...of('Deployment'), ...of('StatefulSet'), ...of('DaemonSet')],
        domainSuffix,
      }),
      config: configView(
        {
          virtualServices: of('VirtualService'),
          destinationRules: of('DestinationRule'),
          serviceEntries: of('ServiceEntry'),
        },
        domainSuffix,
      ),
      objects: Object.fromEntries(configKinds.map((kind) => [kind, of(kind)])) as MeshState['objects'],
      kinds: configKinds.filter((kind) => !lists.get(kind)?.unknown),
      refused: new Map(
        configKinds.flatMap((kind) => {
          const { refusedIn } = lists.get(kind) ?? {};
          return refusedIn ? [[kind, refusedIn] as const] : [];
        }),
      ),
      warnings:
        forbidden.length === 0
          ? []
          : [
              `You may not list ${forbidden.map((kind) => inputTypes[kind].resource).join(', ')}: what they say is left out`,
            ],
    };
  }
}
