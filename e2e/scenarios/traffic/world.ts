import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { certificateFor, type Pair, secret } from '../../support/certificates.ts';
import type { Cluster } from '../../support/cluster.ts';
import { type MeshClient, meshClient, type Seen } from '../../support/mesh-client.ts';

/**
 * What the traffic scenarios share: two versions of the origin and a client with sidecars in `traffic`, an origin and a client without in `outside`.
 * Each scenario puts Services of its own in front of the origins, so that none disturbs another.
 */
export interface World {
  readonly cluster: Cluster;
  readonly client: MeshClient;
  readonly stranger: MeshClient;
  /** The certificate of the HTTPS origin outside of the mesh, for `secure.example.test`. */
  readonly outsideTls: Pair;
  /** The pod address of a Deployment's first pod. */
  address(namespace: string, app: string): Promise<string>;
  close(): void;
}

const program = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'programs', name), 'utf8');

interface Workload {
  readonly name: string;
  readonly app: string;
  readonly version?: string;
  readonly program: 'origin' | 'client';
  readonly tls?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  /** Seconds that the program goes on when its pod is deleted: clients hear of that later than the pod itself. */
  readonly leavesAfter?: number;
}

/** A Deployment with a ServiceAccount of the app's name. */
export function workload(of: Workload): readonly object[] {
  const labels = { app: of.app, version: of.version ?? 'v1', ...of.labels };
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: of.app } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: of.name },
      spec: {
        selector: { matchLabels: { app: of.app, version: labels.version } },
        template: {
          metadata: { labels, ...(of.annotations && { annotations: of.annotations }) },
          spec: {
            serviceAccountName: of.app,
            containers: [
              {
                name: of.program,
                image: 'docker.io/library/node:24',
                command: ['node', `/programs/${of.program}.ts`],
                env: [{ name: 'VERSION', value: labels.version }],
                ...(of.leavesAfter !== undefined && { lifecycle: { preStop: { sleep: { seconds: of.leavesAfter } } } }),
                ...(of.program === 'origin' && {
                  ports: [{ containerPort: 8080 }],
                  readinessProbe: { httpGet: { path: '/ready', port: 8080 }, periodSeconds: 1 },
                }),
                volumeMounts: [
                  { name: 'programs', mountPath: '/programs' },
                  ...(of.tls ? [{ name: 'tls', mountPath: '/etc/origin' }] : []),
                ],
              },
            ],
            volumes: [
              { name: 'programs', configMap: { name: 'programs' } },
              ...(of.tls ? [{ name: 'tls', secret: { secretName: 'origin-tls' } }] : []),
            ],
          },
        },
      },
    },
  ];
}

const usualPorts = [
  { name: 'http', port: 8080 },
  { name: 'grpc', port: 8081 },
  { name: 'https', port: 8443 },
  { name: 'tcp', port: 9000 },
  { name: 'tcp-banner', port: 9001 },
];

/** A Service in front of the origins. */
export const service = (
  name: string,
  selector: Readonly<Record<string, string>> = { app: 'origin' },
  more: Readonly<Record<string, unknown>> = {},
): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector, ports: usualPorts, ...more },
});

/** An object of Istio's networking or security API. */
export const istio = (kind: string, name: string, spec: object): object => ({
  apiVersion: `${/Authentication|Authorization/.test(kind) ? 'security' : 'networking'}.istio.io/v1`,
  kind,
  metadata: { name },
  spec,
});

/** Subsets v1 and v2 with a traffic policy. */
export const destinationRule = (host: string, trafficPolicy?: object): object =>
  istio('DestinationRule', host, {
    host,
    ...(trafficPolicy && { trafficPolicy }),
    subsets: ['v1', 'v2'].map((name) => ({ name, labels: { version: name } })),
  });

/** Objects as a manifest. */
export const manifest = (objects: readonly object[]): string =>
  JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });

/** What the origin says about the request that it got. */
export interface Echo {
  readonly pod: string;
  readonly version: string;
  readonly method: string;
  readonly url: string;
  readonly http: string;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly bytes: number;
}

export function echo(seen: Seen): Echo {
  if (!seen.text.startsWith('{')) throw new Error(`no answer of the origin: ${seen.status} ${seen.error ?? seen.text}`);
  return JSON.parse(seen.text) as Echo;
}

export async function startWorld(cluster: Cluster): Promise<World> {
  await cluster.istioctl('install', '--set', 'profile=demo', '-y');
  await cluster.kubectl('create', 'ns', 'traffic');
  await cluster.kubectl('label', 'ns', 'traffic', 'istio-injection=enabled');
  await cluster.kubectl('create', 'ns', 'outside');
  const outsideTls = certificateFor('secure.example.test');
  const programs = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'programs' },
    data: { 'origin.ts': program('origin.ts'), 'client.ts': program('client.ts') },
  };
  await cluster.apply(
    manifest([
      programs,
      ...workload({ name: 'origin-v1', app: 'origin', program: 'origin' }),
      ...workload({ name: 'origin-v2', app: 'origin', version: 'v2', program: 'origin' }),
      ...workload({ name: 'client', app: 'client', program: 'client' }),
      service('origin'),
    ]),
    'traffic',
  );
  await cluster.apply(
    manifest([
      programs,
      secret('origin-tls', { 'tls.crt': outsideTls.certificate, 'tls.key': outsideTls.key }, 'kubernetes.io/tls'),
      ...workload({ name: 'origin', app: 'origin', version: 'outside', program: 'origin', tls: true }),
      ...workload({ name: 'stranger', app: 'stranger', program: 'client' }),
      service('external'),
    ]),
    'outside',
  );
  await cluster.podsReady('traffic');
  await cluster.podsReady('outside');
  const client = await meshClient(cluster, 'traffic', 'deploy/client');
  const stranger = await meshClient(cluster, 'outside', 'deploy/stranger');
  return {
    cluster,
    client,
    stranger,
    outsideTls,
    address: async (namespace, app) =>
      (
        await cluster.kubectl(
          'get',
          'pod',
          '-n',
          namespace,
          '-l',
          `app=${app}`,
          '-o',
          'jsonpath={.items[0].status.podIP}',
        )
      ).trim(),
    close: () => {
      client.close();
      stranger.close();
    },
  };
}
