import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { type HttpCall, httpGet } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import type { ConnectionSettings } from './settings.ts';

/** Limits of connections and requests (ProxyConfig.connectionSettings) as clients of a real gateway meet them. */

proves(
  'ProxyConfig.connectionSettings.profile',
  'ProxyConfig.connectionSettings.listenerPerConnectionBufferLimitBytes',
  'ProxyConfig.connectionSettings.clusterPerConnectionBufferLimitBytes',
  'ProxyConfig.connectionSettings.httpIdleTimeout',
  'ProxyConfig.connectionSettings.httpMaxConnectionDuration',
  'ProxyConfig.connectionSettings.httpDrainTimeout',
  'ProxyConfig.connectionSettings.httpRequestTimeout',
  'ProxyConfig.connectionSettings.httpRequestHeadersTimeout',
  'ProxyConfig.connectionSettings.httpStreamIdleTimeout',
  'ProxyConfig.connectionSettings.httpMaxStreamDuration',
  'ProxyConfig.connectionSettings.httpMaxConcurrentStreams',
  'ProxyConfig.connectionSettings.http2InitialStreamWindowSize',
  'ProxyConfig.connectionSettings.http2InitialConnectionWindowSize',
  'ProxyConfig.connectionSettings.httpHeadersWithUnderscoresAction',
  'ProxyConfig.connectionSettings.httpMergeSlashes',
  'ProxyConfig.connectionSettings.httpPathWithEscapedSlashesAction',
  'ProxyConfig.connectionSettings.listenerConnectionLimit',
);

const net = new LoopbackNet();
let origin: Origin;
before(async () => {
  origin = await startOrigin('one', net.ip(2), ORIGIN_PORT);
});
after(() => origin.close());

const objects = [
  podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
  serviceObject({ name: 'gw', namespace: 'edge' }, [{ name: 'http', port: 80, targetPort: 8080 }], {
    selector: { team: 'edge' },
  }),
  podObject({ name: 'client-0', labels: { app: 'client' }, ip: '10.244.0.2' }),
  ...loopbackApp(net, 'one', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
  istioObject(
    'Gateway',
    { name: 'edge' },
    {
      selector: { team: 'edge' },
      servers: [
        { port: { number: 8080, protocol: 'HTTP', name: 'http' }, hosts: ['*'] },
        { port: { number: 8081, protocol: 'TCP', name: 'tcp' }, hosts: ['*'] },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'edge' },
    {
      hosts: ['shop.test'],
      gateways: ['edge', 'mesh'],
      http: [{ route: [{ destination: { host: 'one' } }], retries: { attempts: 1, retryOn: '5xx' } }],
      tcp: [{ match: [{ port: 8081 }], route: [{ destination: { host: 'one', port: { number: 80 } } }] }],
    },
  ),
];

const gatewayProxy = { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere } as const;
const sidecarProxy = { type: 'sidecar', name: 'client-0', namespace: 'default', ipAddress: '10.244.0.2' } as const;

async function withLimits(
  connectionSettings: ConnectionSettings,
  work: (envoy: OfflineEnvoy) => Promise<void>,
  proxy: typeof gatewayProxy | typeof sidecarProxy = gatewayProxy,
): Promise<void> {
  const mesh = defaultMeshConfig();
  const envoy = await startOfflineEnvoy({
    net,
    proxy,
    objects,
    meshConfig: {
      ...mesh,
      defaultConfig: { ...mesh.defaultConfig, connectionSettings: { httpDrainTimeout: '0.1s', ...connectionSettings } },
    },
  });
  try {
    await work(envoy);
  } finally {
    await envoy.stop();
  }
}

const edge = (path = '/', headers: Readonly<Record<string, string>> = {}): HttpCall => ({
  address: net.everywhere,
  port: 8080,
  host: 'shop.test',
  path,
  headers,
});
const get = (path?: string, headers?: Readonly<Record<string, string>>) => httpGet(edge(path, headers));
const session = async (): Promise<ClientHttp2Session> => {
  const made = connectHttp2(`http://${net.everywhere}:8080`);
  made.on('error', () => undefined);
  await once(made, 'remoteSettings');
  return made;
};
const open = async (port: number, text = ''): Promise<Socket> => {
  const socket = connect(port, net.everywhere);
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  if (text !== '') socket.write(text);
  return socket;
};
/** Whatever comes until the connection ends. */
const untilEnd = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.on('close', () => resolve(text));
  });

/** How often the origin gets a request with a long body that it always answers with an error, where one retry is allowed. */
async function attemptsOfBigRequest(): Promise<number> {
  const before = origin.arrivals.length;
  await new Promise<void>((resolve, reject) => {
    const headers = { host: 'shop.test' };
    const outgoing = request(
      { host: net.everywhere, port: 8080, method: 'POST', path: '/status/503', headers, agent: false },
      (response) => response.resume().on('end', resolve),
    );
    outgoing.on('error', reject);
    outgoing.end(Buffer.alloc(1 << 18));
  });
  return origin.arrivals.length - before;
}

test('the profile EDGE is for gateways, and what is set beside it wins', async () => {
  await withLimits({ profile: 'EDGE', httpMaxConcurrentStreams: 200 }, async (envoy) => {
    const client = await session();
    assert.equal(client.remoteSettings.maxConcurrentStreams, 200);
    assert.equal(client.remoteSettings.initialWindowSize, 65_536);
    await eventually(() => client.state.remoteWindowSize === 1_048_576 || undefined, 'the window of the connection');
    client.destroy();
    assert.equal((await get('/', { under_score: 'yes' })).status, 400);
    const merged = JSON.parse((await get('/a//b')).body) as Arrival;
    assert.equal(merged.path, '/a/b');
    const escaped = await get('/a%2fb');
    assert.deepEqual([escaped.status, escaped.headers.location], [307, '/a/b']);
    // What does not fit into the buffer is not kept for another attempt.
    assert.equal(await attemptsOfBigRequest(), 1);
    assert.match(await envoy.admin('/stats?filter=retry_or_shadow_abandoned'), /retry_or_shadow_abandoned: 1/);
    const clusters = await envoy.admin('/config_dump?mask=bootstrap.static_resources.clusters');
    assert.match(clusters, /"per_connection_buffer_limit_bytes": 32768/);
  });
  await withLimits(
    { profile: 'EDGE' },
    async () => {
      const call = { ...edge('/a//b', { under_score: 'yes' }), port: 80 };
      const seen = JSON.parse((await httpGet(call)).body) as Arrival;
      assert.deepEqual([seen.path, seen.headers.under_score], ['/a//b', 'yes']);
    },
    sidecarProxy,
  );
});

test('single settings without a profile, of headers, paths, windows, buffers and connections', async () => {
  await withLimits(
    {
      httpHeadersWithUnderscoresAction: 'HEADERS_WITH_UNDERSCORES_DROP_HEADER',
      httpPathWithEscapedSlashesAction: 'REJECT_REQUEST',
      http2InitialStreamWindowSize: 70_000,
      http2InitialConnectionWindowSize: 80_000,
      listenerPerConnectionBufferLimitBytes: 2_000_000,
      clusterPerConnectionBufferLimitBytes: 12_345,
      listenerConnectionLimit: 2,
    },
    async (envoy) => {
      const seen = JSON.parse((await get('/', { under_score: 'yes' })).body) as Arrival;
      assert.equal(seen.headers.under_score, undefined);
      assert.equal((await get('/a%2fb')).status, 400);
      const client = await session();
      assert.equal(client.remoteSettings.initialWindowSize, 70_000);
      await eventually(() => client.state.remoteWindowSize === 80_000 || undefined, 'the window of the connection');
      client.destroy();
      assert.equal(await attemptsOfBigRequest(), 2);
      await eventually(async () => {
        const stats = await envoy.admin('/stats?filter=8080.downstream_cx_active');
        return /downstream_cx_active: 0/.test(stats) || undefined;
      }, 'all connections closed');
      const held = [await open(8081, 'hello'), await open(8081, 'hello')];
      for (const socket of held) assert.match(String((await once(socket, 'data'))[0]), /hello/);
      assert.equal(await untilEnd(await open(8081, 'hello')), '');
      for (const socket of held) socket.destroy();
    },
  );
});

test('what takes too long', async () => {
  await withLimits({ httpRequestTimeout: '0.3s', httpIdleTimeout: '0.3s' }, async (envoy) => {
    const slowBody = await open(8080, 'POST /delay/1500 HTTP/1.1\r\nhost: shop.test\r\ncontent-length: 5\r\n\r\nab');
    assert.match(await untilEnd(slowBody), /^HTTP\/1.1 408 /);
    // A busy machine does not always answer in time.
    await eventually(async () => {
      const quiet = await open(8080, 'GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n');
      return (await untilEnd(quiet)).startsWith('HTTP/1.1 200 ') || undefined;
    }, 'an answer in time');
    assert.match(await envoy.admin('/stats?filter=downstream_cx_idle_timeout'), /: [1-9]/);
  });
  await withLimits({ httpRequestHeadersTimeout: '0.3s', httpStreamIdleTimeout: '0.3s' }, async () => {
    assert.match(await untilEnd(await open(8080, 'GET / HTTP/1.1\r\nhost: shop')), /^HTTP\/1.1 408 /);
    const { status, body } = await get('/delay/1500');
    assert.deepEqual([status, body], [504, 'stream timeout']);
  });
  await withLimits({ httpMaxStreamDuration: '0.3s' }, async (envoy) => {
    assert.ok((await get('/delay/1500')).status >= 408);
    assert.match(await envoy.admin('/stats?filter=downstream_rq_max_duration_reached'), /: [1-9]/);
  });
});

test('a connection ends gracefully when it has been open for long', async () => {
  await withLimits({ httpMaxConnectionDuration: '0.3s' }, async (envoy) => {
    const client = connectHttp2(`http://${net.everywhere}:8080`);
    client.on('error', () => undefined);
    await Promise.all([once(client, 'goaway'), once(client, 'close')]);
    assert.match(await envoy.admin('/stats?filter=downstream_cx_max_duration_reached'), /: [1-9]/);
    const dump = JSON.parse(await envoy.admin('/config_dump?resource=static_listeners')) as unknown;
    assert.match(JSON.stringify(dump), /"drain_timeout":"0.100s"/);
  });
});
