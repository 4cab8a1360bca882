import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { after, afterEach, before, describe, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually, freePort } from '../testing/envoy.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { http2Get } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Limits of a Sidecar for connections to its workload's own application, as clients and the application see them. */

const net = new LoopbackNet();
const PORT = 9201;
/** Nobody listens behind this one, nobody accepts behind the next, and nobody answers behind the last. */
const REFUSED_PORT = 9202;
const FULL_PORT = 9203;
const SILENT_PORT = 9204;

let app: Origin;
let nobody = 0;
let silent: Server;
let full: { readonly port: number; readonly process: ChildProcess; readonly waiting: readonly Socket[] };
let envoy: OfflineEnvoy;

/** A listening socket from which nobody accepts, with as many connections before it as it takes: the next one gets no answer. */
async function fullListener(): Promise<typeof full> {
  const program =
    'import socket,sys\ns=socket.socket()\ns.bind(("127.0.0.1",0))\ns.listen(0)\nprint(s.getsockname()[1],flush=True)\nsys.stdin.read()';
  const child = spawn('python3', ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve) => child.stdout.once('data', (data) => resolve(Number(data))));
  const waiting = [1, 2, 3].map(() => connect(port, '127.0.0.1').on('error', () => undefined));
  await eventually(() => (waiting.some((socket) => !socket.connecting) ? true : undefined), 'the first connection');
  return { port, process: child, waiting };
}

const startWith = (pool: object): Promise<OfflineEnvoy> =>
  startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'web-0', labels: { app: 'web' }, ip: net.ip(1) }),
      istioObject('PeerAuthentication', { name: 'public' }, { mtls: { mode: 'DISABLE' } }),
      istioObject(
        'Sidecar',
        { name: 'web' },
        {
          inboundConnectionPool: pool,
          ingress: [
            [PORT, app.port],
            [REFUSED_PORT, nobody],
            [FULL_PORT, full.port],
            [SILENT_PORT, (silent.address() as { port: number }).port],
          ].map(([number, to]) => ({
            port: { number, protocol: 'HTTP', name: `http-${number}` },
            bind: net.everywhere,
            captureMode: 'NONE',
            defaultEndpoint: `127.0.0.1:${to}`,
          })),
        },
      ),
    ],
    proxy: { name: 'web-0', namespace: 'default', ipAddress: net.ip(1) },
  });

const get = (path = '/', port = PORT): Promise<Answer> => call(path, { address: net.everywhere, port, host: 'web' });
const together = (count: number, path = '/', port = PORT): Promise<readonly Answer[]> =>
  Promise.all(Array.from({ length: count }, () => get(path, port)));
const stat = async (name: string, port = PORT): Promise<number> => {
  const text = await envoy.admin(`/stats?filter=${encodeURIComponent(name)}`);
  const line = text.split('\n').find((one) => one.includes(`inbound|${port}|`) && one.includes(`.${name}: `));
  return Number(line?.split(': ')[1] ?? Number.NaN);
};

before(async () => {
  app = await startOrigin('web', '127.0.0.1', await freePort());
  nobody = await freePort();
  silent = createServer((socket) => socket.on('error', () => undefined).resume());
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  full = await fullListener();
});

after(async () => {
  for (const socket of full?.waiting ?? []) socket.destroy();
  full?.process.kill();
  silent?.close();
  await app?.close();
});

describe('an application that takes one connection', () => {
  before(async () => {
    envoy = await startWith({
      tcp: { maxConnections: 1, connectTimeout: '0.3s', tcpKeepalive: { time: '300s', interval: '30s', probes: 4 } },
      http: { http1MaxPendingRequests: 1, idleTimeout: '0.3s' },
    });
  });
  after(() => envoy?.stop());

  test('one request goes through, one waits, the others are refused', async () => {
    proves(
      'Sidecar.spec.inboundConnectionPool.tcp.maxConnections',
      'Sidecar.spec.inboundConnectionPool.http.http1MaxPendingRequests',
    );
    // While there is no connection, the first request waits for it.
    await get();
    const statuses = (await together(6, '/delay/300')).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 200, 503, 503, 503, 503]);
  });

  test('probes of connections that are quiet, and their end', async () => {
    proves(
      'Sidecar.spec.inboundConnectionPool.tcp.tcpKeepalive.time',
      'Sidecar.spec.inboundConnectionPool.http.idleTimeout',
    );
    const { opened } = app.connections;
    await get();
    // Kernel's table of connections: timer 2 is keep-alive, with the time until it fires in hundredths of a second.
    const port = app.port.toString(16).toUpperCase().padStart(4, '0');
    const timers = readFileSync('/proc/net/tcp', 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => columns[2]?.endsWith(`:${port}`) && columns[5]?.startsWith('02:'))
      .map((columns) => Number.parseInt(columns[5]?.slice(3) ?? '', 16) / 100);
    assert.ok(
      timers.some((seconds) => seconds > 250 && seconds <= 300),
      timers.join(' '),
    );
    await eventually(async () => ((await stat('upstream_cx_idle_timeout')) >= 1 ? true : undefined), 'the idle end');
    await eventually(() => (app.connections.open === 0 ? true : undefined), 'the application to see it');
    await get();
    assert.ok(app.connections.opened > opened);
  });

  test('no longer than said for a connection', async () => {
    proves('Sidecar.spec.inboundConnectionPool.tcp.connectTimeout');
    const unanswered = await get('/', FULL_PORT);
    assert.deepEqual([unanswered.status, /connection timeout/.test(unanswered.text)], [503, true], unanswered.text);
  });
});

describe('an application that takes one request at a time, by HTTP/2, each on a connection of its own', () => {
  before(async () => {
    envoy = await startWith({ http: { http2MaxRequests: 1, maxRequestsPerConnection: 1, h2UpgradePolicy: 'UPGRADE' } });
  });
  after(() => envoy?.stop());

  test('it gets them so', async () => {
    proves(
      'Sidecar.spec.inboundConnectionPool.http.http2MaxRequests',
      'Sidecar.spec.inboundConnectionPool.http.maxRequestsPerConnection',
      'Sidecar.spec.inboundConnectionPool.http.h2UpgradePolicy',
    );
    const statuses = (await together(4, '/delay/300')).map(({ status }) => status).sort();
    assert.deepEqual(statuses, [200, 503, 503, 503]);
    const [one, two] = [await get(), await get()];
    assert.deepEqual([one.seen?.http, two.seen?.http], ['2', '2']);
    assert.notEqual(one.seen?.connection, two.seen?.connection);
  });
});

describe('an application that speaks what its clients speak', () => {
  before(async () => {
    envoy = await startWith({
      http: {
        useClientProtocol: true,
        maxRetries: 1,
        maxConcurrentStreams: 1,
        http2KeepAlive: { interval: '0.2s', timeout: '0.3s' },
      },
    });
  });
  after(() => envoy?.stop());

  const http2 = async () => JSON.parse((await http2Get(net.everywhere, PORT, 'web')).body) as Answer['seen'];

  test('HTTP/1.1 stays, HTTP/2 too', async () => {
    proves('Sidecar.spec.inboundConnectionPool.http.useClientProtocol');
    assert.equal((await get()).seen?.http, '1');
    assert.equal((await http2())?.http, '2');
  });

  test('streams of one connection', async () => {
    proves('Sidecar.spec.inboundConnectionPool.http.maxConcurrentStreams');
    app.delay = 200;
    const seen = await Promise.all([http2(), http2(), http2()]);
    app.delay = 0;
    assert.equal(new Set(seen.map((one) => one?.connection)).size, 3);
  });

  test('no more retries at a time than said', async () => {
    proves('Sidecar.spec.inboundConnectionPool.http.maxRetries');
    await together(8, '/', REFUSED_PORT);
    assert.ok((await stat('upstream_rq_retry', REFUSED_PORT)) >= 1);
    assert.ok((await stat('upstream_rq_retry_overflow', REFUSED_PORT)) >= 1);
  });

  test('pings of HTTP/2, and the end where none is answered', async () => {
    proves(
      'Sidecar.spec.inboundConnectionPool.http.http2KeepAlive.interval',
      'Sidecar.spec.inboundConnectionPool.http.http2KeepAlive.timeout',
    );
    await http2();
    const { pings } = app;
    await eventually(() => (app.pings >= pings + 2 ? true : undefined), 'pings');
    assert.equal((await http2Get(net.everywhere, SILENT_PORT, 'web')).status, 503);
    assert.ok((await stat('http2.keepalive_timeout', SILENT_PORT)) >= 1);
  });
});

describe('an application of whose service a DestinationRule speaks', () => {
  const rule = (connectionPool: object, more: object = {}) =>
    istioObject('DestinationRule', { name: 'web' }, { host: 'web', trafficPolicy: { connectionPool, ...more } });
  const start = async (one: ReturnType<typeof rule>, sidecar: object = {}): Promise<void> => {
    envoy = await startOfflineEnvoy({
      net,
      objects: [
        podObject({ name: 'web-0', labels: { app: 'web' }, ip: net.ip(1) }),
        serviceObject({ name: 'web' }, [{ name: 'http', port: 80, targetPort: PORT }], {
          clusterIP: net.ip(20),
          clusterIPs: [net.ip(20)],
        }),
        istioObject('PeerAuthentication', { name: 'public' }, { mtls: { mode: 'DISABLE' } }),
        one,
        istioObject(
          'Sidecar',
          { name: 'web' },
          {
            ingress: [
              {
                port: { number: PORT, protocol: 'HTTP', name: 'http' },
                bind: net.everywhere,
                captureMode: 'NONE',
                defaultEndpoint: `127.0.0.1:${app.port}`,
              },
            ],
            ...sidecar,
          },
        ),
      ],
      proxy: { name: 'web-0', namespace: 'default', ipAddress: net.ip(1) },
    });
  };
  afterEach(() => envoy?.stop());
  const good = async (): Promise<number> =>
    (await together(4, '/delay/300')).filter(({ status }) => status === 200).length;

  test('the limits count at the workload too, those of the port before those of the host', async () => {
    proves('DestinationRule.spec.trafficPolicy.connectionPool', 'DestinationRule.spec.trafficPolicy.portLevelSettings');
    await start(
      rule(
        { http: { http2MaxRequests: 3 } },
        { portLevelSettings: [{ port: { number: 80 }, connectionPool: { http: { http2MaxRequests: 1 } } }] },
      ),
    );
    assert.equal(await good(), 1);
  });

  test('an upgrade is one between proxies', async () => {
    await start(rule({ http: { h2UpgradePolicy: 'UPGRADE', http2MaxRequests: 2 } }));
    assert.equal(await good(), 2);
    assert.equal((await get()).seen?.http, '1');
  });

  test('the Sidecar’s limits come first', async () => {
    proves('Sidecar.spec.inboundConnectionPool.http.http2MaxRequests');
    await start(rule({ http: { http2MaxRequests: 1 } }), { inboundConnectionPool: { http: { http2MaxRequests: 2 } } });
    assert.equal(await good(), 2);
  });
});
