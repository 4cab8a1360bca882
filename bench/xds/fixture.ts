// The synthetic mesh of the benchmark. Names and addresses are those of xdsload's seed, so either load generator can run on it.
import type { KubeObject } from '@istio-ts/kube';

/** Size of a mesh: `services` are spread over `namespaces`, with `endpoints` pods each. */
export interface Size {
  readonly services: number;
  readonly namespaces: number;
  readonly endpoints: number;
}

/** Label of everything that is seeded. */
export const OWNED = 'xdsload.bench/owned';
const PER_OCTET = 250 * 250;

export const namespaceName = (n: number): string => `bench-${n}`;
export const serviceName = (s: number): string => `svc-${String(s).padStart(5, '0')}`;
export const namespaceOf = (size: Size, s: number): string => namespaceName(s % size.namespaces);
export const hostOf = (size: Size, s: number): string => `${serviceName(s)}.${namespaceOf(size, s)}.svc.cluster.local`;
export const address = (k: number): string =>
  `10.${128 + Math.floor(k / PER_OCTET)}.${(Math.floor(k / 250) % 250) + 1}.${(k % 250) + 1}`;
/** Addresses for the change of endpoints; no seeded pod has one. */
export const markerAddress = (k: number): string => `10.255.${100 + (Math.floor(k / 150) % 150)}.${100 + (k % 150)}`;

const meta = (name: string, namespace: string | undefined, labels: Readonly<Record<string, string>> = {}) => ({
  name,
  ...(namespace !== undefined && { namespace }),
  labels: { [OWNED]: 'true', ...labels },
});

export const namespaceObject = (n: number): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: meta(namespaceName(n), undefined),
});

export function serviceObject(name: string, namespace: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    // kube-proxy leaves it alone: nothing listens on its addresses.
    metadata: meta(name, namespace, { 'service.kubernetes.io/service-proxy-name': 'none' }),
    spec: { ports: [{ name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' }] },
  };
}

export function podObject(size: Size, s: number, e: number): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: meta(podName(s, e), namespaceOf(size, s), { app: serviceName(s), version: 'v1' }),
    spec: {
      schedulerName: 'none',
      automountServiceAccountToken: false,
      containers: [{ name: 'app', image: 'none', ports: [{ containerPort: 8080, protocol: 'TCP' }] }],
    },
  };
}

export const podName = (s: number, e: number): string => `${serviceName(s)}-${e}`;

export const podStatus = (ip: string): object => ({
  status: {
    phase: 'Running',
    podIP: ip,
    podIPs: [{ ip }],
    conditions: ['Ready', 'ContainersReady'].map((type) => ({ type, status: 'True' })),
  },
});

export function sliceObject(size: Size, s: number, more: readonly string[] = []): KubeObject {
  const namespace = namespaceOf(size, s);
  const name = serviceName(s);
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: meta(name, namespace, {
      'kubernetes.io/service-name': name,
      'endpointslice.kubernetes.io/managed-by': 'bench',
    }),
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: [
      ...Array.from({ length: size.endpoints }, (_, e) => ({
        addresses: [address(s * size.endpoints + e)],
        conditions: { ready: true },
        targetRef: { kind: 'Pod', namespace, name: podName(s, e) },
      })),
      ...more.map((one) => ({ addresses: [one], conditions: { ready: true } })),
    ],
  };
}

export function virtualServiceObject(size: Size, s: number, marker: string): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: meta('bench', namespaceOf(size, s)),
    spec: {
      hosts: [hostOf(size, s)],
      http: [
        {
          match: [{ headers: { 'x-bench': { exact: marker } } }],
          route: [{ destination: { host: hostOf(size, s) } }],
        },
        { route: [{ destination: { host: hostOf(size, s) } }] },
      ],
    },
  };
}

export function destinationRuleObject(size: Size, s: number, subset: string): KubeObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: meta('bench', namespaceOf(size, s)),
    spec: { host: hostOf(size, s), subsets: [{ name: subset, labels: { version: 'v1' } }] },
  };
}

/** Who a simulated proxy is: proxies are spread over the pods, first one for each service. */
export interface Identity {
  readonly ip: string;
  readonly pod: string;
  readonly namespace: string;
  readonly app: string;
}

export function proxyIdentity(size: Size, i: number): Identity {
  const s = i % size.services;
  const e = Math.floor(i / size.services);
  const k = e < size.endpoints ? s * size.endpoints + e : i;
  return { ip: address(k), pod: podName(s, e), namespace: namespaceOf(size, s), app: serviceName(s) };
}
