import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { type Issued, TestAuthority } from '../testing/authority.ts';
import { eventually } from '../testing/envoy.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, secretObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** How a DestinationRule makes connections: limits, protocols, TLS, tunnels, as a client and the servers of one real Envoy see them. */

const net = new LoopbackNet();
const PORT = 9100;
const TCP_PORT = 9200;
const host = (name: string): string => `${name}.default.svc.cluster.local`;
const folder = mkdtempSync(join(tmpdir(), 'connection-fields-'));
const authority = new TestAuthority(folder, 'public');
const stranger = new TestAuthority(folder, 'stranger');
const meshAuthority = new TestAuthority(folder, 'mesh');
const server: Issued = authority.issue('server', ['DNS:secure.example', 'DNS:*.default.svc.cluster.local']);
const client: Issued = authority.issue('client', ['DNS:client.example']);
const workload = meshAuthority.issue('workload', ['URI:spiffe://cluster.local/ns/default/sa/client']);
const meshServer = meshAuthority.issue('mesh-server', [
  'URI:spiffe://cluster.local/ns/default/sa/mutual',
  'URI:spiffe://cluster.local/ns/default/sa/automatic',
]);
const roots = { caCertificates: authority.rootFile };

/** Last bytes of addresses: a plain server, one with TLS, one of the mesh, and one that accepts and says nothing. */
const PLAIN = 1;
const SECURE = 2;
const MESH = 3;
const SILENT = 4;

interface Case {
  readonly policy?: object;
  readonly more?: object;
  readonly pod?: number;
  readonly port?: number;
  readonly protocol?: string;
  readonly retries?: object;
}

const tls = (settings: object): Case => ({ policy: { tls: settings }, pod: SECURE });
const http = (settings: object, protocol?: string): Case => ({
  policy: { connectionPool: { http: settings } },
  ...(protocol !== undefined && { protocol }),
});
const tcp = (settings: object): Case => ({ policy: { connectionPool: { tcp: settings } } });
const onTcp = (policy: object, more: object = {}): Case => ({ policy, more, port: TCP_PORT, protocol: 'tcp' });

const cases: Readonly<Record<string, Case>> = {
  pending: { policy: { connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1 } } } },
  active: http({ http2MaxRequests: 1 }),
  once: http({ maxRequestsPerConnection: 1 }),
  retrying: { ...http({ maxRetries: 1 }), retries: { attempts: 1, retryOn: '5xx', backoff: '50ms' } },
  budget: {
    policy: { retryBudget: { percent: 0, minRetryConcurrency: 1, budgetInterval: '0.1s' } },
    retries: { attempts: 1, retryOn: '5xx', backoff: '50ms' },
  },
  remembered: {
    policy: { retryBudget: { percent: 50, minRetryConcurrency: 0, budgetInterval: '60s' } },
    retries: { attempts: 1, retryOn: '5xx', backoff: '25ms', retryIgnorePreviousHosts: false },
  },
  forgotten: {
    policy: { retryBudget: { percent: 50, minRetryConcurrency: 0 } },
    retries: { attempts: 1, retryOn: '5xx', backoff: '25ms', retryIgnorePreviousHosts: false },
  },
  idle: http({ idleTimeout: '0.2s' }),
  aged: tcp({ maxConnectionDuration: '0.2s' }),
  upgraded: http({ h2UpgradePolicy: 'UPGRADE' }),
  kept: http({ h2UpgradePolicy: 'DO_NOT_UPGRADE' }),
  followed: http({ useClientProtocol: true }, 'http2'),
  streams: http({ maxConcurrentStreams: 1 }, 'http2'),
  pinged: http({ http2KeepAlive: { interval: '0.2s', timeout: '5s' } }, 'http2'),
  unanswered: {
    ...http({ http2KeepAlive: { interval: '0.1s', timeout: '0.3s' } }, 'http2'),
    pod: SILENT,
  },
  plaintext: {},
  silent: {
    ...tls({ mode: 'SIMPLE' }),
    policy: { tls: { mode: 'SIMPLE', ...roots }, connectionPool: { tcp: { connectTimeout: '0.3s' } } },
    pod: SILENT,
  },
  alive: tcp({ tcpKeepalive: { time: '300s', interval: '30s', probes: 4 } }),
  proxied1: { policy: { proxyProtocol: { version: 'V1' } } },
  proxied2: { policy: { proxyProtocol: { version: 'V2' } } },

  simple: tls({ mode: 'SIMPLE', ...roots }),
  named: tls({ mode: 'SIMPLE', ...roots, sni: 'secure.example' }),
  alternate: tls({ mode: 'SIMPLE', ...roots, sni: 'unknown.example', subjectAltNames: ['secure.example'] }),
  mismatch: tls({ mode: 'SIMPLE', ...roots, sni: 'secure.example', subjectAltNames: ['other.example'] }),
  untrusted: tls({ mode: 'SIMPLE', caCertificates: stranger.rootFile }),
  unchecked: tls({ mode: 'SIMPLE', insecureSkipVerify: true }),
  mutualfiles: tls({ mode: 'MUTUAL', ...roots, clientCertificate: client.certificateFile, privateKey: client.keyFile }),
  revoked: tls({ mode: 'SIMPLE', ...roots, caCrl: authority.revocations(server) }),
  credential: {
    ...tls({ mode: 'MUTUAL', credentialName: 'client-credential' }),
    more: { workloadSelector: { matchLabels: { app: 'client' } } },
  },
  unselected: tls({ mode: 'SIMPLE', credentialName: 'client-credential' }),
  mutual: { policy: { tls: { mode: 'ISTIO_MUTUAL' } }, pod: MESH },
  automatic: { pod: MESH },
  disabled: { policy: { tls: { mode: 'DISABLE' } }, pod: MESH },
  ported: {
    policy: {
      tls: { mode: 'SIMPLE', caCertificates: stranger.rootFile },
      connectionPool: { http: { maxRequestsPerConnection: 1 } },
      portLevelSettings: [
        { port: { number: PORT + 1 }, tls: { mode: 'DISABLE' } },
        {
          port: { number: PORT },
          tls: { mode: 'SIMPLE', ...roots },
          connectionPool: { http: { http1MaxPendingRequests: 9 } },
        },
      ],
    },
    pod: SECURE,
  },

  crowd: onTcp({ connectionPool: { tcp: { maxConnections: 1 } } }),
  lazy: onTcp({ connectionPool: { tcp: { idleTimeout: '0.3s' } } }),
  brief: onTcp({ connectionPool: { tcp: { maxConnectionDuration: '0.3s' } } }),
  tunnel: onTcp({ tunnel: { protocol: 'CONNECT', targetHost: 'far.example', targetPort: 7000 } }),
  posted: onTcp({ tunnel: { protocol: 'POST', targetHost: 'tunnel.example', targetPort: 7001 } }),
  refused: onTcp({ tunnel: { targetHost: 'refused.example', targetPort: 7002 } }),
  sticky: onTcp({ loadBalancer: { consistentHash: { useSourceIp: true } } }),
};

const objects = [
  ...Object.entries(cases).flatMap(([name, one], i) => [
    ...loopbackApp(
      net,
      name,
      { last: 30 + i, port: one.port ?? PORT, protocol: one.protocol ?? 'http' },
      name === 'sticky'
        ? [{ last: PLAIN }, { last: SECURE }, { last: MESH }]
        : [{ last: one.pod ?? PLAIN, mesh: one.pod === MESH }],
    ),
    ...(one.policy
      ? [istioObject('DestinationRule', { name }, { host: name, trafficPolicy: one.policy, ...one.more })]
      : []),
    ...(one.port === undefined
      ? [
          istioObject(
            'VirtualService',
            { name },
            {
              hosts: [name],
              http: [{ retries: one.retries ?? { attempts: 0 }, route: [{ destination: { host: name } }] }],
            },
          ),
        ]
      : []),
  ]),
  secretObject(
    { name: 'client-credential' },
    { 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': authority.root },
  ),
  // For other workloads, and hidden in another namespace: neither counts here.
  istioObject(
    'DestinationRule',
    { name: 'plaintext-others' },
    {
      host: 'plaintext',
      workloadSelector: { matchLabels: { app: 'other' } },
      trafficPolicy: { tls: { mode: 'SIMPLE' } },
    },
  ),
  istioObject(
    'DestinationRule',
    { name: 'plaintext', namespace: 'away' },
    { host: host('plaintext'), exportTo: ['.'], trafficPolicy: { tls: { mode: 'SIMPLE' } } },
  ),
];

let envoy: OfflineEnvoy;
let silent: Server;
const origins: Origin[] = [];
const origin = (last: number): Origin => origins[last] as Origin;

const get = (to: string, path = '/', address = net.everywhere): Promise<Answer> =>
  call(path, { address, port: PORT, host: to });
const together = (to: string, count: number, path = '/'): Promise<readonly Answer[]> =>
  Promise.all(Array.from({ length: count }, () => get(to, path)));
const stat = async (to: string, name: string): Promise<number> => {
  const text = await envoy.admin(`/stats?filter=${encodeURIComponent(name)}`);
  const line = text.split('\n').find((one) => one.includes(`|${host(to)}`) && one.includes(`.${name}: `));
  return Number(line?.split(': ')[1] ?? Number.NaN);
};

/** A TCP client of a service: what it got so far, and whether its connection is over. */
function dial(to: string, text: string, from?: string) {
  const index = Object.keys(cases).indexOf(to);
  const socket = connect({
    host: net.ip(30 + index),
    port: TCP_PORT,
    ...(from !== undefined && { localAddress: from }),
  });
  const state = { got: '', closed: false, socket };
  socket.on('error', () => socket.destroy());
  socket.on('data', (data: Buffer) => {
    state.got += data.toString();
  });
  socket.on('close', () => {
    state.closed = true;
  });
  socket.write(text);
  return state;
}

before(async () => {
  origins[PLAIN] = await startOrigin('plain', net.ip(PLAIN), ORIGIN_PORT);
  origins[SECURE] = await startOrigin('secure', net.ip(SECURE), ORIGIN_PORT, {
    cert: server.certificate,
    key: server.key,
    ca: authority.root,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['h2', 'http/1.1'],
  });
  origins[MESH] = await startOrigin('mesh', net.ip(MESH), ORIGIN_PORT, {
    cert: meshServer.certificate,
    key: meshServer.key,
    ca: meshAuthority.root,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['istio-http/1.1', 'http/1.1'],
  });
  silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(ORIGIN_PORT, net.ip(SILENT), resolve));
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: {
      name: 'client',
      namespace: 'default',
      labels: { app: 'client' },
      ipAddress: net.ip(9),
      identity: 'spiffe://cluster.local/ns/default/sa/client',
    },
    meshConfig: decodeMeshConfig({ h2UpgradePolicy: 'DO_NOT_UPGRADE' }).value,
    identity: { certificate: workload.certificate, key: workload.key, roots: meshAuthority.root },
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(origins.map((one) => one?.close()));
  silent?.close();
  rmSync(folder, { recursive: true });
});

test('limits of connections and requests', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.maxConnections',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.http2MaxRequests',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.maxRetries',
    'DestinationRule.spec.trafficPolicy.retryBudget.percent',
    'DestinationRule.spec.trafficPolicy.retryBudget.minRetryConcurrency',
  );
  for (const name of ['pending', 'active']) {
    const statuses = (await together(name, 6, '/delay/500')).map((one) => one.status);
    const good = statuses.filter((one) => one === 200).length;
    assert.equal(good, name === 'pending' ? 2 : 1, `${name}: ${statuses.join(' ')}`);
  }
  const connections = new Set<number>();
  for (let i = 0; i < 3; i++) connections.add((await get('once')).seen?.connection ?? 0);
  assert.equal(connections.size, 3);
  const kept = new Set<number>();
  for (let i = 0; i < 3; i++) kept.add((await get('plaintext')).seen?.connection ?? 0);
  assert.equal(kept.size, 1);
  for (const name of ['retrying', 'budget']) {
    await together(name, 8, '/status/500');
    assert.ok((await stat(name, 'upstream_rq_retry_overflow')) > 0, name);
    assert.ok((await stat(name, 'upstream_rq_retry')) >= 1, name);
  }
});

test('a retry budget is a share of the requests of its interval', async () => {
  proves('DestinationRule.spec.trafficPolicy.retryBudget.budgetInterval');
  for (const name of ['remembered', 'forgotten']) {
    for (let i = 0; i < 8; i++) await get(name);
    await get(name, '/status/500');
  }
  assert.equal(await stat('remembered', 'upstream_rq_retry'), 1, 'half of nine requests may be tried again');
  assert.equal(await stat('forgotten', 'upstream_rq_retry'), 0, 'half of the one that is under way is none');
});

test('ends of connections', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.connectionPool.http.idleTimeout',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.maxConnectionDuration',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.idleTimeout',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.connectTimeout',
    'DestinationRule.spec.trafficPolicy.connectionPool.tcp.tcpKeepalive.time',
  );
  for (const name of ['idle', 'aged']) {
    await get(name);
    const over = name === 'idle' ? 'upstream_cx_idle_timeout' : 'upstream_cx_max_duration_reached';
    await eventually(async () => ((await stat(name, over)) >= 1 ? true : undefined), `the end of ${name}`);
  }
  const lazy = dial('lazy', 'hello');
  await eventually(() => (lazy.got.includes('hello') ? true : undefined), 'the echo');
  await eventually(() => (lazy.closed ? true : undefined), 'the end of an idle connection');
  const brief = dial('brief', 'hello');
  const talk = setInterval(() => brief.socket.write('.'), 50);
  await eventually(() => (brief.closed ? true : undefined), 'the end of a busy connection');
  clearInterval(talk);
  const first = dial('crowd', 'one');
  await eventually(() => (first.got.includes('one') ? true : undefined), 'the first connection');
  const second = dial('crowd', 'two');
  await eventually(() => (second.closed ? true : undefined), 'no second connection');
  assert.equal(first.closed, false);
  first.socket.destroy();

  assert.match((await get('silent')).text, /connection timeout/);

  await get('alive');
  // Kernel's table of connections: timer 2 is keep-alive, with the time until it fires in hundredths of a second.
  const hex = [...net.ip(PLAIN).split('.')]
    .reverse()
    .map((one) => Number(one).toString(16).padStart(2, '0'))
    .join('')
    .toUpperCase();
  const timers = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter(
      (columns) => columns[2] === `${hex}:${ORIGIN_PORT.toString(16).toUpperCase()}` && columns[5]?.startsWith('02:'),
    )
    .map((columns) => Number.parseInt(columns[5]?.slice(3) ?? '', 16) / 100);
  assert.ok(
    timers.some((seconds) => seconds > 250 && seconds <= 300),
    timers.join(' '),
  );
});

test('protocols', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.connectionPool.http.h2UpgradePolicy',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.useClientProtocol',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.maxConcurrentStreams',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.http2KeepAlive.interval',
    'DestinationRule.spec.trafficPolicy.connectionPool.http.http2KeepAlive.timeout',
    'DestinationRule.spec.trafficPolicy.proxyProtocol.version',
  );
  assert.equal((await get('upgraded')).seen?.http, '2');
  assert.equal((await get('kept')).seen?.http, '1');
  assert.equal((await get('followed')).seen?.http, '1');
  const streams = await together('streams', 3, '/delay/300');
  assert.deepEqual(
    streams.map((one) => one.seen?.http),
    ['2', '2', '2'],
  );
  assert.equal(new Set(streams.map((one) => one.seen?.connection)).size, 3);
  await get('pinged');
  const { pings } = origin(PLAIN);
  await eventually(() => (origin(PLAIN).pings >= pings + 2 ? true : undefined), 'pings');
  // The server accepts connections and says nothing, not even to a ping.
  assert.equal((await get('unanswered')).status, 503);
  assert.ok((await stat('unanswered', 'http2.keepalive_timeout')) >= 1);
  assert.deepEqual((await get('proxied1')).seen?.proxyProtocol?.version, 1);
  assert.deepEqual((await get('proxied2')).seen?.proxyProtocol?.version, 2);
});

test('TLS to servers outside the mesh', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.tls.mode',
    'DestinationRule.spec.trafficPolicy.tls.caCertificates',
    'DestinationRule.spec.trafficPolicy.tls.sni',
    'DestinationRule.spec.trafficPolicy.tls.subjectAltNames',
    'DestinationRule.spec.trafficPolicy.tls.insecureSkipVerify',
    'DestinationRule.spec.trafficPolicy.tls.clientCertificate',
    'DestinationRule.spec.trafficPolicy.tls.privateKey',
    'DestinationRule.spec.trafficPolicy.tls.caCrl',
    'DestinationRule.spec.trafficPolicy.tls.credentialName',
    'DestinationRule.spec.workloadSelector.matchLabels',
    'DestinationRule.spec.exportTo',
  );
  const simple = await get(host('simple'));
  assert.equal(simple.seen?.tls?.sni, host('simple'), 'the name of the request');
  assert.equal(simple.seen?.tls?.client, undefined);
  assert.equal((await get('simple')).status, 503, 'a short name is not in the certificate');
  assert.equal((await get('named')).seen?.tls?.sni, 'secure.example');
  assert.equal((await get('alternate')).seen?.tls?.sni, 'unknown.example');
  for (const name of ['mismatch', 'untrusted', 'revoked']) {
    assert.equal((await get(name)).status, 503, name);
  }
  assert.equal((await get('unchecked')).status, 200);
  assert.equal((await get(host('mutualfiles'))).seen?.tls?.client, 'client');
  assert.equal((await get(host('credential'))).seen?.tls?.client, 'client');
  assert.equal(
    (await get(host('unselected'))).status,
    503,
    'without the Secret the certificate is checked against public roots',
  );
  assert.equal((await get('plaintext')).seen?.tls, undefined);
});

test('mutual TLS of the mesh', async () => {
  proves('DestinationRule.spec.trafficPolicy.tls.mode');
  for (const name of ['mutual', 'automatic']) {
    const { seen, text } = await get(name);
    assert.equal(seen?.tls?.client, 'workload', `${name}: ${text}`);
    assert.equal(seen?.tls?.sni, `outbound_.${PORT}_._.${host(name)}`);
    assert.equal(seen?.tls?.alpn, 'istio-http/1.1');
  }
  assert.equal((await get('disabled')).seen?.tls, undefined);
});

test('settings of a port replace those of the host as a whole', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].port.number',
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].tls',
    'DestinationRule.spec.trafficPolicy.portLevelSettings[].connectionPool',
  );
  const [one, two] = [await get(host('ported')), await get(host('ported'))];
  assert.equal(one.seen?.tls?.sni, host('ported'), one.text);
  assert.equal(one.seen?.connection, two.seen?.connection, 'the limit of the host is not that of the port');
});

test('TCP: tunnels, and a hash of the address', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.tunnel.protocol',
    'DestinationRule.spec.trafficPolicy.tunnel.targetHost',
    'DestinationRule.spec.trafficPolicy.tunnel.targetPort',
    'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.useSourceIp',
  );
  const tunnel = dial('tunnel', 'through');
  await eventually(() => (tunnel.got === 'plain:through' ? true : undefined), 'the echo through the tunnel');
  assert.ok(origin(PLAIN).arrivals.some((one) => one.method === 'CONNECT' && one.path === 'far.example:7000'));
  const posted = dial('posted', 'hello');
  await eventually(() => (posted.got === 'plain:hello' ? true : undefined), 'the echo through a tunnel by POST');
  assert.ok(origin(PLAIN).arrivals.some((one) => one.method === 'POST' && one.headers.host === 'tunnel.example:7001'));
  const refused = dial('refused', 'hello');
  await eventually(() => (refused.closed ? true : undefined), 'the end of a refused tunnel');
  const echo = async (from: string): Promise<string> => {
    const one = dial('sticky', 'x', from);
    const got = await eventually(() => (one.got === '' && !one.closed ? undefined : one.got), 'an echo');
    assert.notEqual(got, '', envoy.log());
    one.socket.destroy();
    return got.split('#')[0] ?? '';
  };
  const found = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const first = await echo(net.ip(200 + i));
    assert.equal(await echo(net.ip(200 + i)), first);
    found.add(first);
  }
  assert.ok(found.size > 1, [...found].join(' '));
  for (const one of [tunnel, posted]) one.socket.destroy();
});
