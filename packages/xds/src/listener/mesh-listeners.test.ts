import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttpServer, type Server } from 'node:http';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { Cluster } from '@istio-ts/envoy';
import { createGrpcServer } from '@istio-ts/envoy/grpc';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';

/** What the mesh's configuration says of the listeners of every sidecar: time to find a protocol, where requests arrive, access logs. */

const net = new LoopbackNet();
const PORT = 9700;
const folder = mkdtempSync(join(tmpdir(), 'mesh-listeners-'));
const closing: (() => unknown)[] = [];
let app: Server;
let appPort = 0;
let greeter = 0;

async function start(meshConfig: object, more: Partial<OfflineEnvoySetup> = {}): Promise<OfflineEnvoy> {
  return startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'client', labels: { app: 'client' }, ip: net.ip(9) }),
      serviceObject({ name: 'client' }, [{ name: 'http', port: 80, targetPort: appPort }], {
        clusterIP: net.ip(30),
        clusterIPs: [net.ip(30)],
      }),
      istioObject(
        'ServiceEntry',
        { name: 'greeter' },
        {
          hosts: ['greeter.example'],
          addresses: [net.ip(31)],
          ports: [{ number: PORT, name: 'unknown', targetPort: greeter }],
          resolution: 'STATIC',
          endpoints: [{ address: net.ip(2) }],
        },
      ),
      ...loopbackApp(net, 'nobody', { last: 32, port: PORT + 1, protocol: 'http' }, []),
      ...(more.objects ?? []),
    ],
    proxy: { name: 'client', namespace: 'default', ...more.proxy },
    meshConfig: decodeMeshConfig(meshConfig).value,
    captured: { inbound: { address: net.ip(9), port: appPort } },
    ...(more.clusters && { clusters: more.clusters }),
  });
}

async function withMesh(
  meshConfig: object,
  work: (envoy: OfflineEnvoy) => Promise<void>,
  more: Partial<OfflineEnvoySetup> = {},
): Promise<void> {
  const envoy = await start(meshConfig, more);
  try {
    await work(envoy);
  } finally {
    await envoy.stop();
  }
}

const arriving = (path = '/') => call(path, { address: net.ip(9), port: appPort, host: 'client' });
const listen = (server: Server | ReturnType<typeof createServer>, host: string): Promise<number> =>
  new Promise((resolve) => server.listen(0, host, () => resolve((server.address() as AddressInfo).port)));

before(async () => {
  app = createHttpServer((_request, response) => response.end('the application'));
  appPort = await listen(app, '127.0.0.1');
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('welcome');
  });
  greeter = await listen(server, net.ip(2));
  closing.push(
    () => app.close(),
    () => server.close(),
  );
});

after(() => {
  for (const close of closing) close();
  rmSync(folder, { recursive: true, force: true });
});

test('protocolDetectionTimeout: how long a client may be silent before the server may speak', async () => {
  proves('MeshConfig.protocolDetectionTimeout');
  const greeting = async (deadlineMs: number): Promise<string> => {
    const socket = connect(PORT, net.ip(31));
    let got = '';
    socket.on('data', (data: Buffer) => (got += data.toString()));
    const until = Date.now() + deadlineMs;
    await eventually(() => (got !== '' || Date.now() > until ? true : undefined), 'a greeting');
    socket.destroy();
    return got;
  };
  await withMesh({ protocolDetectionTimeout: '0.1s' }, async () => assert.equal(await greeting(20_000), 'welcome'));
  await withMesh({ protocolDetectionTimeout: '600s' }, async () => assert.equal(await greeting(500), ''));
});

test('inboundTrafficPolicy LOCALHOST: an application that listens on the loopback address gets its requests', async () => {
  proves('MeshConfig.inboundTrafficPolicy.mode', 'MeshConfig.inboundClusterStatName');
  const settings = { inboundClusterStatName: 'own_%SERVICE%_%SERVICE_PORT_NAME%_%TARGET_PORT%' };
  await withMesh({ inboundTrafficPolicy: { mode: 'LOCALHOST' }, ...settings }, async (envoy) => {
    assert.equal((await arriving()).text, 'the application');
    const stats = await envoy.admin('/stats?filter=own_client');
    assert.match(stats, new RegExp(`cluster\\.own_client\\.default_http_${appPort};?\\.upstream_rq_200: 1`));
  });
  await withMesh({ inboundTrafficPolicy: { mode: 'PASSTHROUGH' } }, async () =>
    assert.notEqual((await arriving()).status, 200),
  );
});

/** Lines of an access log, once there are that many. */
const lines = (file: string, count: number): Promise<readonly string[]> =>
  eventually(() => {
    const found = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
    return found.length >= count ? found : undefined;
  }, `${count} lines of ${file}`);

const strict = istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } });

test('access logs in a file: text and JSON, formats, and what no filter chain takes', async () => {
  proves(
    'MeshConfig.accessLogFile',
    'MeshConfig.accessLogFormat',
    'MeshConfig.accessLogEncoding',
    'MeshConfig.disableEnvoyListenerLog',
  );
  const local = { inboundTrafficPolicy: { mode: 'LOCALHOST' } };
  const file = (name: string): string => join(folder, name);
  await withMesh({ ...local, accessLogFile: file('default') }, async () => {
    await arriving('/in-text');
    assert.match((await lines(file('default'), 1))[0] ?? '', /^\[2.*Z\] "GET \/in-text HTTP\/1\.1" 200 - via_upstream/);
  });
  await withMesh(
    { ...local, accessLogFile: file('own'), accessLogFormat: 'seen %REQ(:PATH)% %RESPONSE_CODE%' },
    async () => {
      await arriving('/own');
      assert.deepEqual(await lines(file('own'), 1), ['seen /own 200']);
    },
  );
  await withMesh({ ...local, accessLogFile: file('json'), accessLogEncoding: 'JSON' }, async () => {
    await arriving('/in-json');
    const entry = JSON.parse((await lines(file('json'), 1))[0] ?? '') as Readonly<Record<string, unknown>>;
    assert.deepEqual([entry.path, entry.response_code, entry.method], ['/in-json', 200, 'GET']);
  });
  await withMesh(
    {
      ...local,
      accessLogFile: file('own-json'),
      accessLogEncoding: 'JSON',
      accessLogFormat: '{"where": "%REQ(:PATH)%"}',
    },
    async () => {
      await arriving('/there');
      assert.deepEqual(await lines(file('own-json'), 1), ['{"where":"/there"}']);
    },
  );
  for (const disableEnvoyListenerLog of [false, true]) {
    const name = `listener-${disableEnvoyListenerLog}`;
    const format = '%RESPONSE_FLAGS%';
    await withMesh(
      { ...local, accessLogFile: file(name), accessLogFormat: format, disableEnvoyListenerLog },
      async () => {
        // In the clear, where mutual TLS only is let in; then one that is logged whatever is said of listeners.
        await assert.rejects(arriving());
        await call('/', { address: net.everywhere, port: PORT + 1, host: 'nobody' });
        assert.deepEqual(await lines(file(name), disableEnvoyListenerLog ? 1 : 2), [
          ...(disableEnvoyListenerLog ? [] : ['NR']),
          'UH',
        ]);
      },
      { objects: [strict] },
    );
  }
});

test('enableEnvoyAccessLogService: access logs go to the service that the proxy was started with', async () => {
  proves('MeshConfig.enableEnvoyAccessLogService');
  let received = '';
  const server = createGrpcServer({
    methods: {
      '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs': {
        kind: 'stream',
        handle: async (stream) => {
          for await (const bytes of stream.messages()) received += bytes.toString('latin1');
        },
      },
    },
  });
  const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  closing.push(() => server.close(100));
  const service: Cluster = {
    name: 'envoy_accesslog_service',
    type: 'STATIC',
    connectTimeout: '2s',
    typedExtensionProtocolOptions: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
        '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
        explicitHttpConfig: { http2ProtocolOptions: {} },
      },
    },
    loadAssignment: {
      clusterName: 'envoy_accesslog_service',
      endpoints: [
        {
          lbEndpoints: [{ endpoint: { address: { socketAddress: { address: '127.0.0.1', portValue: port } } } }],
        },
      ],
    },
  };
  const settings = { enableEnvoyAccessLogService: true, inboundTrafficPolicy: { mode: 'LOCALHOST' } };
  const started = { envoyAccessLogService: { address: `127.0.0.1:${port}` } };
  await withMesh(
    settings,
    async () => {
      await arriving('/for-the-service');
      await eventually(() => (received.includes('/for-the-service') ? true : undefined), 'an entry of the log');
      assert.ok(received.includes('http_envoy_accesslog'));
    },
    {
      proxy: { name: 'client', namespace: 'default', metadata: { PROXY_CONFIG: started } },
      clusters: [service],
    },
  );
  // A proxy that was started without such a service keeps working.
  await withMesh(settings, async () => assert.equal((await arriving()).status, 200));
});
