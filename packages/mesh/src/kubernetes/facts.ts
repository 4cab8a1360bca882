import type { KubeObject } from '@istio-ts/kube/object';
import type { ConfigStatus, Origin } from '../model.ts';
import { fields, integer, list, text, textMap, texts } from './read.ts';

/**
 * What the mesh reads of Kubernetes objects, and nothing more: a heartbeat or a status update that changes nothing of this stops at the source.
 */
export interface PodFacts {
  readonly origin: Origin;
  readonly labels: Readonly<Record<string, string>>;
  readonly serviceAccount: string;
  readonly node: string;
  readonly hostNetwork: boolean;
  readonly addresses: readonly string[];
  readonly ready: boolean;
  readonly terminating: boolean;
  /** Its containers have ended for good. */
  readonly finished: boolean;
  readonly owner: { readonly kind: string; readonly name: string } | undefined;
  readonly ports: Readonly<Record<string, number>>;
  readonly containerPorts: readonly number[];
}

export interface ServiceFacts {
  readonly origin: Origin;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly createdAt: number;
  readonly type: string;
  readonly clusterIPs: readonly string[];
  readonly ports: readonly {
    readonly name: string;
    readonly port: number;
    readonly targetPort: number | string | undefined;
    /** Port of the nodes that leads to this one. */
    readonly nodePort?: number;
    readonly transport: string;
    readonly appProtocol: string;
  }[];
  readonly selector: Readonly<Record<string, string>>;
  readonly externalName: string;
  readonly publishNotReadyAddresses: boolean;
  readonly internalTrafficPolicy: string;
  readonly trafficDistribution: string;
  /** Addresses of load balancers and external ones. */
  readonly externalAddresses: readonly string[];
  /** DNS names of load balancers. */
  readonly externalNames: readonly string[];
  /** `IPv4`, `IPv6`, the first one first. */
  readonly ipFamilies: readonly string[];
}

export interface EndpointSliceFacts {
  readonly namespace: string;
  /** Name of the Service (label kubernetes.io/service-name). */
  readonly service: string;
  readonly ports: readonly { readonly name: string; readonly port: number }[];
  readonly endpoints: readonly {
    readonly addresses: readonly string[];
    readonly ready: boolean;
    readonly serving: boolean;
    readonly terminating: boolean;
    readonly node: string;
    readonly zone: string;
    /** Name of the pod behind it, '' where it is none. */
    readonly pod: string;
    /** Its name within a headless service, '' where it has none. */
    readonly hostname: string;
  }[];
}

export interface NodeFacts {
  readonly region: string;
  readonly zone: string;
  readonly subzone: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Addresses by which it is reached from outside of its network. */
  readonly externalAddresses: readonly string[];
}

export interface NamespaceFacts {
  readonly labels: Readonly<Record<string, string>>;
}

export interface SecretFacts {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  /** Base64, as Kubernetes has it; only the keys that hold certificates and their keys. */
  readonly data: Readonly<Record<string, string>>;
}

export const originOf = (object: KubeObject): Origin => ({
  kind: object.kind,
  namespace: object.metadata.namespace ?? '',
  name: object.metadata.name ?? '',
});

/** Milliseconds since 1970; 0 for an object that was never stored. */
export const createdAt = (object: KubeObject): number => Date.parse(object.metadata.creationTimestamp ?? '') || 0;

export function readPod(object: KubeObject): PodFacts {
  const spec = fields(object.spec);
  const status = fields(object.status);
  const owner = (object.metadata.ownerReferences ?? []).find((reference) => reference.controller);
  const ips = list(status.podIPs).map((entry) => text(fields(entry).ip));
  const ports: Record<string, number> = {};
  const containerPorts = new Set<number>();
  // Sidecar containers of Kubernetes are init containers that keep running; they may serve too.
  const running = list(spec.initContainers).filter((container) => fields(container).restartPolicy === 'Always');
  for (const container of [...list(spec.containers), ...running]) {
    for (const entry of list(fields(container).ports)) {
      const { name, containerPort, protocol } = fields(entry);
      const port = integer(containerPort);
      if (port === undefined || protocol === 'UDP') continue;
      containerPorts.add(port);
      if (text(name) !== '') ports[text(name)] ??= port;
    }
  }
  return {
    origin: originOf(object),
    labels: textMap(object.metadata.labels),
    serviceAccount: text(spec.serviceAccountName) || 'default',
    node: text(spec.nodeName),
    hostNetwork: spec.hostNetwork === true,
    addresses: (ips.length > 0 ? ips : [text(status.podIP)]).filter((ip) => ip !== ''),
    ready: list(status.conditions).some((entry) => fields(entry).type === 'Ready' && fields(entry).status === 'True'),
    terminating: object.metadata.deletionTimestamp !== undefined,
    finished: status.phase === 'Succeeded' || status.phase === 'Failed',
    owner: owner && { kind: owner.kind, name: owner.name },
    ports,
    containerPorts: [...containerPorts].sort((a, b) => a - b),
  };
}

/** Annotations of a Service that mean something here. */
const serviceAnnotations = [
  'networking.istio.io/exportTo',
  'networking.istio.io/traffic-distribution',
  'alpha.istio.io/kubernetes-serviceaccounts',
  'alpha.istio.io/canonical-serviceaccounts',
  'traffic.istio.io/nodeSelector',
];

export function readService(object: KubeObject): ServiceFacts {
  const spec = fields(object.spec);
  const annotations = textMap(object.metadata.annotations);
  const ips = texts(spec.clusterIPs);
  return {
    origin: originOf(object),
    labels: textMap(object.metadata.labels),
    annotations: Object.fromEntries(
      serviceAnnotations.flatMap((name) => (annotations[name] === undefined ? [] : [[name, annotations[name]]])),
    ),
    createdAt: createdAt(object),
    type: text(spec.type) || 'ClusterIP',
    clusterIPs: ips.length > 0 ? ips : [text(spec.clusterIP)].filter((ip) => ip !== ''),
    ports: list(spec.ports).flatMap((entry) => {
      const { name, port, targetPort, nodePort, protocol, appProtocol } = fields(entry);
      const number = integer(port);
      const ofNodes = integer(nodePort);
      if (number === undefined) return [];
      return [
        {
          name: text(name),
          port: number,
          targetPort: integer(targetPort) ?? (text(targetPort) || undefined),
          ...(ofNodes !== undefined && { nodePort: ofNodes }),
          transport: text(protocol) || 'TCP',
          appProtocol: text(appProtocol),
        },
      ];
    }),
    selector: textMap(spec.selector),
    externalName: text(spec.externalName),
    publishNotReadyAddresses: spec.publishNotReadyAddresses === true,
    internalTrafficPolicy: text(spec.internalTrafficPolicy),
    trafficDistribution: text(spec.trafficDistribution),
    ipFamilies: texts(spec.ipFamilies),
    externalNames: list(fields(fields(object.status).loadBalancer).ingress)
      .map((entry) => text(fields(entry).hostname))
      .filter((name) => name !== ''),
    externalAddresses: [
      ...list(fields(fields(object.status).loadBalancer).ingress).map((entry) => text(fields(entry).ip)),
      ...texts(spec.externalIPs),
    ].filter((address) => address !== ''),
  };
}

export function readEndpointSlice(object: KubeObject): EndpointSliceFacts {
  return {
    namespace: object.metadata.namespace ?? '',
    service: object.metadata.labels?.['kubernetes.io/service-name'] ?? '',
    ports: list(object.ports).flatMap((entry) => {
      const { name, port } = fields(entry);
      const number = integer(port);
      return number === undefined ? [] : [{ name: text(name), port: number }];
    }),
    endpoints: list(object.endpoints).map((entry) => {
      const endpoint = fields(entry);
      const conditions = fields(endpoint.conditions);
      const target = fields(endpoint.targetRef);
      // Kubernetes: an absent `ready` means true, an absent `serving` means the same as `ready`.
      const ready = conditions.ready !== false;
      return {
        addresses: texts(endpoint.addresses),
        ready,
        serving: typeof conditions.serving === 'boolean' ? conditions.serving : ready,
        terminating: conditions.terminating === true,
        node: text(endpoint.nodeName),
        zone: text(endpoint.zone),
        pod: target.kind === 'Pod' ? text(target.name) : '',
        hostname: text(endpoint.hostname),
      };
    }),
  };
}

/** What the mesh reads of the status of a ServiceEntry or WorkloadEntry; undefined where there is nothing of it. */
export function readConfigStatus(object: KubeObject): ConfigStatus | undefined {
  const status = fields(object.status);
  if (object.kind === 'ServiceEntry') {
    const addresses = list(status.addresses).flatMap((entry) => {
      const { value, host } = fields(entry);
      return text(value) === '' ? [] : [{ host: text(host), value: text(value) }];
    });
    return addresses.length > 0 ? { addresses } : undefined;
  }
  if (object.kind !== 'WorkloadEntry') return undefined;
  const health = list(status.conditions)
    .map(fields)
    .find((condition) => condition.type === 'Healthy');
  return health && { healthy: health.status === 'True' };
}

export function readNode(object: KubeObject): NodeFacts {
  const labels = textMap(object.metadata.labels);
  return {
    labels,
    externalAddresses: list(fields(object.status).addresses).flatMap((entry) => {
      const { type, address } = fields(entry);
      return type === 'ExternalIP' && text(address) !== '' ? [text(address)] : [];
    }),
    region: labels['topology.kubernetes.io/region'] ?? labels['failure-domain.beta.kubernetes.io/region'] ?? '',
    zone: labels['topology.kubernetes.io/zone'] ?? labels['failure-domain.beta.kubernetes.io/zone'] ?? '',
    subzone: labels['topology.istio.io/subzone'] ?? '',
  };
}

export function readNamespace(object: KubeObject): NamespaceFacts {
  return { labels: textMap(object.metadata.labels) };
}

/** Keys under which certificates are kept: those of kubernetes.io/tls and Istio's generic secrets. */
const secretKeys = ['tls.crt', 'tls.key', 'ca.crt', 'ca.crl', 'cert', 'key', 'cacert', 'crl'];
/** Credentials of image registries, for modules that proxies load from there. */
const registryType = 'kubernetes.io/dockerconfigjson';
export const registryKey = '.dockerconfigjson';

/** A secret that holds a certificate, a root or credentials of a registry; undefined for every other one, so that passwords never enter the process's model. */
export function readSecret(object: KubeObject): SecretFacts | undefined {
  const data = textMap(object.data);
  const keys = text(object.type) === registryType ? [registryKey] : secretKeys;
  const kept = keys.flatMap((key) => (data[key] === undefined ? [] : [[key, data[key]] as const]));
  if (kept.length === 0 || text(object.type) === 'kubernetes.io/service-account-token') return undefined;
  const { namespace, name } = originOf(object);
  return { namespace, name, type: text(object.type), data: Object.fromEntries(kept) };
}
