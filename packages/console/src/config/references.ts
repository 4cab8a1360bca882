import type { KubeObject } from '@istio-ts/kube';
import type { ObjectName } from '../api.ts';
import { destinationsOf } from '../mesh/config-view.ts';
import { fullHost, serviceOf } from '../mesh/hosts.ts';
import type { MeshView } from '../mesh/mesh-view.ts';
import { type Fields, fields, list, text, textMap, texts } from '../mesh/read.ts';
import { type ConfigKind, configKinds, domainSuffix, type MeshState } from '../sources/mesh-reader.ts';

const sameName = (a: ObjectName, b: ObjectName): boolean =>
  a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;

const keyOf = ({ kind, namespace, name }: ObjectName): string => `${kind} ${namespace}/${name}`;

const distinct = (names: readonly ObjectName[]): readonly ObjectName[] =>
  [...new Map(names.map((name) => [keyOf(name), name])).values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));

/** The services that a policy or a route names, and the workloads that it selects. */
export function namedObjects(
  kind: ConfigKind,
  object: KubeObject,
  state: Pick<MeshState, 'mesh' | 'config'>,
  rootNamespace: string,
): readonly ObjectName[] {
  const namespace = object.metadata.namespace ?? '';
  const spec = fields(object.spec);
  const host = (name: unknown): readonly ObjectName[] =>
    hostObjects(fullHost(text(name), namespace, domainSuffix), state);
  const selected = (selector: unknown): readonly ObjectName[] =>
    selectedWorkloads(textMap(selector), namespace === rootNamespace ? undefined : namespace, state.mesh);
  switch (kind) {
    case 'VirtualService':
      return distinct([
        ...texts(spec.hosts)
          .filter((name) => !name.startsWith('*'))
          .flatMap(host),
        ...destinationsOf(spec).flatMap((destination) => host(destination.host)),
        ...gatewayNames(spec, namespace),
        ...list(spec.http).flatMap(({ delegate }) => {
          const to = fields(delegate);
          return text(to.name) === ''
            ? []
            : [{ kind: 'VirtualService', namespace: text(to.namespace) || namespace, name: text(to.name) }];
        }),
      ]);
    case 'DestinationRule':
      return distinct([...host(spec.host), ...selected(fields(spec.workloadSelector).matchLabels)]);
    case 'Gateway':
      return distinct([
        ...selectedWorkloads(textMap(spec.selector), undefined, state.mesh),
        ...list(spec.servers).flatMap(({ tls }) => {
          const name = text(fields(tls).credentialName);
          if (name === '') return [];
          // A gateway reads the secrets of the namespace that it runs in.
          return selectedWorkloads(textMap(spec.selector), undefined, state.mesh).map((workload) => ({
            kind: 'Secret',
            namespace: workload.namespace,
            name,
          }));
        }),
      ]);
    case 'ServiceEntry':
      return distinct(selected(fields(spec.workloadSelector).labels));
    case 'Sidecar':
    case 'EnvoyFilter':
      return distinct([...selected(fields(spec.workloadSelector).labels), ...targetRefs(spec, namespace)]);
    case 'AuthorizationPolicy':
    case 'PeerAuthentication':
    case 'RequestAuthentication':
    case 'Telemetry':
    case 'WasmPlugin':
    case 'TrafficExtension':
    case 'ProxyConfig':
      return distinct([...selected(fields(spec.selector).matchLabels), ...targetRefs(spec, namespace)]);
    case 'GatewayClass': {
      const { kind: named, namespace: where, name } = fields(spec.parametersRef);
      return text(name) === '' ? [] : [{ kind: text(named), namespace: text(where), name: text(name) }];
    }
    case 'KubernetesGateway':
      return distinct([
        ...(text(spec.gatewayClassName) === ''
          ? []
          : [{ kind: 'GatewayClass', namespace: '', name: text(spec.gatewayClassName) }]),
        ...selectedWorkloads(
          { 'gateway.networking.k8s.io/gateway-name': object.metadata.name ?? '' },
          namespace,
          state.mesh,
        ),
        ...list(spec.listeners).flatMap(({ tls }) =>
          list(fields(tls).certificateRefs).map((ref) => ({
            kind: text(ref.kind) || 'Secret',
            namespace: text(ref.namespace) || namespace,
            name: text(ref.name),
          })),
        ),
      ]);
    case 'HTTPRoute':
    case 'GRPCRoute':
    case 'TLSRoute':
    case 'TCPRoute':
      return distinct([
        ...list(spec.parentRefs).map((ref) => referenced(ref, namespace, 'KubernetesGateway')),
        ...list(spec.rules).flatMap(({ backendRefs, filters }) => [
          ...list(backendRefs).map((ref) => referenced(ref, namespace, 'Service')),
          ...list(filters).flatMap(({ requestMirror }) =>
            requestMirror === undefined
              ? []
              : [referenced(fields(fields(requestMirror).backendRef), namespace, 'Service')],
          ),
        ]),
      ]);
    case 'WorkloadEntry':
    case 'WorkloadGroup':
    case 'ReferenceGrant':
      return [];
  }
}

function hostObjects(host: string, { mesh, config }: Pick<MeshState, 'mesh' | 'config'>): readonly ObjectName[] {
  if (host.startsWith('*')) {
    const end = host.slice(1);
    return mesh.services
      .filter((service) => service.host.endsWith(end))
      .map(({ namespace, name }) => ({ kind: 'Service', namespace, name }));
  }
  const entry = config.entryOf(host);
  if (entry) return [{ kind: 'ServiceEntry', namespace: entry.namespace, name: entry.name }];
  const service = serviceOf(host, domainSuffix);
  return service ? [{ kind: 'Service', ...service }] : [];
}

/** Nothing is selected by an empty selector here: it means everything, and everything is nothing in particular. */
function selectedWorkloads(
  selector: Readonly<Record<string, string>>,
  namespace: string | undefined,
  mesh: MeshView,
): readonly ObjectName[] {
  return mesh
    .selected(selector, namespace)
    .map((workload) => ({ kind: workload.kind, namespace: workload.namespace, name: workload.name }));
}

function gatewayNames(spec: Fields, namespace: string): readonly ObjectName[] {
  return texts(spec.gateways)
    .filter((name) => name !== 'mesh')
    .map((name) => {
      const slash = name.indexOf('/');
      return slash < 0
        ? { kind: 'Gateway', namespace, name }
        : { kind: 'Gateway', namespace: name.slice(0, slash), name: name.slice(slash + 1) };
    });
}

const targetRefs = (spec: Fields, namespace: string): readonly ObjectName[] =>
  [...list(spec.targetRefs), ...(spec.targetRef === undefined ? [] : [fields(spec.targetRef)])].map((ref) =>
    referenced(ref, namespace, 'KubernetesGateway'),
  );

function referenced(ref: Fields, namespace: string, otherwise: string): ObjectName {
  const kind = text(ref.kind);
  return {
    kind: kind === 'Gateway' ? 'KubernetesGateway' : kind || otherwise,
    namespace: text(ref.namespace) || namespace,
    name: text(ref.name),
  };
}

/** Who names whom among all configuration of the mesh. */
export class References {
  readonly #named = new Map<string, readonly ObjectName[]>();
  readonly #naming = new Map<string, ObjectName[]>();

  constructor(state: Pick<MeshState, 'mesh' | 'config' | 'objects'>, rootNamespace: string) {
    for (const kind of configKinds)
      for (const object of state.objects[kind]) {
        const own = { kind, namespace: object.metadata.namespace ?? '', name: object.metadata.name ?? '' };
        const named = namedObjects(kind, object, state, rootNamespace);
        this.#named.set(keyOf(own), named);
        for (const other of named) {
          const naming = this.#naming.get(keyOf(other));
          if (naming) naming.push(own);
          else this.#naming.set(keyOf(other), [own]);
        }
      }
  }

  /** What an object names. */
  named(by: ObjectName): readonly ObjectName[] {
    return this.#named.get(keyOf(by)) ?? [];
  }

  /** Configuration that names an object. */
  naming(object: ObjectName): readonly ObjectName[] {
    return distinct(this.#naming.get(keyOf(object)) ?? []);
  }

  /** Both, and what is about the same services: the DestinationRule of a VirtualService's host. */
  around(object: ObjectName): readonly ObjectName[] {
    const shared = this.named(object)
      .filter(({ kind }) => kind === 'Service' || kind === 'ServiceEntry')
      .flatMap((service) => this.naming(service));
    return distinct([...this.named(object), ...this.naming(object), ...shared]).filter(
      (other) => !sameName(other, object),
    );
  }
}
