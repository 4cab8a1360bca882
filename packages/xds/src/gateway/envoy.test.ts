import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { connect, createServer, type AddressInfo } from 'node:net';
import * as tls from 'node:tls';
import { after, before, test } from 'node:test';
import type { Cluster, ClusterLoadAssignment, Listener, RouteConfiguration } from '@istio-ts/envoy';
import { generateOffline, type OfflineResult, typeUrls } from '../engine/index.ts';
import { selfSigned } from '../testing/certificate.ts';
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
import { istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';

/** A gateway generated from objects, in a real Envoy, with real clients. */

const resources = <T>(result: OfflineResult, url: string): readonly T[] =>
  (result.resources.get(url) ?? []).map((r) => r.json() as T);

const route = (host: string) => [{ route: [{ destination: { host } }] }];
const backend = (name: string, port: number, ip: string) => [
  serviceObject({ name }, [{ name: name === 'raw' ? 'tcp' : 'http', port: 80, targetPort: port }], {
    clusterIP: ip,
    clusterIPs: [ip],
    selector: { app: name },
  }),
  podObject({ name: `${name}-0`, labels: { app: name }, ip: '10.244.0.3', mesh: false }),
  sliceObject(
    name,
    [{ name: name === 'raw' ? 'tcp' : 'http', port, protocol: 'TCP' }],
    [{ ip: '10.244.0.3', pod: `${name}-0` }],
  ),
];

const objects = (ports: {
  readonly shop: number;
  readonly admin: number;
  readonly raw: number;
  readonly secure: number;
}) => [
  serviceObject(
    { name: 'istio-ingressgateway', namespace: 'istio-system' },
    [
      { name: 'http2', port: 80, targetPort: 8080 },
      { name: 'https', port: 443, targetPort: 8443 },
      { name: 'tcp', port: 31400, targetPort: 31400 },
    ],
    { selector: { istio: 'ingressgateway' } },
  ),
  podObject({
    name: 'gw-0',
    namespace: 'istio-system',
    labels: { istio: 'ingressgateway', app: 'gw' },
    ip: '10.244.0.1',
  }),
  ...backend('shop', ports.shop, '10.96.0.1'),
  ...backend('admin', ports.admin, '10.96.0.2'),
  ...backend('raw', ports.raw, '10.96.0.3'),
  ...backend('secure', ports.secure, '10.96.0.4'),
  istioObject(
    'Gateway',
    { name: 'edge', namespace: 'istio-system' },
    {
      selector: { istio: 'ingressgateway' },
      servers: [
        {
          port: { number: 80, name: 'http', protocol: 'HTTP' },
          hosts: ['*.example.com', 'default/only.test', 'other/hidden.test'],
        },
        {
          port: { number: 80, name: 'redirect', protocol: 'HTTP' },
          hosts: ['moved.test'],
          tls: { httpsRedirect: true },
        },
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['shop.example.com', 'bare.example.com'],
          tls: { mode: 'SIMPLE', credentialName: 'shop-cert' },
        },
        { port: { number: 443, name: 'pass', protocol: 'TLS' }, hosts: ['secure.test'], tls: { mode: 'PASSTHROUGH' } },
        { port: { number: 31400, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'shop', createdAt: '2026-01-01T00:00:00Z' },
    {
      hosts: ['shop.example.com'],
      gateways: ['istio-system/edge'],
      http: route('shop'),
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'shop-admin', createdAt: '2026-01-02T00:00:00Z' },
    {
      hosts: ['shop.example.com'],
      gateways: ['istio-system/edge'],
      http: [{ match: [{ uri: { prefix: '/admin' } }], route: [{ destination: { host: 'admin' } }] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'namespaces' },
    { hosts: ['only.test', 'hidden.test'], gateways: ['istio-system/edge'], http: route('shop') },
  ),
  istioObject(
    'VirtualService',
    { name: 'raw' },
    {
      hosts: ['*'],
      gateways: ['istio-system/edge'],
      tcp: [{ match: [{ port: 31400 }], route: [{ destination: { host: 'raw' } }] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'secure' },
    {
      hosts: ['secure.test'],
      gateways: ['istio-system/edge'],
      tls: [{ match: [{ port: 443, sniHosts: ['secure.test'] }], route: [{ destination: { host: 'secure' } }] }],
    },
  ),
];

let envoy: RunningEnvoy;
const apps: App[] = [];
const own = selfSigned('secure.test');
const secure = tls.createServer({ cert: own.certificate, key: own.key }, (socket) => socket.end('own TLS'));
const raw = createServer((socket) => socket.end('bytes'));
const at: Record<string, number> = {};

before(async () => {
  apps.push(await startApp('shop'), await startApp('admin'));
  for (const server of [raw, secure]) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  }
  const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  const world = objects({
    shop: apps[0]?.port ?? 0,
    admin: apps[1]?.port ?? 0,
    raw: portOf(raw),
    secure: portOf(secure),
  });
  const gateway = generateOffline(world, {
    type: 'router',
    name: 'gw-0',
    namespace: 'istio-system',
    ipAddress: '10.244.0.1',
  });
  assert.deepEqual([...gateway.errors], []);
  const assignments = new Map(
    resources<ClusterLoadAssignment>(gateway, typeUrls.endpoint).map((a) => [a.clusterName, a]),
  );
  const clusters = resources<Cluster>(gateway, typeUrls.cluster).map(({ edsClusterConfig, ...cluster }): Cluster => {
    if (edsClusterConfig === undefined) {
      return cluster;
    }
    const text = JSON.stringify(assignments.get(cluster.name)).replaceAll('10.244.0.3', '127.0.0.1');
    return { ...cluster, type: 'STATIC', loadAssignment: JSON.parse(text) as ClusterLoadAssignment };
  });
  const listeners: Listener[] = [];
  for (const listener of resources<Listener>(gateway, typeUrls.listener)) {
    const name = listener.name ?? '';
    at[name] = await freePort();
    listeners.push(boundTo(listener, at[name]));
  }
  assert.deepEqual(Object.keys(at).sort(), ['0.0.0.0_31400', '0.0.0.0_8080', '0.0.0.0_8443']);
  const routes = resources<RouteConfiguration>(gateway, typeUrls.route);
  assert.deepEqual(routes.map((r) => r.name).sort(), ['http.8080', 'https.443.https.edge.istio-system']);
  const cert = selfSigned('shop.example.com');
  envoy = await startEnvoy({
    listeners,
    routes: new Map(routes.map((r) => [r.name ?? '', r])),
    clusters,
    secrets: [
      {
        name: 'kubernetes://shop-cert',
        tlsCertificate: {
          certificateChain: { inlineString: cert.certificate },
          privateKey: { inlineString: cert.key },
        },
      },
      {
        name: 'default',
        tlsCertificate: {
          certificateChain: { inlineString: cert.certificate },
          privateKey: { inlineString: cert.key },
        },
      },
      { name: 'ROOTCA', validationContext: { trustedCa: { inlineString: cert.certificate } } },
    ],
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(apps.map((a) => a.close()));
  raw.close();
  secure.close();
});

interface Answer {
  readonly status: number;
  readonly location: string | undefined;
  readonly server: string;
  readonly seen: Seen | undefined;
}

function call(
  scheme: 'http' | 'https',
  host: string,
  path: string,
  headers: Record<string, string> = {},
  sni = host,
): Promise<Answer> {
  const port = at[scheme === 'http' ? '0.0.0.0_8080' : '0.0.0.0_8443'];
  const options = { host: '127.0.0.1', port, path, headers: { host, ...headers }, agent: false };
  return new Promise((resolve, reject) => {
    const sent =
      scheme === 'http'
        ? httpRequest(options)
        : httpsRequest({ ...options, servername: sni, rejectUnauthorized: false });
    sent.on('response', (response) => {
      let text = '';
      response.on('data', (chunk: Buffer) => (text += chunk.toString()));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          location: response.headers.location,
          server: String(response.headers.server),
          seen: text.startsWith('{') ? (JSON.parse(text) as Seen) : undefined,
        }),
      );
    });
    sent.on('error', reject);
    sent.end();
  });
}

test('routes by host, joins VirtualServices of one host, 404 for others', async () => {
  const shop = await call('http', 'shop.example.com', '/');
  assert.equal(shop.seen?.app, 'shop');
  assert.equal(shop.server, 'istio-envoy');
  assert.equal((await call('http', 'shop.example.com:80', '/')).seen?.app, 'shop');
  assert.equal((await call('http', 'shop.example.com', '/admin/x')).seen?.app, 'admin');
  assert.equal((await call('http', 'other.example.com', '/')).status, 404);
});

test('a host of another namespace is not bound', async () => {
  assert.equal((await call('http', 'only.test', '/')).seen?.app, 'shop');
  assert.equal((await call('http', 'hidden.test', '/')).status, 404);
});

test('the client is who connected, whatever it says', async () => {
  const { seen } = await call('http', 'shop.example.com', '/', {
    'x-forwarded-client-cert': 'URI=spiffe://forged',
    'x-forwarded-for': '1.2.3.4',
  });
  assert.equal(seen?.headers['x-forwarded-client-cert'], undefined);
  // Envoy writes the machine's address where the client is on loopback.
  assert.match(String(seen?.headers['x-forwarded-for']), /^1\.2\.3\.4,[0-9.]+$/);
});

test('redirects plain HTTP to HTTPS', async () => {
  const moved = await call('http', 'moved.test', '/x?y=1');
  assert.equal(moved.status, 301);
  assert.equal(moved.location, 'https://moved.test/x?y=1');
});

test('terminates TLS by server name; 404 without a route, 421 for a host of another certificate', async () => {
  assert.equal((await call('https', 'shop.example.com', '/')).seen?.app, 'shop');
  assert.equal((await call('https', 'bare.example.com', '/')).status, 404);
  assert.equal((await call('https', 'secure.test', '/', {}, 'shop.example.com')).status, 421);
  await assert.rejects(call('https', 'unknown.test', '/'));
});

test('passes TLS on by server name, and bytes by port', async () => {
  const read = (socket: ReturnType<typeof connect>): Promise<string> =>
    new Promise((resolve, reject) => {
      let text = '';
      socket.on('data', (chunk) => (text += chunk.toString()));
      socket.on('end', () => resolve(text));
      socket.on('error', reject);
    });
  assert.equal(
    await read(
      tls.connect({
        host: '127.0.0.1',
        port: at['0.0.0.0_8443'] ?? 0,
        servername: 'secure.test',
        rejectUnauthorized: false,
      }),
    ),
    'own TLS',
  );
  assert.equal(await read(connect(at['0.0.0.0_31400'] ?? 0, '127.0.0.1')), 'bytes');
});

test('metrics name the gateway as the source', async () => {
  const line = await eventually(
    async () =>
      (await envoy.admin('/stats/prometheus'))
        .split('\n')
        .find((l) => l.startsWith('envoy_istio_requests_total{') && l.includes('destination_service_name="shop"')),
    'the metric',
  );
  assert.match(line, /reporter="source"/);
  assert.match(line, /source_workload="gw-0"/);
  assert.match(line, /source_workload_namespace="istio-system"/);
});
