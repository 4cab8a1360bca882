import type {
  AuthorizationPolicySpec,
  DestinationRuleSpec,
  EnvoyFilterSpec,
  GatewaySpec,
  MeshConfig,
  MeshNetworks,
  PeerAuthenticationSpec,
  RequestAuthenticationSpec,
  ServiceEntrySpec,
  SidecarSpec,
  TelemetrySpec,
  TrafficExtensionSpec,
  VirtualServiceSpec,
  WasmPluginSpec,
  WorkloadEntrySpec,
} from '@istio-ts/api';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { type Collection, Graph, type GraphOptions, SourceCell, SourceCollection } from '@istio-ts/collections';
import type { KubeObject, ResourceType } from '@istio-ts/kube/object';
import { decodeSpec } from './decode.ts';
import { DiscoverySelection, type Gate } from './discovery-selection.ts';
import {
  createdAt,
  type EndpointSliceFacts,
  type NamespaceFacts,
  type NodeFacts,
  originOf,
  type PodFacts,
  readConfigStatus,
  readEndpointSlice,
  readNamespace,
  readNode,
  readPod,
  readSecret,
  readService,
  type SecretFacts,
  type ServiceFacts,
} from './kubernetes/facts.ts';
import { type IngressClassFacts, type IngressFacts, readIngress, readIngressClass } from './kubernetes/ingress.ts';
import { textMap } from './kubernetes/read.ts';
import type { Config, Origin } from './model.ts';
import { standInFor } from './stand-in.ts';
import type { FetchedKeys } from './token-keys.ts';
import type { TrustBundles } from './trust-bundles.ts';

/** Why an object is not part of the mesh, or not its newest version. */
export interface Problem {
  readonly origin: Origin;
  /** Field path, for example `spec.http[0].route[0].weight`; '' for the object as a whole. */
  readonly path: string;
  readonly message: string;
  /** True when an earlier, valid version of the object stays in force. */
  readonly lastGoodStays: boolean;
  /** True when only the part at `path` is left out and the rest of the object is in force. */
  readonly onlyPart?: boolean;
}

/** Istio's kinds that the mesh is made of. */
export interface ConfigKinds {
  readonly VirtualService: VirtualServiceSpec;
  readonly DestinationRule: DestinationRuleSpec;
  readonly Gateway: GatewaySpec;
  readonly ServiceEntry: ServiceEntrySpec;
  readonly WorkloadEntry: WorkloadEntrySpec;
  readonly Sidecar: SidecarSpec;
  readonly PeerAuthentication: PeerAuthenticationSpec;
  readonly RequestAuthentication: RequestAuthenticationSpec;
  readonly AuthorizationPolicy: AuthorizationPolicySpec;
  readonly Telemetry: TelemetrySpec;
  readonly EnvoyFilter: EnvoyFilterSpec;
  readonly WasmPlugin: WasmPluginSpec;
  readonly TrafficExtension: TrafficExtensionSpec;
}

/** Everything to watch for a complete mesh. Objects of any version of these groups are understood. */
export const meshResources: readonly ResourceType[] = [
  kubernetesTypes.Namespace,
  kubernetesTypes.Node,
  kubernetesTypes.Service,
  kubernetesTypes.Pod,
  kubernetesTypes.Secret,
  kubernetesTypes.EndpointSlice,
  kubernetesTypes.Ingress,
  kubernetesTypes.IngressClass,
  istioTypes.VirtualService,
  istioTypes.DestinationRule,
  istioTypes.Gateway,
  istioTypes.ServiceEntry,
  istioTypes.WorkloadEntry,
  istioTypes.Sidecar,
  istioTypes.EnvoyFilter,
  istioTypes.WasmPlugin,
  istioTypes.TrafficExtension,
  istioTypes.PeerAuthentication,
  istioTypes.RequestAuthentication,
  istioTypes.AuthorizationPolicy,
  istioTypes.Telemetry,
];

const kindKeys = new Set(meshResources.map(({ group, kind }) => `${group}/${kind}`));
const kindKey = (object: Pick<KubeObject, 'apiVersion' | 'kind'>): string => {
  const slash = object.apiVersion.indexOf('/');
  return `${slash < 0 ? '' : object.apiVersion.slice(0, slash)}/${object.kind}`;
};

/** Key of an object in a collection of one kind. */
export const objectKey = (namespace: string, name: string): string => `${namespace}/${name}`;
const namespaceOfKey = (key: string): string => key.slice(0, key.indexOf('/'));

export interface MeshSourcesOptions extends GraphOptions {
  readonly meshConfig: MeshConfig;
  readonly meshNetworks?: MeshNetworks;
  /** Finds parts of EnvoyFilters that are no configuration of Envoy: the mesh itself does not know its messages. */
  readonly checkPatches?: (
    filter: Config<EnvoyFilterSpec>,
  ) => readonly { readonly path: string; readonly message: string }[];
  /** Finds what proxies cannot do of what Telemetries ask for. */
  readonly checkTelemetry?: (
    telemetry: Config<TelemetrySpec>,
  ) => readonly { readonly path: string; readonly message: string }[];
}

/**
 * Where the mesh gets its objects from: anything that calls `set` and `delete`, be it a watch on the Kubernetes API, a folder of files or a test.
 * Objects are decoded and checked here, at the edge: one that is invalid never gets further. It is reported in `problems`, and the version of it
 * that was valid last stays in force.
 */
export class MeshSources {
  readonly graph: Graph;
  readonly meshConfig: SourceCell<MeshConfig>;
  /** Key `meshNetworks` of the mesh configuration. */
  readonly meshNetworks: SourceCell<MeshNetworks>;
  /** Addresses of the DNS names that gateways of networks have, by name; filled by whoever resolves them. */
  readonly resolvedNames: SourceCollection<readonly string[]>;
  /** Keys that RequestAuthentications want, by `keySourceName`; filled by whoever fetches them. */
  readonly fetchedKeys: SourceCollection<FetchedKeys>;
  /** What proxies trust where the mesh configuration names further authorities; filled by whoever fetches their bundles. */
  readonly trustBundles: SourceCell<TrustBundles>;
  readonly pods: SourceCollection<PodFacts>;
  readonly services: SourceCollection<ServiceFacts>;
  readonly endpointSlices: SourceCollection<EndpointSliceFacts>;
  /** By name. */
  readonly nodes: SourceCollection<NodeFacts>;
  /** By name. */
  readonly namespaces: SourceCollection<NamespaceFacts>;
  readonly secrets: SourceCollection<SecretFacts>;
  readonly ingresses: SourceCollection<IngressFacts>;
  /** By name. */
  readonly ingressClasses: SourceCollection<IngressClassFacts>;
  /** By `Kind/namespace/name`. */
  readonly problems: SourceCollection<readonly Problem[]>;
  readonly #configs: { readonly [K in keyof ConfigKinds]: SourceCollection<Config<ConfigKinds[K]>> };

  readonly checkTelemetry: MeshSourcesOptions['checkTelemetry'];
  readonly #checkFilter: MeshSourcesOptions['checkPatches'];
  readonly #selection = new DiscoverySelection((namespace) => this.namespaces.get(namespace)?.labels);
  readonly #gates: {
    readonly pods: Gate<PodFacts>;
    readonly services: Gate<ServiceFacts>;
    readonly endpointSlices: Gate<EndpointSliceFacts>;
    readonly secrets: Gate<SecretFacts>;
    readonly ingresses: Gate<IngressFacts>;
    readonly problems: Gate<readonly Problem[]>;
    readonly configs: { readonly [K in keyof ConfigKinds]: Gate<Config<ConfigKinds[K]>> };
  };

  /** Policies, as `Kind/namespace/name`, instead of which something stricter is in force, because they were never right. */
  readonly #standIns = new Set<string>();

  constructor(options: MeshSourcesOptions) {
    const graph = new Graph(options);
    this.graph = graph;
    this.#checkFilter = options.checkPatches;
    this.checkTelemetry = options.checkTelemetry;
    this.meshConfig = new SourceCell(graph, options.meshConfig, { name: 'mesh configuration' });
    this.meshNetworks = new SourceCell(graph, options.meshNetworks ?? { networks: {} }, { name: 'mesh networks' });
    this.trustBundles = new SourceCell<TrustBundles>(graph, { domains: {} }, { name: 'trust bundles' });
    this.resolvedNames = new SourceCollection(graph, { name: 'addresses of names' });
    this.fetchedKeys = new SourceCollection(graph, { name: 'fetched keys' });
    this.pods = new SourceCollection(graph, { name: 'pods' });
    this.services = new SourceCollection(graph, { name: 'Kubernetes services' });
    this.endpointSlices = new SourceCollection(graph, { name: 'endpoint slices' });
    this.nodes = new SourceCollection(graph, { name: 'nodes' });
    this.namespaces = new SourceCollection(graph, { name: 'namespaces' });
    this.secrets = new SourceCollection(graph, { name: 'secrets' });
    this.ingresses = new SourceCollection(graph, { name: 'Ingresses' });
    this.ingressClasses = new SourceCollection(graph, { name: 'IngressClasses' });
    this.problems = new SourceCollection(graph, { name: 'problems' });
    this.#configs = {
      VirtualService: new SourceCollection(graph, { name: 'VirtualServices' }),
      DestinationRule: new SourceCollection(graph, { name: 'DestinationRules' }),
      Gateway: new SourceCollection(graph, { name: 'Gateways' }),
      ServiceEntry: new SourceCollection(graph, { name: 'ServiceEntries' }),
      WorkloadEntry: new SourceCollection(graph, { name: 'WorkloadEntries' }),
      Sidecar: new SourceCollection(graph, { name: 'Sidecars' }),
      PeerAuthentication: new SourceCollection(graph, { name: 'PeerAuthentications' }),
      RequestAuthentication: new SourceCollection(graph, { name: 'RequestAuthentications' }),
      AuthorizationPolicy: new SourceCollection(graph, { name: 'AuthorizationPolicies' }),
      Telemetry: new SourceCollection(graph, { name: 'Telemetries' }),
      EnvoyFilter: new SourceCollection(graph, { name: 'EnvoyFilters' }),
      WasmPlugin: new SourceCollection(graph, { name: 'WasmPlugins' }),
      TrafficExtension: new SourceCollection(graph, { name: 'TrafficExtensions' }),
    };
    const gate = <T>(source: SourceCollection<T>): Gate<T> => this.#selection.gate(source, namespaceOfKey);
    this.#gates = {
      pods: gate(this.pods),
      services: gate(this.services),
      endpointSlices: gate(this.endpointSlices),
      secrets: gate(this.secrets),
      ingresses: gate(this.ingresses),
      problems: this.#selection.gate(this.problems, (key) => namespaceOfKey(key.slice(key.indexOf('/') + 1))),
      configs: Object.fromEntries(
        Object.entries(this.#configs).map(([kind, source]) => [kind, gate(source as SourceCollection<unknown>)]),
      ) as {
        readonly [K in keyof ConfigKinds]: Gate<Config<ConfigKinds[K]>>;
      },
    };
    this.#selection.setSelectors(options.meshConfig.discoverySelectors ?? []);
    this.meshConfig.subscribe(() =>
      this.batch(() => this.#selection.setSelectors(this.meshConfig.current.discoverySelectors ?? [])),
    );
    this.namespaces.subscribe((changes) => this.batch(() => this.#selection.reconsider(changes.map(({ key }) => key))));
  }

  /** The objects of one of Istio's kinds, by `namespace/name`. */
  configs<K extends keyof ConfigKinds>(kind: K): Collection<Config<ConfigKinds[K]>> {
    return this.#configs[kind];
  }

  /** Whether objects of a namespace are part of the mesh (MeshConfig, `discoverySelectors`). */
  discovers(namespace: string): boolean {
    return this.#selection.selects(namespace);
  }

  /** Several changes as one: what follows from them is computed once. */
  batch(change: () => void): void {
    this.graph.batch(change);
  }

  /** Adds an object or replaces it by a newer version. Objects of kinds that the mesh does not read are ignored. */
  set(object: KubeObject): void {
    if (!kindKeys.has(kindKey(object))) return;
    const { namespace, name } = originOf(object);
    const key = objectKey(namespace, name);
    switch (object.kind) {
      case 'Namespace':
        this.namespaces.set(name, readNamespace(object));
        break;
      case 'Node':
        this.nodes.set(name, readNode(object));
        break;
      case 'Service':
        this.#gates.services.set(key, readService(object));
        break;
      case 'Pod':
        this.#gates.pods.set(key, readPod(object));
        break;
      case 'EndpointSlice':
        this.#gates.endpointSlices.set(key, readEndpointSlice(object));
        break;
      case 'Secret': {
        const secret = readSecret(object);
        if (secret) this.#gates.secrets.set(key, secret);
        else this.#gates.secrets.delete(key);
        break;
      }
      case 'Ingress':
        this.#gates.ingresses.set(key, readIngress(object));
        break;
      case 'IngressClass':
        this.ingressClasses.set(name, readIngressClass(object));
        break;
      default:
        this.#setConfig(object.kind as keyof ConfigKinds, key, object);
    }
  }

  /** Removes an object; only kind, namespace and name of it are read. */
  delete(object: KubeObject): void {
    if (!kindKeys.has(kindKey(object))) return;
    const { namespace, name } = originOf(object);
    const key = objectKey(namespace, name);
    switch (object.kind) {
      case 'Namespace':
        this.namespaces.delete(name);
        break;
      case 'Node':
        this.nodes.delete(name);
        break;
      case 'Service':
        this.#gates.services.delete(key);
        break;
      case 'Pod':
        this.#gates.pods.delete(key);
        break;
      case 'EndpointSlice':
        this.#gates.endpointSlices.delete(key);
        break;
      case 'Secret':
        this.#gates.secrets.delete(key);
        break;
      case 'Ingress':
        this.#gates.ingresses.delete(key);
        break;
      case 'IngressClass':
        this.ingressClasses.delete(name);
        break;
      default:
        this.batch(() => {
          this.#gates.configs[object.kind as keyof ConfigKinds].delete(key);
          this.#gates.problems.delete(`${object.kind}/${key}`);
          this.#standIns.delete(`${object.kind}/${key}`);
        });
    }
  }

  #checkPatches(key: string, config: Config<EnvoyFilterSpec>): void {
    const found = this.#checkFilter?.(config) ?? [];
    if (found.length > 0)
      this.#gates.problems.set(
        key,
        found.map((problem) => ({ origin: config.origin, ...problem, lastGoodStays: false, onlyPart: true })),
      );
  }

  #setConfig<K extends keyof ConfigKinds>(kind: K, key: string, object: KubeObject): void {
    const collection: Gate<Config<ConfigKinds[K]>> = this.#gates.configs[kind];
    const decoded = decodeSpec(kind, object);
    const problemKey = `${kind}/${key}`;
    this.batch(() => {
      const lastGoodStays = collection.has(key) && !this.#standIns.has(problemKey);
      const standIn = decoded.ok || lastGoodStays ? undefined : standInFor(kind, object);
      if (decoded.ok) {
        this.#gates.problems.delete(problemKey);
        this.#standIns.delete(problemKey);
      } else {
        if (standIn !== undefined) this.#standIns.add(problemKey);
        this.#gates.problems.set(
          problemKey,
          decoded.problems.map(({ path, message }) => ({
            origin: originOf(object),
            path,
            message: standIn === undefined ? message : `${message}; ${standIn.meanwhile}`,
            lastGoodStays,
            ...(standIn !== undefined && { onlyPart: true }),
          })),
        );
      }
      // What stands in has been decoded as an object of the kind.
      const usable = decoded.ok ? decoded : (standIn as { readonly spec: ConfigKinds[K] } | undefined);
      if (usable === undefined) return;
      const status = readConfigStatus(object);
      const config: Config<ConfigKinds[K]> = {
        origin: originOf(object),
        labels: textMap(object.metadata.labels),
        annotations: withoutBulk(textMap(object.metadata.annotations)),
        createdAt: createdAt(object),
        spec: usable.spec,
        ...(status && { status }),
      };
      collection.set(key, config);
      if (kind === 'EnvoyFilter') this.#checkPatches(problemKey, config as Config<EnvoyFilterSpec>);
    });
  }
}

/** kubectl keeps a copy of the whole object in an annotation; the mesh has no use for it. */
function withoutBulk(annotations: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _copy, ...rest } = annotations;
  return rest;
}
