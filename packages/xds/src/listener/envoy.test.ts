import assert from 'node:assert/strict';
import { request } from 'node:http';
import * as http2 from 'node:http2';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { after, before, test } from 'node:test';
import type { Cluster, ClusterLoadAssignment, Listener, RouteConfiguration } from '@istio-ts/envoy';
import { generateOffline, type OfflineResult, typeUrls } from '../engine/index.ts';
import {
  type App,
  boundTo,
  eventually,
  freePort,
  type RunningEnvoy,
  type Seen,
  startApp,
  startEnvoy,
} from '../testing/envoy.ts';
import { scrape } from '../testing/metrics.ts';
import { selfSigned } from '../testing/certificate.ts';
import { istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';

/**
 * A client's outbound and a server's inbound listeners, generated from objects, in one real Envoy: mutual TLS between them, protocol sniffing, the modes
 * of PeerAuthentication, AuthorizationPolicy, and the metrics of the server's side.
 */

const PEER = 'spiffe://cluster.local/ns/default/sa/server';
const host = (name: string): string => `${name}.default.svc.cluster.local`;

/** One certificate for all: it trusts itself. Its subject is what the CA writes for a workload. */
const certificate = () =>
  selfSigned('peer-v7', {
    subject: '/ST=Kubernetes/L=v7/OU=peer-app/CN=peer-v7',
    extension: `subjectAltName=critical,URI:${PEER}`,
  });

const resources = <T>(result: OfflineResult, url: string): readonly T[] =>
  (result.resources.get(url) ?? []).map((r) => r.json() as T);

interface Ports {
  readonly web: number;
  readonly auto: number;
  readonly db: number;
  readonly strict: number;
}

const services = [
  { name: 'web', port: { name: 'http', port: 8000 }, ip: '10.96.0.1' },
  { name: 'auto', port: { name: 'any', port: 8001 }, ip: '10.96.0.2' },
  { name: 'db', port: { name: 'tcp', port: 8002 }, ip: '10.96.0.3' },
  { name: 'strict', port: { name: 'http', port: 8003 }, ip: '10.96.0.4' },
] as const;

const objects = (target: Ports) => [
  podObject({ name: 'client-0', labels: { app: 'client' }, ip: '10.244.0.2', account: 'client' }),
  podObject({ name: 'server-0', labels: { app: 'server', version: 'v3' }, ip: '10.244.0.3', account: 'server' }),
  ...services.flatMap(({ name, port, ip }) => [
    serviceObject({ name }, [{ ...port, targetPort: target[name] }], {
      clusterIP: ip,
      clusterIPs: [ip],
      selector: { app: 'server' },
    }),
    sliceObject(
      name,
      [{ name: port.name, port: target[name], protocol: 'TCP' }],
      [{ ip: '10.244.0.3', pod: 'server-0' }],
    ),
  ]),
  istioObject(
    'PeerAuthentication',
    { name: 'server' },
    { selector: { matchLabels: { app: 'server' } }, portLevelMtls: { [target.strict]: { mode: 'STRICT' } } },
  ),
  istioObject(
    'AuthorizationPolicy',
    { name: 'deny' },
    {
      selector: { matchLabels: { app: 'server' } },
      action: 'DENY',
      rules: [{ to: [{ operation: { paths: ['/forbidden*'], ports: [String(target.web)] } }] }],
    },
  ),
  istioObject(
    'AuthorizationPolicy',
    { name: 'allow' },
    {
      selector: { matchLabels: { app: 'server' } },
      rules: [
        {
          from: [{ source: { principals: ['cluster.local/ns/default/sa/server'], namespaces: ['default'] } }],
          to: [{ operation: { paths: ['/secret'], methods: ['GET'] } }],
        },
        { to: [{ operation: { notPaths: ['/secret'] } }] },
        { to: [{ operation: { ports: [String(target.db)] } }] },
      ],
    },
  ),
];

let envoy: RunningEnvoy;
let app: App;
let h2: http2.Http2Server;
let echo: Server;
let target: Ports;
const dial: Record<string, number> = {};

before(async () => {
  app = await startApp('server');
  h2 = http2.createServer((incoming, outgoing) => {
    outgoing.writeHead(200, { 'x-version': incoming.httpVersion }).end('two');
  });
  echo = createServer((socket) => socket.pipe(socket));
  for (const server of [h2, echo]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
  target = { web: await freePort(), auto: await freePort(), db: await freePort(), strict: await freePort() };
  const world = objects(target);
  const client = generateOffline(world, { name: 'client-0', namespace: 'default', ipAddress: '10.244.0.2' });
  const server = generateOffline(world, { name: 'server-0', namespace: 'default', ipAddress: '10.244.0.3' });
  assert.deepEqual([...client.errors, ...server.errors, ...client.problems], []);

  const assignments = new Map(
    resources<ClusterLoadAssignment>(client, typeUrls.endpoint).map((a) => [a.clusterName, a]),
  );
  const clusters: Cluster[] = [];
  for (const { edsClusterConfig, ...cluster } of resources<Cluster>(client, typeUrls.cluster)) {
    if (edsClusterConfig !== undefined) {
      const text = JSON.stringify(assignments.get(cluster.name)).replaceAll('10.244.0.3', '127.0.0.1');
      clusters.push({ ...cluster, type: 'STATIC', loadAssignment: JSON.parse(text) as ClusterLoadAssignment });
    } else {
      clusters.push(cluster);
    }
  }
  const echoPort = (echo.address() as AddressInfo).port;
  const h2Port = (h2.address() as AddressInfo).port;
  for (const { cleanupInterval, upstreamBindConfig, ...cluster } of resources<Cluster>(server, typeUrls.cluster)) {
    if (cluster.name?.startsWith('inbound|') !== true) {
      continue;
    }
    const to =
      cluster.name === `inbound|${target.db}||`
        ? echoPort
        : cluster.name === `inbound|${target.auto}||`
          ? h2Port
          : app.port;
    clusters.push({
      ...cluster,
      type: 'STATIC',
      lbPolicy: 'ROUND_ROBIN',
      loadAssignment: {
        clusterName: cluster.name,
        endpoints: [
          { lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: to } } } }] },
        ],
      },
    });
  }
  const listeners: Listener[] = [];
  const outbound = new Map(resources<Listener>(client, typeUrls.listener).map((l) => [l.name, l]));
  for (const { name, port, ip } of services) {
    const listener = outbound.get(`${ip}_${port.port}`) ?? outbound.get(`0.0.0.0_${port.port}`);
    assert.ok(listener, name);
    dial[name] = await freePort();
    listeners.push(boundTo(listener, dial[name]));
  }
  // Without interception the port that a client dials is the port of the socket, so that each target port gets the listener.
  const inbound = resources<Listener>(server, typeUrls.listener).find((l) => l.name === 'virtualInbound');
  assert.ok(inbound);
  for (const [name, port] of Object.entries(target) as [string, number][]) {
    listeners.push({ ...boundTo(inbound, port), name: `virtualInbound-${name}` });
  }
  const { certificate: pem, key } = certificate();
  envoy = await startEnvoy({
    listeners,
    routes: new Map(resources<RouteConfiguration>(client, typeUrls.route).map((r) => [r.name ?? '', r])),
    clusters,
    secrets: [
      {
        name: 'default',
        tlsCertificate: { certificateChain: { inlineString: pem }, privateKey: { inlineString: key } },
      },
      { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: pem } } },
    ],
  });
});

after(async () => {
  await envoy?.stop();
  await app?.close();
  h2?.close();
  echo?.close();
});

const call = (
  port: number,
  path: string,
  name = 'web',
): Promise<{ readonly status: number; readonly seen: Seen | undefined }> =>
  new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers: { host: host(name) }, agent: false }, (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          seen: text.startsWith('{') ? (JSON.parse(text) as Seen) : undefined,
        }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });

const metric = (name: string, ...parts: readonly string[]): Promise<Readonly<Record<string, string>>> =>
  eventually(
    async () => {
      const line = (await scrape(envoy))
        .split('\n')
        .find((l) => l.startsWith(`${name}{`) && parts.every((p) => l.includes(p)));
      return line === undefined
        ? undefined
        : Object.fromEntries([...line.matchAll(/([a-z_]+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
    },
    `${name} with ${parts.join(', ')}`,
  );

test('HTTP goes over mutual TLS, and the application learns who called', async () => {
  const { status, seen } = await call(dial.web ?? 0, '/hello');
  assert.equal(status, 200);
  assert.match(
    String(seen?.headers['x-forwarded-client-cert']),
    new RegExp(`By=${PEER};Hash=.*;Subject=".*CN=peer-v7.*";URI=${PEER}`),
  );
  const labels = await metric(
    'istio_requests_total',
    'reporter="destination"',
    'destination_service_name="web"',
    'connection_security_policy="mutual_tls"',
  );
  assert.deepEqual(labels, {
    reporter: 'destination',
    source_workload: 'peer-v7',
    source_workload_namespace: 'default',
    source_app: 'peer-app',
    source_version: 'v7',
    source_canonical_service: 'peer-app',
    source_canonical_revision: 'v7',
    source_cluster: 'Kubernetes',
    source_principal: PEER,
    destination_workload: 'server-0',
    destination_workload_namespace: 'default',
    destination_app: 'server',
    destination_version: 'v3',
    destination_canonical_service: 'server',
    destination_canonical_revision: 'v3',
    destination_cluster: 'Kubernetes',
    destination_principal: PEER,
    destination_service: host('web'),
    destination_service_name: 'web',
    destination_service_namespace: 'default',
    request_protocol: 'http',
    response_code: '200',
    response_flags: '-',
    grpc_response_status: '',
    connection_security_policy: 'mutual_tls',
  });
  const client = await metric('istio_requests_total', 'reporter="source"', 'destination_service_name="web"');
  assert.equal(client.source_principal, PEER);
  assert.equal(client.destination_principal, PEER);
  assert.equal(client.destination_workload, 'server-0');
});

test('a plain client is served in PERMISSIVE and its claims are not believed', async () => {
  assert.equal((await call(target.web, '/plain')).status, 200);
  const labels = await metric('istio_requests_total', 'reporter="destination"', 'connection_security_policy="none"');
  assert.equal(labels.source_workload, 'unknown');
  assert.equal(labels.source_principal, 'unknown');
  assert.equal(labels.source_canonical_revision, 'latest');
  assert.equal(labels.destination_workload, 'server-0');
});

test('STRICT refuses a plain client and serves one of the mesh', async () => {
  await assert.rejects(call(target.strict, '/plain', 'strict'));
  assert.equal((await call(dial.strict ?? 0, '/mtls', 'strict')).status, 200);
});

test('a sniffed port carries HTTP/2 over mutual TLS as HTTP', async () => {
  const session = http2.connect(`http://127.0.0.1:${dial.auto}`);
  const stream = session.request({ ':path': '/two', ':authority': host('auto') });
  const headers = await new Promise<http2.IncomingHttpHeaders & http2.IncomingHttpStatusHeader>((resolve, reject) => {
    stream.on('response', (answer) => resolve(answer));
    stream.on('error', reject);
    session.on('error', reject);
  });
  session.close();
  assert.equal(headers[':status'], 200);
  assert.equal(headers['x-version'], '2.0');
  const labels = await metric('istio_requests_total', 'reporter="destination"', 'destination_service_name="auto"');
  assert.equal(labels.connection_security_policy, 'mutual_tls');
});

const exchange = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(text));
    let got = '';
    socket.on('data', (chunk) => {
      got += chunk.toString();
      if (got.length >= text.length) {
        socket.end();
      }
    });
    socket.on('close', () => resolve(got));
    socket.on('error', reject);
  });

test('TCP goes over mutual TLS and is counted when it opens and when it ends', async () => {
  assert.equal(await exchange(dial.db ?? 0, 'hello'), 'hello');
  for (const name of [
    'istio_tcp_connections_opened_total',
    'istio_tcp_connections_closed_total',
    'istio_tcp_sent_bytes_total',
    'istio_tcp_received_bytes_total',
  ]) {
    const labels = await metric(name, 'reporter="destination"', 'connection_security_policy="mutual_tls"');
    assert.equal(labels.source_workload, 'peer-v7', name);
    assert.equal(labels.source_principal, PEER, name);
    assert.equal(labels.destination_service, host('db'), name);
    assert.equal(labels.request_protocol, 'tcp', name);
  }
  const client = await metric('istio_tcp_sent_bytes_total', 'reporter="source"', 'destination_service_name="db"');
  assert.equal(client.destination_workload, 'server-0');
  assert.equal(client.source_workload, 'client-0');
});

test('authorization: DENY by path, ALLOW by identity, TCP by port', async () => {
  assert.equal((await call(dial.web ?? 0, '/forbidden/x')).status, 403);
  assert.equal((await call(dial.web ?? 0, '/secret')).status, 200);
  assert.equal((await call(target.web, '/secret')).status, 403);
});
