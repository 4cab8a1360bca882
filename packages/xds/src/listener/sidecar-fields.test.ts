import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { selfSigned } from '../testing/certificate.ts';
import { call } from '../testing/http-call.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/**
 * Sidecar, as the clients of two real Envoys see it: that of a workload whose namespace has a Sidecar with ports of its own in both directions, and
 * that of a workload whose Sidecar selects it.
 */

const net = new LoopbackNet();
const host = (name: string): string => `${name}.default.svc.cluster.local`;
const at = {
  a: net.ip(1),
  b: net.ip(2),
  bytes: net.ip(3),
  bound: net.ip(50),
  boundBytes: net.ip(51),
  web: net.ip(60),
  echo: net.ip(61),
  secure: net.ip(62),
  mutual: net.ip(63),
} as const;
const server = selfSigned('secure.example');
const client = selfSigned('someone');
const files = {
  serverCertificate: '/etc/own/tls.crt',
  privateKey: '/etc/own/tls.key',
  caCertificates: '/etc/own/ca.crt',
};

let folder = '';
let whole: OfflineEnvoy;
let selected: OfflineEnvoy;
let origins: readonly Origin[] = [];
let own: Server;
let echo: Server;

const objects = (sockets: string) => [
  podObject({ name: 'client-0', labels: { app: 'client' }, ip: '10.244.0.2' }),
  podObject({ name: 'special-0', labels: { app: 'special', kind: 'special' }, ip: '10.244.0.3' }),
  ...loopbackApp(net, 'a', { last: 31, port: 8000, protocol: 'http' }, [{ last: 1 }]),
  ...loopbackApp(net, 'b', { last: 32, port: 8000, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'other', { last: 33, port: 8001, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'bytes', { last: 34, port: 8002, protocol: 'tcp' }, [{ last: 3 }]),
  ...loopbackApp(net, 'out', { last: 36, port: 8003, protocol: 'http' }, [
    { last: 1, labels: { version: 'v1' } },
    { last: 2, labels: { version: 'v2' } },
  ]),
  istioObject(
    'DestinationRule',
    { name: 'out' },
    { host: 'out', subsets: [{ name: 'second', labels: { version: 'v2' } }] },
  ),
  ...loopbackApp(net, 'hidden', { last: 35, port: 8001, protocol: 'http' }, [{ last: 2 }]),
  istioObject(
    'PeerAuthentication',
    { name: 'ports' },
    {
      selector: { matchLabels: { app: 'client' } },
      portLevelMtls: { 9102: { mode: 'DISABLE' }, 9103: { mode: 'DISABLE' } },
    },
  ),
  istioObject(
    'Sidecar',
    { name: 'default' },
    {
      egress: [
        { port: { number: 8000, protocol: 'HTTP', name: 'http' }, hosts: ['./a.default.svc.cluster.local'] },
        {
          port: { number: 8001, protocol: 'HTTP', name: 'http' },
          bind: at.bound,
          captureMode: 'NONE',
          hosts: ['default/other.default.svc.cluster.local'],
        },
        {
          port: { number: 7000, protocol: 'TCP', name: 'tcp' },
          bind: at.boundBytes,
          captureMode: 'NONE',
          hosts: ['./bytes.default.svc.cluster.local'],
        },
        {
          port: { number: 0, protocol: 'HTTP', name: 'socket' },
          bind: `unix://${sockets}/out.sock`,
          captureMode: 'NONE',
          hosts: ['./*'],
        },
        { hosts: ['./bytes.default.svc.cluster.local'] },
      ],
      ingress: [
        {
          port: { number: 9100, protocol: 'HTTP', name: 'http' },
          bind: at.web,
          captureMode: 'NONE',
          defaultEndpoint: `127.0.0.1:${(own.address() as { port: number }).port}`,
        },
        {
          port: { number: 9101, protocol: 'TCP', name: 'tcp' },
          bind: at.echo,
          captureMode: 'NONE',
          defaultEndpoint: `unix://${sockets}/app.sock`,
          connectionPool: { tcp: { idleTimeout: '0.5s' } },
        },
        ...(['SIMPLE', 'MUTUAL'] as const).map((mode, i) => ({
          port: { number: 9102 + i, protocol: 'HTTP', name: `https-${mode}` },
          bind: i === 0 ? at.secure : at.mutual,
          captureMode: 'NONE',
          defaultEndpoint: `127.0.0.1:${(own.address() as { port: number }).port}`,
          tls:
            mode === 'SIMPLE'
              ? { mode, serverCertificate: files.serverCertificate, privateKey: files.privateKey }
              : { mode, ...files },
        })),
        {
          port: { number: 9104, protocol: 'TCP', name: 'tcp-short' },
          bind: at.echo,
          captureMode: 'NONE',
          defaultEndpoint: `unix://${sockets}/app.sock`,
        },
      ],
      inboundConnectionPool: { tcp: { maxConnections: 1, maxConnectionDuration: '0.7s' } },
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    },
  ),
  istioObject(
    'Sidecar',
    { name: 'special' },
    {
      workloadSelector: { labels: { kind: 'special' } },
      outboundTrafficPolicy: {
        mode: 'ALLOW_ANY',
        egressProxy: { host: host('out'), subset: 'second', port: { number: 8003 } },
      },
    },
  ),
];

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sidecar-'));
  origins = await Promise.all([
    startOrigin('a', at.a, ORIGIN_PORT),
    startOrigin('b', at.b, ORIGIN_PORT),
    startOrigin('bytes', at.bytes, ORIGIN_PORT),
  ]);
  own = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nx-own: yes\r\ncontent-length: 0\r\n\r\n'));
  });
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve));
  echo = await startEcho(join(folder, 'app.sock'));
  const world = objects(folder);
  const secrets = [
    {
      name: `file-cert:${files.serverCertificate}~${files.privateKey}`,
      tlsCertificate: {
        certificateChain: { inlineString: server.certificate },
        privateKey: { inlineString: server.key },
      },
    },
    {
      name: `file-root:${files.caCertificates}`,
      validationContext: { trustedCa: { inlineString: client.certificate } },
    },
  ];
  whole = await startOfflineEnvoy({
    net,
    objects: world,
    secrets,
    proxy: { name: 'client-0', namespace: 'default', ipAddress: '10.244.0.2' },
  });
});

after(async () => {
  await whole?.stop();
  await selected?.stop();
  for (const origin of origins) await origin.close();
  own?.close();
  echo?.close();
  await rm(folder, { recursive: true, force: true });
});

async function startEcho(path: string): Promise<Server> {
  const started = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => started.listen(path, resolve));
  return started;
}

/** Sends bytes, and tells what came back and after how long the other side closed. */
const exchange = (
  address: string,
  port: number,
  text: string,
): Promise<{ readonly got: string; readonly ms: number }> =>
  new Promise((resolve, reject) => {
    const started = performance.now();
    let got = '';
    const socket = connect(port, address, () => socket.write(text));
    socket.setTimeout(10_000, () => socket.destroy(new Error('nobody closed the connection')));
    socket.on('data', (data) => {
      got += data.toString();
    });
    // A refused connection is reset.
    socket.on('error', (error) => 'code' in error || reject(error));
    socket.on('close', () => resolve({ got, ms: performance.now() - started }));
  });

test('a port of an egress listener leads to its hosts and to nothing else', async () => {
  proves('Sidecar.spec.egress[].hosts[]', 'Sidecar.spec.outboundTrafficPolicy.mode');
  const to = (name: string) => call('/', { address: net.everywhere, port: 8000, host: host(name) });
  assert.equal((await to('a')).seen?.origin, 'a');
  assert.equal((await to('b')).status, 502);
  assert.equal((await call('/', { address: net.everywhere, port: 8000, host: 'elsewhere.example' })).status, 502);
});

test('an egress listener is bound to its address for HTTP and for bytes', async () => {
  proves('Sidecar.spec.egress[].port', 'Sidecar.spec.egress[].bind', 'Sidecar.spec.egress[].captureMode');
  const to = (name: string) => call('/', { address: at.bound, port: 8001, host: host(name) });
  assert.equal((await to('other')).seen?.origin, 'b');
  assert.equal((await to('hidden')).status, 502);
  const socket = connect(7000, at.boundBytes, () => socket.write('hello'));
  const answer = await new Promise<string>((resolve, reject) => {
    socket.on('data', (data) => resolve(data.toString()));
    socket.on('error', reject);
  });
  socket.destroy();
  assert.equal(answer, 'bytes#1:hello');
});

test('an egress listener on a Unix socket tells ports apart by the Host header', async () => {
  proves('Sidecar.spec.egress[].bind', 'Sidecar.spec.egress[].hosts[]');
  const ask = async (name: string) =>
    JSON.parse((await httpGet({ socketPath: join(folder, 'out.sock'), host: name })).body) as { origin: string };
  assert.equal((await ask(`${host('a')}:8000`)).origin, 'a');
  assert.equal((await ask(`${host('other')}:8001`)).origin, 'b');
  assert.equal((await ask('b')).origin, 'b');
});

test('an ingress listener is bound to its address and leads to its default endpoint', async () => {
  proves(
    'Sidecar.spec.ingress[].port.number',
    'Sidecar.spec.ingress[].port.protocol',
    'Sidecar.spec.ingress[].port.name',
    'Sidecar.spec.ingress[].bind',
    'Sidecar.spec.ingress[].captureMode',
    'Sidecar.spec.ingress[].defaultEndpoint',
  );
  const { status, headers } = await call('/', { address: at.web, port: 9100, host: 'x' });
  assert.equal(status, 200);
  assert.equal(headers['x-own'], 'yes');
});

test('connections of bytes to a socket end when they are quiet for too long, or too old', async () => {
  proves(
    'Sidecar.spec.ingress[].connectionPool',
    'Sidecar.spec.inboundConnectionPool.tcp.idleTimeout',
    'Sidecar.spec.inboundConnectionPool.tcp.maxConnectionDuration',
    'Sidecar.spec.ingress[].defaultEndpoint',
  );
  const quiet = await exchange(at.echo, 9101, 'ping pong');
  assert.equal(quiet.got, 'ping pong');
  assert.ok(quiet.ms >= 400, `${quiet.ms} ms`);
  const old = await exchange(at.echo, 9104, 'ping pong');
  assert.equal(old.got, 'ping pong');
  assert.ok(old.ms >= 600, `${old.ms} ms`);
});

test('no more connections to the application than its Sidecar allows', async () => {
  proves('Sidecar.spec.inboundConnectionPool.tcp.maxConnections');
  const both = await Promise.all([exchange(at.echo, 9104, 'number one'), exchange(at.echo, 9104, 'number two')]);
  assert.deepEqual(
    both
      .map(({ got }) => got)
      .sort()
      .filter(Boolean).length,
    1,
  );
});

test('an ingress listener ends TLS itself', async () => {
  proves(
    'Sidecar.spec.ingress[].tls.mode',
    'Sidecar.spec.ingress[].tls.serverCertificate',
    'Sidecar.spec.ingress[].tls.privateKey',
    'Sidecar.spec.ingress[].tls.caCertificates',
  );
  assert.equal((await tlsGet(at.secure, 9102, { servername: 'secure.example' })).headers['x-own'], 'yes');
  await assert.rejects(call('/', { address: at.secure, port: 9102, host: 'x' }));
  await assert.rejects(tlsGet(at.mutual, 9103, { servername: 'secure.example' }));
  const known = await tlsGet(at.mutual, 9103, {
    servername: 'secure.example',
    cert: client.certificate,
    key: client.key,
  });
  assert.equal(known.status, 200);
});

test('a Sidecar that selects the workload wins, and an egress proxy takes what the mesh does not know', async () => {
  proves(
    'Sidecar.spec.workloadSelector.labels[]',
    'Sidecar.spec.outboundTrafficPolicy.mode',
    'Sidecar.spec.outboundTrafficPolicy.egressProxy.host',
    'Sidecar.spec.outboundTrafficPolicy.egressProxy.subset',
    'Sidecar.spec.outboundTrafficPolicy.egressProxy.port.number',
  );
  await whole.stop();
  selected = await startOfflineEnvoy({
    net,
    objects: objects(folder),
    proxy: { name: 'special-0', namespace: 'default', ipAddress: '10.244.0.3' },
  });
  const to = (name: string) => call('/', { address: net.everywhere, port: 8000, host: name });
  assert.equal((await to(host('b'))).seen?.origin, 'b');
  for (let i = 0; i < 4; i++) {
    const unknown = await to('elsewhere.example');
    assert.equal(unknown.seen?.origin, 'b');
    assert.equal(unknown.seen?.headers.host, 'elsewhere.example');
  }
});
