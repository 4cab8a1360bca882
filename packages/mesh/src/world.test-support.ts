import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, MeshSources, type ProxyScope, Scopes } from './index.ts';
import type { ProxyFacts } from './proxy.ts';

/** An object in the namespace `default`, of one age with all others. */
export const object = (
  apiVersion: string,
  kind: string,
  name: string,
  rest: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject => ({
  apiVersion,
  kind,
  metadata: { name, namespace: 'default', creationTimestamp: '2026-01-01T00:00:00Z', ...metadata },
  ...rest,
});

/** An object of one of Istio's kinds. */
export const istio = (
  kind: string,
  name: string,
  spec: Readonly<Record<string, unknown>>,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    `${kind.endsWith('Authentication') || kind === 'AuthorizationPolicy' ? 'security' : 'networking'}.istio.io/v1`,
    kind,
    name,
    { spec },
    metadata,
  );

/** A Service with port 80 that selects pods by `app`. */
export const service = (
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    'v1',
    'Service',
    name,
    {
      spec: {
        clusterIP: '10.96.0.1',
        selector: { app: name },
        ports: [{ name: 'http', port: 80, targetPort: 8080 }],
        ...spec,
      },
    },
    metadata,
  );

/** A pod with a sidecar that is ready. */
export const pod = (
  name: string,
  labels: Readonly<Record<string, string>>,
  ip: string,
  metadata: Readonly<Record<string, unknown>> = {},
): KubeObject =>
  object(
    'v1',
    'Pod',
    name,
    {
      spec: {
        serviceAccountName: 'app',
        nodeName: 'n1',
        containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 8080 }] }],
      },
      status: { phase: 'Running', podIP: ip, conditions: [{ type: 'Ready', status: 'True' }] },
    },
    { labels: { 'security.istio.io/tlsMode': 'istio', ...labels }, ...metadata },
  );

/** The EndpointSlice of a Service. */
export const slice = (service: string, endpoints: readonly Readonly<Record<string, unknown>>[]): KubeObject =>
  object(
    'discovery.k8s.io/v1',
    'EndpointSlice',
    `${service}-1`,
    { ports: [{ name: 'http', port: 8080 }], endpoints },
    {
      labels: { 'kubernetes.io/service-name': service },
    },
  );

/** What a proxy says of itself. */
export const facts = (
  namespace = 'default',
  labels: Readonly<Record<string, string>> = {},
  type: 'sidecar' | 'router' = 'sidecar',
): ProxyFacts => ({
  proxy: {
    type,
    namespace,
    labels,
    clusterId: 'Kubernetes',
    network: '',
    locality: { region: '', zone: '', subzone: '' },
    dnsDomain: `${namespace}.svc.cluster.local`,
    ipAddresses: ['0.0.0.0'],
    workloadName: 'test',
    canonicalName: 'test',
    canonicalRevision: 'latest',
    serviceAccount: 'default',
    istioVersion: '1.30.0',
    interceptionMode: 'REDIRECT',
    metadata: {},
  },
  ports: { web: 8080 },
});

/** A mesh with some objects in it, and what proxies of it see. */
export function world(objects: readonly KubeObject[], meshConfig: unknown = {}) {
  const sources = new MeshSources({ meshConfig: decodeMeshConfig(meshConfig).value });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const one of objects) sources.set(one);
  });
  const scopes = new Scopes(mesh);
  return {
    sources,
    mesh,
    scope: (of: ProxyFacts = facts()): ProxyScope => scopes.acquire(of).value.result.current,
    scopes,
  };
}
