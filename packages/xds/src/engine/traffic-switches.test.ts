import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { decodeMeshConfig } from '@istio-ts/api';
import type { Listener } from '@istio-ts/envoy';
import type { KubeObject } from '@istio-ts/kube/object';
import type { TrafficSwitches } from '@istio-ts/mesh/model';
import { TestAuthority } from '../testing/authority.ts';
import { selfSigned } from '../testing/certificate.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject, secretObject, serviceObject, sliceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { generateOffline, typeUrls } from './index.ts';

/** Variables of istiod that change what all proxies get: what a client of a real Envoy sees of each. */

const net = new LoopbackNet();
const PORT = 9650;
const folder = mkdtempSync(join(tmpdir(), 'switches-'));
const authority = new TestAuthority(folder, 'authority');
const shown = authority.issue('server', ['DNS:outside.example', 'URI:spiffe://cluster.local/ns/default/sa/inside']);
const ofRule = authority.issue('of-the-rule', ['DNS:client']);
const mounted = authority.issue('mounted', ['DNS:client']);

const one = net.ip(11);
const two = net.ip(12);
const secure = net.ip(13);
const origins: Origin[] = [];
before(async () => {
  origins.push(
    await startOrigin('one', one, ORIGIN_PORT),
    await startOrigin('two', two, ORIGIN_PORT),
    await startOrigin('secure', secure, ORIGIN_PORT, {
      cert: shown.certificate,
      key: shown.key,
      ca: authority.root,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: ['istio-http/1.1', 'http/1.1'],
    }),
  );
});
after(async () => {
  await Promise.all(origins.map((origin) => origin.close()));
  rmSync(folder, { recursive: true });
});

async function within<T>(
  switches: TrafficSwitches | undefined,
  setup: Pick<OfflineEnvoySetup, 'objects'> & Partial<OfflineEnvoySetup>,
  work: (envoy: OfflineEnvoy) => Promise<T>,
): Promise<T> {
  const envoy = await startOfflineEnvoy({
    net,
    proxy: { name: 'client', namespace: 'default', ipAddress: net.everywhere },
    ...(switches && { mesh: { switches } }),
    ...setup,
  });
  try {
    return await work(envoy);
  } finally {
    await envoy.stop();
  }
}

const get = (host: string, headers: Readonly<Record<string, string>> = {}) =>
  call('/', { address: net.everywhere, port: PORT, host, headers });

const plain = loopbackApp(net, 'plain', { last: 31, port: PORT, protocol: 'http' }, [{ last: 11 }]);

test('ENABLE_100_CONTINUE_HEADERS: the server hears that the client waits, or the proxy answers', async () => {
  const expectation = () => get('plain', { expect: '100-continue' });
  const usual = await within(undefined, { objects: plain }, expectation);
  assert.equal(usual.seen?.headers.expect, '100-continue');
  const off = await within({ continueHeaders: false }, { objects: plain }, expectation);
  assert.deepEqual([off.status, off.seen?.headers.expect], [200, undefined]);
});

test('PILOT_SEND_UNHEALTHY_ENDPOINTS: the proxy knows who is not ready, and sends nothing there', async () => {
  const objects = [
    serviceObject({ name: 'mixed' }, [{ name: 'http', port: PORT }], {
      clusterIP: net.ip(32),
      clusterIPs: [net.ip(32)],
    }),
    sliceObject(
      'mixed',
      [{ name: 'http', port: ORIGIN_PORT, protocol: 'TCP' }],
      [{ ip: one }, { ip: two, ready: false }],
    ),
    serviceObject({ name: 'early' }, [{ name: 'http', port: PORT }], {
      clusterIP: net.ip(33),
      clusterIPs: [net.ip(33)],
    }),
    sliceObject('early', [{ name: 'http', port: ORIGIN_PORT, protocol: 'TCP' }], [{ ip: two, ready: false }]),
  ];
  const look = async (envoy: OfflineEnvoy) => {
    const seen = new Set<string | undefined>();
    for (let i = 0; i < 12; i++) seen.add((await get('mixed')).seen?.origin);
    const hosts = (await envoy.admin('/clusters'))
      .split('\n')
      .filter((line) => line.includes('mixed.default') && line.includes('::health_flags::'))
      .map((line) => line.slice(line.lastIndexOf('::') + 2));
    return { seen: [...seen], hosts: hosts.sort(), nobody: (await get('early')).status };
  };
  assert.deepEqual(await within(undefined, { objects }, look), { seen: ['one'], hosts: ['healthy'], nobody: 503 });
  assert.deepEqual(await within({ unhealthyEndpoints: true }, { objects }, look), {
    seen: ['one'],
    hosts: ['/failed_eds_health', 'healthy'],
    nobody: 503,
  });
});

test('PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES: requests that no pod was dialled for reach all pods', async () => {
  const objects = [
    serviceObject({ name: 'headless' }, [{ name: 'http', port: PORT, targetPort: ORIGIN_PORT }], {
      clusterIP: 'None',
      clusterIPs: ['None'],
    }),
    sliceObject('headless', [{ name: 'http', port: ORIGIN_PORT, protocol: 'TCP' }], [{ ip: one }, { ip: two }]),
  ];
  const look = async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 24; i++) {
      const { status, seen: arrival } = await get('headless');
      seen.add(arrival?.origin ?? String(status));
    }
    return [...seen].sort();
  };
  const usual = await within(undefined, { objects }, look);
  assert.ok(!usual.includes('one') && !usual.includes('two'), usual.join());
  assert.deepEqual(await within({ headlessEndpoints: true }, { objects }, look), ['one', 'two']);
});

const gatewayProxy = { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere } as const;
const own = selfSigned('edge.test');
const gateway = (server: object): readonly KubeObject[] => [
  podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
  secretObject({ name: 'shown', namespace: 'edge' }, { 'tls.crt': own.certificate, 'tls.key': own.key }),
  istioObject('Gateway', { name: 'edge' }, { selector: { team: 'edge' }, servers: [server] }),
  istioObject(
    'VirtualService',
    { name: 'edge' },
    { hosts: ['*'], gateways: ['edge'], http: [{ route: [{ destination: { host: 'plain' } }] }] },
  ),
];
const webServer = { port: { number: PORT, name: 'http', protocol: 'HTTP' }, hosts: ['*'] };

test('PILOT_FILTER_GATEWAY_CLUSTER_CONFIG: a gateway has the clusters of its routes and of providers alone', async () => {
  const objects = [
    ...plain,
    ...loopbackApp(net, 'other', { last: 34, port: PORT, protocol: 'http' }, [{ last: 12 }]),
    ...loopbackApp(net, 'checker', { last: 35, port: PORT, protocol: 'grpc' }, [{ last: 12 }]),
    ...gateway(webServer),
  ];
  const meshConfig = decodeMeshConfig({
    extensionProviders: [
      { name: 'ask', envoyExtAuthzGrpc: { service: 'default/checker.default.svc.cluster.local', port: PORT } },
    ],
  }).value;
  const look = async (envoy: OfflineEnvoy) => ({
    status: (await get('edge.test')).status,
    hosts: [...envoy.clusters.keys()]
      .filter((name) => name.startsWith('outbound|'))
      .map((name) => name.split('|')[3]?.split('.')[0])
      .sort(),
  });
  const setup = { objects, proxy: gatewayProxy, meshConfig };
  assert.deepEqual(await within(undefined, setup, look), { status: 200, hosts: ['checker', 'other', 'plain'] });
  assert.deepEqual(await within({ filterGatewayClusters: true }, setup, look), {
    status: 200,
    hosts: ['checker', 'plain'],
  });
});

/** The first bytes of a client that begins TLS. */
async function clientHello(servername: string): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', servername });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [import('node:net').Socket];
  const [first] = (await once(socket, 'data')) as [Buffer];
  client.destroy();
  socket.destroy();
  server.close();
  return first;
}

test('PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT: who leaves a handshake in its middle loses the connection', async () => {
  const tlsServer = {
    port: { number: 9651, name: 'https', protocol: 'HTTPS' },
    hosts: ['edge.test'],
    tls: { mode: 'SIMPLE', credentialName: 'shown' },
  };
  const objects = [...plain, ...gateway(tlsServer)];
  await within({ handshakeMs: 300 }, { objects, proxy: gatewayProxy }, async (envoy) => {
    const hello = await clientHello('edge.test');
    const socket = connect(9651, net.everywhere);
    socket.on('error', () => undefined);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket.once('connect', () => socket.write(hello));
    socket.resume();
    await closed;
    const stats = await envoy.admin('/stats?filter=transport_socket_connect_timeout');
    assert.match(stats, /downstream_cx_transport_socket_connect_timeout: 1/);
  });
  const timeouts = (switches?: TrafficSwitches) => {
    const { resources } = generateOffline(objects, gatewayProxy, switches ? { mesh: { switches } } : {});
    return (resources.get(typeUrls.listener) ?? []).flatMap((one) =>
      ((one.json() as Listener).filterChains ?? []).map((chain) => chain.transportSocketConnectTimeout),
    );
  };
  assert.deepEqual(timeouts(), ['15s']);
  assert.deepEqual(timeouts({ handshakeMs: 0 }), [undefined]);
});

test('MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP and PILOT_TRACE_SAMPLING are in what proxies get', () => {
  const zipkin = {
    extensionProviders: [{ name: 'spans', zipkin: { service: 'plain.default.svc.cluster.local', port: PORT } }],
    defaultProviders: { tracing: ['spans'] },
  };
  const look = (switches?: TrafficSwitches) => {
    const { resources } = generateOffline(
      plain,
      { name: 'client', namespace: 'default' },
      { ...(switches && { mesh: { switches } }), meshConfig: decodeMeshConfig(zipkin).value },
    );
    const listeners = (resources.get(typeUrls.listener) ?? []).map((one) => one.json() as Listener);
    const text = JSON.stringify(listeners);
    const sampling = new Set([...text.matchAll(/"randomSampling":\{"value":([\d.]+)\}/g)].map(([, value]) => value));
    const accepted = listeners
      .filter(({ bindToPort }) => bindToPort !== false)
      .map(({ maxConnectionsToAcceptPerSocketEvent: count }) => count);
    return { sampling: [...sampling], accepted: [...new Set(accepted)] };
  };
  assert.deepEqual(look(), { sampling: ['1'], accepted: [1] });
  assert.deepEqual(look({ traceSampling: 12.5, acceptsAtOnce: 0 }), { sampling: ['12.5'], accepted: [undefined] });
  assert.deepEqual(look({ acceptsAtOnce: 7 }).accepted, [7]);
});

test('PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES: the rule’s certificate goes outside, the mounted one into the mesh', async () => {
  const outside = (host: string, location: string) => [
    istioObject(
      'ServiceEntry',
      { name: host.replace('.', '-') },
      {
        hosts: [host],
        location,
        ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
        resolution: 'STATIC',
        endpoints: [{ address: secure, serviceAccount: 'inside', labels: { 'security.istio.io/tlsMode': 'istio' } }],
      },
    ),
  ];
  const rule = (host: string, tls: object) =>
    istioObject('DestinationRule', { name: host.replace('.', '-') }, { host, trafficPolicy: { tls } });
  const mutual = {
    mode: 'MUTUAL',
    sni: 'outside.example',
    caCertificates: authority.rootFile,
    clientCertificate: ofRule.certificateFile,
    privateKey: ofRule.keyFile,
  };
  const objects = [
    ...outside('outside.example', 'MESH_EXTERNAL'),
    ...outside('inside.example', 'MESH_INTERNAL'),
    ...outside('istio.example', 'MESH_INTERNAL'),
    ...outside('automatic.example', 'MESH_INTERNAL'),
    rule('outside.example', mutual),
    rule('inside.example', mutual),
    rule('istio.example', { mode: 'ISTIO_MUTUAL' }),
  ];
  const metadata = {
    TLS_CLIENT_CERT_CHAIN: mounted.certificateFile,
    TLS_CLIENT_KEY: mounted.keyFile,
    TLS_CLIENT_ROOT_CERT: authority.rootFile,
  };
  const look = async () => {
    const who: Record<string, string | undefined> = {};
    for (const host of ['outside', 'inside', 'istio', 'automatic']) {
      const { seen, text } = await get(`${host}.example`);
      who[host] = seen ? seen.tls?.client : text;
    }
    return who;
  };
  const proxy = { name: 'client', namespace: 'default', ipAddress: net.everywhere, metadata };
  const usual = { outside: 'of-the-rule', inside: 'mounted', istio: 'mounted', automatic: 'mounted' };
  assert.deepEqual(await within(undefined, { objects, proxy }, look), usual);
  assert.deepEqual(await within({ externalRuleTls: false }, { objects, proxy }, look), {
    ...usual,
    outside: 'mounted',
  });
});
