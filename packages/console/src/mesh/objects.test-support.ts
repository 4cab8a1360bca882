import type { KubeObject } from '@istio-ts/kube';
import { configView } from './config-view.ts';
import { meshView } from './mesh-view.ts';

export const namespace = (name: string, labels: Readonly<Record<string, string>> = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});

export const meshed = (name: string): KubeObject => namespace(name, { 'istio-injection': 'enabled' });

export interface PodOptions {
  readonly proxy?: boolean;
  readonly ready?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

/** A Deployment with one pod: `ns/app-version`. */
export function deployment(
  ns: string,
  app: string,
  version: string | undefined,
  options: PodOptions = {},
): readonly KubeObject[] {
  const name = version === undefined ? app : `${app}-${version}`;
  const labels = { app, ...(version !== undefined && { version }), ...options.labels };
  const { proxy = true, ready = true, args } = options;
  const proxyContainer = { name: 'istio-proxy', image: 'docker.io/istio/proxyv2:1.30.0', ...(args && { args }) };
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name, namespace: ns, creationTimestamp: '2026-01-01T00:00:00Z' },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app } },
        template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: `${app}:1` }] } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name: `${name}-abc12-x1`,
        namespace: ns,
        labels: { ...labels, 'pod-template-hash': 'abc12' },
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${name}-abc12`, uid: '1', controller: true },
        ],
      },
      spec: { containers: [...(args ? [] : [{ name: 'app', image: `${app}:1` }]), ...(proxy ? [proxyContainer] : [])] },
      status: {
        phase: 'Running',
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
        containerStatuses: ready
          ? []
          : [{ name: 'app', restartCount: 4, state: { waiting: { reason: 'CrashLoopBackOff', message: 'exited' } } }],
      },
    },
  ];
}

export const service = (
  ns: string,
  name: string,
  selector: Readonly<Record<string, string>> = { app: name },
): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: ns },
  spec: { selector, ports: [{ name: 'http', port: 80, targetPort: 8080 }] },
});

export const config = (
  kind: string,
  ns: string,
  name: string,
  spec: unknown,
  group = 'networking.istio.io/v1',
): KubeObject => ({
  apiVersion: group,
  kind,
  metadata: { name, namespace: ns },
  spec,
});

/** The views of a cluster with these objects. */
export function viewsOf(objects: readonly KubeObject[]) {
  const of = (...kinds: readonly string[]) => objects.filter(({ kind }) => kinds.includes(kind));
  return {
    mesh: meshView({
      namespaces: of('Namespace'),
      pods: of('Pod'),
      services: of('Service'),
      controllers: of('Deployment', 'StatefulSet', 'DaemonSet'),
      domainSuffix: 'cluster.local',
    }),
    config: configView(
      {
        virtualServices: of('VirtualService'),
        destinationRules: of('DestinationRule'),
        serviceEntries: of('ServiceEntry'),
      },
      'cluster.local',
    ),
  };
}
