import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { type DnsServer, startDnsServer } from '../testing/dns-server.ts';
import { eventually } from '../testing/envoy.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, secretObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** What becomes of requests for hosts that the mesh does not know, as MeshConfig's `outboundTrafficPolicy` and `proxyHttpPort` have it. */

const PORT = 9500;
const UNKNOWN_PORT = 9501;
const PROXY_PORT = 15_807;
const folder = mkdtempSync(join(tmpdir(), 'unknown-traffic-'));
const authority = new TestAuthority(folder, 'authority');
const stranger = new TestAuthority(folder, 'stranger');
const server = authority.issue('secure.example', ['DNS:secure.example']);
const client = authority.issue('the-client', ['DNS:the-client']);

interface Place {
  readonly net: LoopbackNet;
  readonly envoy: OfflineEnvoy;
}

let dns: DnsServer;
const opened: { stop(): Promise<void> }[] = [];
const origins: Record<string, Origin> = {};
async function start(meshConfig: object, more: Partial<OfflineEnvoySetup> = {}): Promise<Place> {
  const net = new LoopbackNet();
  const envoy = await startOfflineEnvoy({
    net,
    ...more,
    objects: [...loopbackApp(net, 'known', { last: 20, port: PORT, protocol: 'http' }, []), ...(more.objects ?? [])],
    proxy: { name: 'client', namespace: 'default', labels: { app: 'client' } },
    meshConfig: decodeMeshConfig(meshConfig).value,
    captured: { outbound: { address: net.ip(253), port: UNKNOWN_PORT } },
    dns,
  });
  opened.push(envoy);
  return { net, envoy };
}

const get = (place: Place, host: string, path = '/'): Promise<Answer> =>
  call(path, { address: place.net.everywhere, port: PORT, host });

before(async () => {
  const net = new LoopbackNet();
  dns = await startDnsServer(net.ip(1), {
    'plain.example': net.ip(2),
    'secure.example': net.ip(3),
    'other.example': net.ip(3),
  });
  origins.plain = await startOrigin('plain', net.ip(2), ORIGIN_PORT);
  origins.moved = await startOrigin('moved', net.ip(4), ORIGIN_PORT);
  origins.secure = await startOrigin('secure', net.ip(3), ORIGIN_PORT, {
    cert: server.certificate,
    key: server.key,
    requestCert: true,
    rejectUnauthorized: false,
  });
});

after(async () => {
  await Promise.all(opened.map((one) => one.stop()));
  await Promise.all(Object.values(origins).map((origin) => origin.close()));
  await dns?.close();
  rmSync(folder, { recursive: true, force: true });
});

test('ALLOW_ANY_DYNAMIC_DNS: the proxy finds the host that a request names', async () => {
  proves('MeshConfig.outboundTrafficPolicy.mode');
  const place = await start({ outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } });
  const host = `plain.example:${ORIGIN_PORT}`;
  // At a port that services have, and at one that none has.
  assert.equal((await get(place, host)).seen?.origin, 'plain');
  const answer = await call('/', { address: place.net.ip(253), port: UNKNOWN_PORT, host });
  assert.equal(answer.seen?.origin, 'plain');
  assert.equal((await get(place, `nowhere.example:${ORIGIN_PORT}`)).status, 503);
  const stats = await place.envoy.admin('/stats?filter=cluster.AllowAnyDynamicDNSCluster.*upstream_rq_200');
  assert.match(stats, /: 2/);
});

test('what is no HTTP still goes where it was sent', async () => {
  const place = await start({ outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS' } });
  const socket = connect(UNKNOWN_PORT, place.net.ip(253));
  socket.on('error', () => {});
  socket.write('\0\0no http\r\n\r\n');
  await eventually(async () => {
    const stats = await place.envoy.admin('/stats?filter=tcp.PassthroughCluster.downstream_cx_total');
    return stats.endsWith(': 1\n') || undefined;
  }, 'a connection to the original destination');
  socket.destroy();
});

test('dnsRefreshRate: how soon a name is looked up again', async () => {
  proves('MeshConfig.dnsRefreshRate');
  const entry = istioObject(
    'ServiceEntry',
    { name: 'plain' },
    {
      hosts: ['plain.example'],
      ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
      resolution: 'DNS',
    },
  );
  const quick = await start({ dnsRefreshRate: '0.1s' }, { objects: [entry] });
  const slow = await start({ dnsRefreshRate: '3600s' }, { objects: [entry] });
  const from = async (place: Place): Promise<string | undefined> => (await get(place, 'plain.example')).seen?.origin;
  const plain = dns.names.get('plain.example') ?? '';
  assert.deepEqual([await from(quick), await from(slow)], ['plain', 'plain']);
  dns.names.set('plain.example', origins.moved?.address ?? '');
  await eventually(async () => ((await from(quick)) === 'moved' ? true : undefined), 'the new address');
  assert.equal(await from(slow), 'plain');
  dns.names.set('plain.example', plain);
});

const secure = `secure.example:${ORIGIN_PORT}`;
const overTls = (tls: object, more: Partial<OfflineEnvoySetup> = {}): Promise<Place> =>
  start({ outboundTrafficPolicy: { mode: 'ALLOW_ANY_DYNAMIC_DNS', tls } }, more);

test('outboundTrafficPolicy.tls: requests for unknown hosts go out over TLS', async (t) => {
  await t.test('the server is known by the host of the request', async () => {
    proves('MeshConfig.outboundTrafficPolicy.tls.mode', 'MeshConfig.outboundTrafficPolicy.tls.caCertificates');
    const place = await overTls({ mode: 'SIMPLE', caCertificates: authority.rootFile });
    const answer = await get(place, secure);
    assert.deepEqual([answer.seen?.origin, answer.seen?.tls?.sni], ['secure', 'secure.example']);
    assert.equal((await get(place, `other.example:${ORIGIN_PORT}`)).status, 503, 'its certificate is for another name');
    const suspicious = await overTls({ mode: 'SIMPLE', caCertificates: stranger.rootFile });
    assert.equal((await get(suspicious, secure)).status, 503);
  });

  await t.test('names, revocation, and no check', async () => {
    proves(
      'MeshConfig.outboundTrafficPolicy.tls.subjectAltNames',
      'MeshConfig.outboundTrafficPolicy.tls.insecureSkipVerify',
      'MeshConfig.outboundTrafficPolicy.tls.caCrl',
    );
    const named = await overTls({
      mode: 'SIMPLE',
      caCertificates: authority.rootFile,
      subjectAltNames: ['secure.example'],
    });
    assert.equal((await get(named, secure)).status, 200);
    const wrong = await overTls({
      mode: 'SIMPLE',
      caCertificates: authority.rootFile,
      subjectAltNames: ['somebody.example'],
    });
    assert.equal((await get(wrong, secure)).status, 503);
    const revoked = await overTls({
      mode: 'SIMPLE',
      caCertificates: authority.rootFile,
      caCrl: authority.revocations(server),
    });
    assert.equal((await get(revoked, secure)).status, 503);
    const careless = await overTls({
      mode: 'SIMPLE',
      caCertificates: stranger.rootFile,
      insecureSkipVerify: true,
    });
    assert.equal((await get(careless, secure)).status, 200);
  });

  await t.test('with a certificate of the client, out of files or a Secret', async () => {
    proves(
      'MeshConfig.outboundTrafficPolicy.tls.clientCertificate',
      'MeshConfig.outboundTrafficPolicy.tls.privateKey',
      'MeshConfig.outboundTrafficPolicy.tls.credentialName',
    );
    const mutual = await overTls({
      mode: 'MUTUAL',
      caCertificates: authority.rootFile,
      clientCertificate: client.certificateFile,
      privateKey: client.keyFile,
    });
    assert.match((await get(mutual, secure)).seen?.tls?.client ?? '', /the-client/);
    const credential = await overTls(
      { mode: 'MUTUAL', credentialName: 'mine' },
      {
        objects: [
          secretObject(
            { name: 'mine' },
            { 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': authority.root },
          ),
        ],
      },
    );
    assert.match((await get(credential, secure)).seen?.tls?.client ?? '', /the-client/);
  });
});

test('verifyCertificateAtClient: whether servers are checked where nobody names roots', async () => {
  proves('MeshConfig.verifyCertificateAtClient');
  const objects = [
    istioObject(
      'ServiceEntry',
      { name: 'secure' },
      {
        hosts: ['secure.example'],
        ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
        resolution: 'DNS',
      },
    ),
    istioObject(
      'DestinationRule',
      { name: 'secure' },
      { host: 'secure.example', trafficPolicy: { tls: { mode: 'SIMPLE' } } },
    ),
  ];
  const answers = [];
  for (const verifyCertificateAtClient of [true, false])
    answers.push((await get(await start({ verifyCertificateAtClient }, { objects }), 'secure.example')).status);
  assert.deepEqual(answers, [503, 200]);
});

test('proxyHttpPort: applications send requests to the sidecar as to a proxy', async () => {
  proves('MeshConfig.proxyHttpPort', 'MeshConfig.outboundTrafficPolicy.mode');
  const viaProxy = (url: string, host: string): Promise<Answer> =>
    call(url, { address: '127.0.0.1', port: PROXY_PORT, host });
  const objects = (net: LoopbackNet) => [
    ...loopbackApp(net, 'shop', { last: 30, port: PORT, protocol: 'http' }, [{ last: 4 }]),
  ];
  const net = new LoopbackNet();
  const found = await startOrigin('shop', net.ip(4), ORIGIN_PORT);
  try {
    const place = await start({ proxyHttpPort: PROXY_PORT }, { objects: objects(net) });
    const of = async (url: string): Promise<string | undefined> =>
      (await viaProxy(url, new URL(url).host)).seen?.origin;
    assert.equal(await of(`http://shop:${PORT}/`), 'shop');
    assert.equal(await of(`http://shop.default.svc.cluster.local:${PORT}/a`), 'shop');
    assert.equal(await of('http://shop/'), 'shop', 'the first port where none is named');
    assert.equal(await of(`http://plain.example:${ORIGIN_PORT}/`), 'plain', 'hosts outside of the mesh');
    await place.envoy.stop();
    const strict = await start({
      proxyHttpPort: PROXY_PORT,
      outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' },
    });
    assert.equal((await viaProxy(`http://plain.example:${ORIGIN_PORT}/`, 'plain.example')).status, 502);
    await strict.envoy.stop();
  } finally {
    await found.close();
  }
});
