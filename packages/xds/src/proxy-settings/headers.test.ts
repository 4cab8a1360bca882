import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, request, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { tlsGet } from '../testing/tls-client.ts';
import type { ProxySettings } from './settings.ts';

/** Headers that proxies write by themselves, as clients and applications on both sides of real Envoys see them. */

proves(
  'ProxyConfig.proxyHeaders.forwardedClientCert',
  'ProxyConfig.proxyHeaders.setCurrentClientCertDetails',
  'ProxyConfig.proxyHeaders.requestId.disabled',
  'ProxyConfig.proxyHeaders.server.disabled',
  'ProxyConfig.proxyHeaders.server.value',
  'ProxyConfig.proxyHeaders.attemptCount',
  'ProxyConfig.proxyHeaders.envoyDebugHeaders',
  'ProxyConfig.proxyHeaders.metadataExchangeHeaders.mode',
  'ProxyConfig.proxyHeaders.preserveHttp1HeaderCase',
  'ProxyConfig.proxyHeaders.xForwardedHost.enabled',
  'ProxyConfig.proxyHeaders.xForwardedPort',
);

const net = new LoopbackNet();
const inside = net.ip(50);
const folder = mkdtempSync(join(tmpdir(), 'proxy-headers-'));
const authority = new TestAuthority(folder, 'mesh');
const own = authority.issue('own', ['URI:spiffe://cluster.local/ns/default/sa/client']);
const peer = authority.issue('peer', ['URI:spiffe://cluster.local/ns/default/sa/peer', 'DNS:peer.example']);

/** Answers with the names and values of the headers that came, as they were written. */
const application: Server = createServer((incoming, response) => {
  response.setHeader('X-Camel-Answer', 'yes');
  response.setHeader('server', 'the application');
  response.end(JSON.stringify(incoming.rawHeaders));
});
/** The same as a workload's own application. */
const local = createServer((incoming, response) => application.emit('request', incoming, response));
let port = 0;

const objects = () => [
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
      servers: [{ port: { number: 8080, protocol: 'HTTP', name: 'http' }, hosts: ['*'] }],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'edge' },
    {
      hosts: ['shop.test'],
      gateways: ['edge', 'mesh'],
      http: [
        {
          match: [{ uri: { prefix: '/other' } }],
          rewrite: { authority: 'other.test' },
          route: [{ destination: { host: 'one' } }],
        },
        { route: [{ destination: { host: 'one' } }], retries: { attempts: 2 } },
      ],
    },
  ),
  istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } }),
  istioObject(
    'Sidecar',
    { name: 'own' },
    {
      workloadSelector: { labels: { app: 'client' } },
      ingress: [
        {
          port: { number: 9100, protocol: 'HTTP', name: 'http' },
          bind: inside,
          captureMode: 'NONE',
          defaultEndpoint: `127.0.0.1:${port}`,
        },
      ],
    },
  ),
];

before(async () => {
  await new Promise<void>((resolve) => application.listen(ORIGIN_PORT, net.ip(2), resolve));
  await new Promise<void>((resolve) => local.listen(0, '127.0.0.1', resolve));
  port = (local.address() as { port: number }).port;
});
after(() => {
  for (const server of [application, local]) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(folder, { recursive: true, force: true });
});

type Where = 'gateway' | 'sidecar';

async function withHeaders(
  where: Where,
  proxyHeaders: ProxySettings['proxyHeaders'],
  work: (envoy: OfflineEnvoy) => Promise<void>,
  ofPod?: ProxySettings['proxyHeaders'],
): Promise<void> {
  const mesh = defaultMeshConfig();
  const envoy = await startOfflineEnvoy({
    net,
    proxy: {
      ...(where === 'gateway'
        ? { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere }
        : { type: 'sidecar', name: 'client-0', namespace: 'default', ipAddress: '10.244.0.2' }),
      ...(ofPod && { metadata: { PROXY_CONFIG: { proxyHeaders: ofPod } } }),
    },
    objects: objects(),
    meshConfig: { ...mesh, defaultConfig: { ...mesh.defaultConfig, ...(proxyHeaders && { proxyHeaders }) } },
    identity: { certificate: own.certificate, key: own.key, roots: authority.root },
  });
  try {
    await work(envoy);
  } finally {
    await envoy.stop();
  }
}

interface Exchange {
  /** Headers as the application saw them, and as the client did, by their names as written. */
  readonly sent: ReadonlyMap<string, string>;
  readonly answered: ReadonlyMap<string, string>;
}

const pairs = (raw: readonly string[]): ReadonlyMap<string, string> =>
  new Map(raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1] ?? ''] as const] : [])));

const exchange = (
  address: string,
  toPort: number,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Exchange> =>
  new Promise((resolve, reject) => {
    const outgoing = request(
      {
        host: address,
        port: toPort,
        path,
        headers: { host: 'shop.test', 'X-Camel-Case': 'yes', ...headers },
        agent: false,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('error', reject);
        response.on('end', () => {
          try {
            resolve({ sent: pairs(JSON.parse(text) as string[]), answered: pairs(response.rawHeaders) });
          } catch {
            reject(new Error(`status ${response.statusCode}: ${text}`));
          }
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end();
  });
const throughGateway = (path = '/', headers = {}) => exchange(net.everywhere, 8080, path, headers);
const throughSidecar = (path = '/', headers = {}) => exchange(net.everywhere, 80, path, headers);

test('what proxies write unless told otherwise', async () => {
  await withHeaders('gateway', undefined, async () => {
    const { sent, answered } = await throughGateway('/other');
    assert.match(sent.get('x-request-id') ?? '', /^[\da-f-]{36}$/);
    assert.equal(sent.get('x-envoy-attempt-count'), '1');
    assert.equal(sent.get('host'), 'other.test');
    assert.equal(sent.get('x-camel-case'), 'yes');
    assert.deepEqual([sent.get('x-forwarded-host'), sent.get('x-forwarded-port')], [undefined, undefined]);
    assert.deepEqual([answered.get('server'), answered.get('x-camel-answer')], ['istio-envoy', 'yes']);
    assert.ok(answered.has('x-envoy-upstream-service-time'));
  });
});

const other: ProxySettings['proxyHeaders'] = {
  requestId: { disabled: true },
  server: { value: 'the shop' },
  attemptCount: { disabled: true },
  envoyDebugHeaders: { disabled: true },
  metadataExchangeHeaders: { mode: 'IN_MESH' },
  preserveHttp1HeaderCase: true,
  xForwardedHost: { enabled: true },
  xForwardedPort: { enabled: true },
};

for (const [where, through] of [
  ['gateway', throughGateway],
  ['sidecar', throughSidecar],
] as const)
  test(`what a ${where} writes when it is told otherwise`, async () => {
    await withHeaders(where, other, async () => {
      const { sent, answered } = await through('/other');
      const names = [...sent.keys()].map((name) => name.toLowerCase());
      assert.deepEqual(
        names.filter(
          (name) => name === 'x-request-id' || name === 'x-envoy-attempt-count' || /peer-metadata/.test(name),
        ),
        [],
      );
      assert.equal(sent.get('X-Camel-Case'), 'yes');
      assert.deepEqual([sent.get('host'), sent.get('x-forwarded-host')], ['other.test', 'shop.test']);
      assert.equal(sent.get('x-forwarded-port'), where === 'gateway' ? '8080' : '80');
      assert.deepEqual([answered.get('server'), answered.get('X-Camel-Answer')], ['the shop', 'yes']);
      assert.ok(!answered.has('x-envoy-upstream-service-time'));
      const unchanged = await through('/', { 'x-request-id': 'mine' });
      assert.equal(unchanged.sent.get('x-request-id'), 'mine');
      assert.ok(!unchanged.sent.has('x-forwarded-host'));
    });
  });

test('the header of the application about itself stays, which a pod may say of its own proxy', async () => {
  await withHeaders(
    'gateway',
    { server: { value: 'the shop' }, requestId: { disabled: true } },
    async () => {
      const { sent, answered } = await throughGateway();
      assert.equal(answered.get('server'), 'the application');
      assert.ok(!sent.has('x-request-id'));
    },
    { server: { disabled: true } },
  );
});

async function clientCertificate(): Promise<string> {
  const reply = await tlsGet(inside, 9100, {
    servername: 'whoever',
    cert: peer.certificate,
    key: peer.key,
    ca: authority.root,
    ALPNProtocols: ['http/1.1'],
  });
  assert.equal(reply.status, 200, reply.body);
  const sent = pairs(JSON.parse(reply.body) as string[]);
  return sent.get('x-forwarded-client-cert') ?? '';
}
const parts = (text: string): readonly string[] =>
  text
    .split(';')
    .map((part) => part.split('=')[0] ?? '')
    .sort();

test('what an application learns about the certificate of who called', async () => {
  await withHeaders('sidecar', undefined, async () => {
    assert.deepEqual(parts(await clientCertificate()), ['By', 'DNS', 'Hash', 'Subject', 'URI']);
  });
  await withHeaders(
    'sidecar',
    { setCurrentClientCertDetails: { subject: false, cert: true, chain: true, dns: false, uri: false } },
    async () => assert.deepEqual(parts(await clientCertificate()), ['By', 'Cert', 'Chain', 'Hash']),
  );
  await withHeaders('sidecar', { forwardedClientCert: 'SANITIZE' }, async () =>
    assert.equal(await clientCertificate(), ''),
  );
});
