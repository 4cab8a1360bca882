import type { KubeObject } from '@istio-ts/kube/object';

/** Objects for tests, as the Kubernetes API serves them. */

interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly createdAt?: string;
}

function object(apiVersion: string, kind: string, meta: Meta, rest: Readonly<Record<string, unknown>>): KubeObject {
  const { createdAt = '2026-01-01T00:00:00Z', namespace = 'default', ...metadata } = meta;
  return { apiVersion, kind, metadata: { ...metadata, namespace, creationTimestamp: createdAt }, ...rest };
}

export const podObject = (
  meta: Meta & { readonly ip: string; readonly account?: string; readonly node?: string; readonly mesh?: boolean },
  ports: Readonly<Record<string, number>> = {},
): KubeObject => {
  const { ip, account = 'default', node = 'node-1', mesh = true, ...rest } = meta;
  return object(
    'v1',
    'Pod',
    { ...rest, labels: { ...rest.labels, ...(mesh && { 'security.istio.io/tlsMode': 'istio' }) } },
    {
      spec: {
        serviceAccountName: account,
        nodeName: node,
        containers: [
          { name: 'app', ports: Object.entries(ports).map(([name, containerPort]) => ({ name, containerPort })) },
        ],
      },
      status: { phase: 'Running', podIP: ip, podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
    },
  );
};

export const serviceObject = (
  meta: Meta,
  ports: readonly Readonly<Record<string, unknown>>[],
  spec: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object('v1', 'Service', meta, {
    spec: { clusterIP: '10.96.1.1', clusterIPs: ['10.96.1.1'], selector: { app: meta.name }, ports, ...spec },
  });

/** The slice of a service; `endpoints` are addresses with the pods behind them. */
export const sliceObject = (
  service: string,
  ports: readonly Readonly<Record<string, unknown>>[],
  endpoints: readonly {
    readonly ip: string;
    readonly pod?: string;
    readonly ready?: boolean;
    readonly terminating?: boolean;
    readonly node?: string;
  }[],
  namespace = 'default',
): KubeObject =>
  object(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    { name: `${service}-abc`, namespace, labels: { 'kubernetes.io/service-name': service } },
    {
      addressType: 'IPv4',
      ports,
      endpoints: endpoints.map(({ ip, pod, ready = true, terminating = false, node = 'node-1' }) => ({
        addresses: [ip],
        conditions: { ready, serving: ready || terminating, terminating },
        nodeName: node,
        ...(pod && { targetRef: { kind: 'Pod', name: pod, namespace } }),
      })),
    },
  );

export const istioObject = (kind: string, meta: Meta, spec: Readonly<Record<string, unknown>>): KubeObject => {
  const group = ['AuthorizationPolicy', 'PeerAuthentication', 'RequestAuthentication'].includes(kind)
    ? 'security.istio.io'
    : kind === 'Telemetry'
      ? 'telemetry.istio.io'
      : kind === 'WasmPlugin' || kind === 'TrafficExtension'
        ? 'extensions.istio.io'
        : 'networking.istio.io';
  return object(
    `${group}/${kind === 'EnvoyFilter' ? 'v1alpha3' : group === 'extensions.istio.io' ? 'v1alpha1' : 'v1'}`,
    kind,
    meta,
    { spec },
  );
};

export const secretObject = (meta: Meta, data: Readonly<Record<string, string>>): KubeObject =>
  object('v1', 'Secret', meta, {
    type: 'kubernetes.io/tls',
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])),
  });

export const nodeObject = (name: string, region: string, zone: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'topology.kubernetes.io/region': region, 'topology.kubernetes.io/zone': zone } },
});

/** A service with pods in the mesh: `pods` gives each pod's labels beside `app`. */
export function application(
  name: string,
  port: Readonly<Record<string, unknown>> & { readonly port: number },
  pods: readonly Readonly<Record<string, string>>[],
  options: { readonly namespace?: string; readonly base?: number; readonly nodes?: readonly string[] } = {},
): readonly KubeObject[] {
  const { namespace = 'default', base = 1, nodes = ['node-1'] } = options;
  const ip = (i: number): string => `10.244.${base}.${i + 1}`;
  const target = 8080;
  return [
    serviceObject({ name, namespace }, [{ ...port, targetPort: target }]),
    ...pods.map((labels, i) =>
      podObject({
        name: `${name}-${i}`,
        namespace,
        labels: { app: name, ...labels },
        ip: ip(i),
        account: name,
        node: nodes[i % nodes.length] ?? 'node-1',
      }),
    ),
    sliceObject(
      name,
      [{ name: port.name ?? '', port: target, protocol: 'TCP' }],
      pods.map((_, i) => ({ ip: ip(i), pod: `${name}-${i}`, node: nodes[i % nodes.length] ?? 'node-1' })),
      namespace,
    ),
  ];
}
