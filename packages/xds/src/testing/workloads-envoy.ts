import { request } from 'node:http';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import type { Cluster, ClusterLoadAssignment, Listener, RouteConfiguration } from '@istio-ts/envoy';
import type { KubeObject } from '@istio-ts/kube/object';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { type Pair, selfSigned, signedBy } from './certificate.ts';
import { freePort, type RunningEnvoy, startEnvoy } from './envoy.ts';
import { istioObject, podObject } from './objects.ts';
import type { LoopbackNet } from './offline-envoy.ts';

/** A workload whose proxy shares one Envoy with others: it takes connections on an address of its own, on ports that nobody else has. */
export interface Workload {
  readonly name: string;
  readonly namespace?: string;
  /** Protocol of its port; HTTP by default. */
  readonly protocol?: string;
  /** What is said about it: AuthorizationPolicies by their specs, for which the selector is added. */
  readonly policies?: readonly (Readonly<Record<string, unknown>> & {
    readonly annotations?: Record<string, string>;
  })[];
  readonly objects?: readonly KubeObject[];
  /** Where its application listens, if not where those of the others do. */
  readonly app?: number;
  readonly metadata?: Readonly<Record<string, unknown>>;
  /** Mesh configuration as its own control plane has it, beside that of all. */
  readonly meshConfig?: Partial<MeshConfig>;
}

export interface Workloads extends RunningEnvoy {
  readonly clusters: ReadonlyMap<string, Cluster>;
  at(workload: string): { readonly address: string; readonly port: number };
  /** Changes what one of Envoy's loggers writes. */
  setLogLevel(logger: string, level: string): Promise<void>;
  /** Rejects where the connection ends without an answer. */
  ask(workload: string, call?: PolicyCall): Promise<PolicyAnswer>;
  /** Sends bytes and gives what comes back until that or the connection ends. */
  exchange(workload: string, text: string, call?: Pick<PolicyCall, 'as' | 'from' | 'sni'>): Promise<string>;
}

export interface PolicyCall {
  readonly path?: string;
  readonly method?: string;
  readonly host?: string;
  /** Values in a list are sent as that many headers. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string;
  /** Identity of the client, without `spiffe://`; plain text where not given. */
  readonly as?: string;
  /** The client's own address. */
  readonly from?: string;
  readonly sni?: string;
}

export interface PolicyAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly text: string;
}

/**
 * One real Envoy that does the work of the proxies of all these workloads, from what istiod generates for each of them: many sets of policies at the price of
 * one start.
 */
export async function startWorkloads(setup: {
  readonly net: LoopbackNet;
  readonly workloads: readonly Workload[];
  readonly app: number;
  readonly objects?: readonly KubeObject[];
  readonly meshConfig?: Partial<MeshConfig>;
  /** First of the last bytes of the workloads' addresses. */
  readonly first?: number;
  /** Whether some of the objects are wrong; otherwise that is an error. */
  readonly expectsProblems?: boolean;
}): Promise<Workloads> {
  const { net, workloads, app, meshConfig, first = 100, expectsProblems = false } = setup;
  const places = new Map<string, { readonly address: string; readonly port: number }>();
  for (const [i, { name }] of workloads.entries())
    places.set(name, { address: net.ip(first + i), port: await freePort() });
  const at = (name: string): { readonly address: string; readonly port: number } => {
    const place = places.get(name);
    if (place === undefined) throw new Error(`no workload ${name}`);
    return place;
  };
  const objects = [
    ...(setup.objects ?? []),
    ...workloads.flatMap((workload) => {
      const { name, namespace = 'default', protocol = 'HTTP' } = workload;
      const { address, port } = at(name);
      const labels = { app: name };
      return [
        podObject({ name: `${name}-0`, namespace, labels, ip: address, account: name }),
        istioObject(
          'Sidecar',
          { name, namespace },
          {
            workloadSelector: { labels },
            ingress: [
              {
                port: { number: port, protocol, name: `p-${port}` },
                bind: address,
                captureMode: 'NONE',
                defaultEndpoint: `127.0.0.1:${workload.app ?? app}`,
              },
            ],
          },
        ),
        ...(workload.policies ?? []).map(({ annotations, ...spec }, i) =>
          istioObject(
            'AuthorizationPolicy',
            { name: i === 0 ? name : `${name}-${i}`, namespace, ...(annotations && { annotations }) },
            { selector: { matchLabels: labels }, ...spec },
          ),
        ),
        ...(workload.objects ?? []),
      ];
    }),
  ];
  const listeners: Listener[] = [];
  const clusters = new Map<string, Cluster>();
  const routes = new Map<string, RouteConfiguration>();
  for (const { name, namespace = 'default', metadata, meshConfig: own } of workloads) {
    const { address } = at(name);
    const { resources, problems, errors } = generateOffline(
      objects,
      { name: `${name}-0`, namespace, ipAddress: address, ...(metadata && { metadata }) },
      { meshConfig: { ...defaultMeshConfig(), ...meshConfig, ...own } },
    );
    if (problems.length > 0 && !expectsProblems)
      throw new Error(problems.map((one) => `${one.path}: ${one.message}`).join('\n'));
    if (errors.length > 0) throw new Error(errors.map((one) => `${one.name}: ${String(one.error)}`).join('\n'));
    const all = <T>(url: string): readonly T[] => (resources.get(url) ?? []).map((one) => one.json() as T);
    const endpoints = new Map(all<ClusterLoadAssignment>(typeUrls.endpoint).map((one) => [one.clusterName, one]));
    listeners.push(
      ...all<Listener>(typeUrls.listener).filter(
        (one) => one.trafficDirection === 'INBOUND' && one.address?.socketAddress?.address === address,
      ),
    );
    for (const cluster of all<Cluster>(typeUrls.cluster)) {
      const { edsClusterConfig, ...rest } = cluster;
      const loadAssignment = endpoints.get(edsClusterConfig?.serviceName || (cluster.name ?? ''));
      clusters.set(
        cluster.name ?? '',
        cluster.type === 'EDS'
          ? { ...rest, type: 'STATIC', loadAssignment: loadAssignment ?? { clusterName: cluster.name } }
          : cluster,
      );
    }
  }
  const authority = selfSigned('mesh');
  const server = signedBy(authority, 'server', { names: 'URI:spiffe://cluster.local/ns/default/sa/server' });
  const envoy = await startEnvoy({
    listeners,
    clusters: [...clusters.values()],
    routes,
    secrets: [
      {
        name: 'default',
        tlsCertificate: {
          certificateChain: { inlineString: server.certificate },
          privateKey: { inlineString: server.key },
        },
      },
      { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: authority.certificate } } },
    ],
  });
  const identities = new Map<string, Pair>();
  const identity = (name: string): Pair => {
    const known = identities.get(name) ?? signedBy(authority, 'client', { names: `URI:spiffe://${name}` });
    identities.set(name, known);
    return known;
  };
  const dial = (name: string, { as, from, sni }: PolicyCall, protocol: string) => {
    const { address, port } = at(name);
    const tcp = connectTcp({ host: address, port, ...(from !== undefined && { localAddress: from }) });
    tcp.setTimeout(10_000, () => tcp.destroy(new Error('no answer in time')));
    if (as === undefined) return tcp;
    const { certificate, key } = identity(as);
    return connectTls({
      socket: tcp,
      cert: certificate,
      key,
      rejectUnauthorized: false,
      ALPNProtocols: [protocol],
      ...(sni !== undefined && { servername: sni }),
    });
  };
  return {
    ...envoy,
    clusters,
    at,
    setLogLevel: async (logger, level) => envoy.change(`/logging?${logger}=${level}`),
    ask: (name, sent = {}) =>
      new Promise((resolve, reject) => {
        const socket = dial(name, sent, 'istio-http/1.1');
        socket.on('error', reject);
        const { path = '/', method = 'GET', host = name, headers, body } = sent;
        const outgoing = request(
          {
            createConnection: () => socket,
            path,
            method,
            headers: { host, ...headers } as Record<string, string | string[]>,
          },
          (response) => {
            let text = '';
            response.on('data', (chunk: Buffer) => (text += chunk.toString()));
            response.on('error', reject);
            response.on('end', () => {
              socket.destroy();
              resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
            });
          },
        );
        outgoing.on('error', reject);
        outgoing.end(body);
      }),
    exchange: (name, text, sent = {}) =>
      new Promise((resolve) => {
        const socket = dial(name, sent, 'istio');
        const done = (answer: string): void => {
          socket.destroy();
          resolve(answer);
        };
        socket.on(sent.as === undefined ? 'connect' : 'secureConnect', () => socket.write(text));
        socket.once('data', (data: Buffer) => done(data.toString()));
        socket.on('error', () => done(''));
        socket.on('close', () => done(''));
      }),
  };
}
