import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import type { Answer } from '../testing/http-call.ts';
import { ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type Case, clientOf, net, PLAIN, roots, SILENT, TCP_PORT } from './connection-fields.test-support.ts';

/** How a DestinationRule has connections made, limited and ended, as a client of one real Envoy sees it. */

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
    policy: { tls: { mode: 'SIMPLE', ...roots }, connectionPool: { tcp: { connectTimeout: '0.3s' } } },
    pod: SILENT,
  },
  alive: tcp({ tcpKeepalive: { time: '300s', interval: '30s', probes: 4 } }),
  proxied1: { policy: { proxyProtocol: { version: 'V1' } } },
  proxied2: { policy: { proxyProtocol: { version: 'V2' } } },
  crowd: onTcp({ connectionPool: { tcp: { maxConnections: 1 } } }),
  lazy: onTcp({ connectionPool: { tcp: { idleTimeout: '0.3s' } } }),
  brief: onTcp({ connectionPool: { tcp: { maxConnectionDuration: '0.3s' } } }),
  tunnel: onTcp({ tunnel: { protocol: 'CONNECT', targetHost: 'far.example', targetPort: 7000 } }),
  posted: onTcp({ tunnel: { protocol: 'POST', targetHost: 'tunnel.example', targetPort: 7001 } }),
  refused: onTcp({ tunnel: { targetHost: 'refused.example', targetPort: 7002 } }),
  sticky: onTcp({ loadBalancer: { consistentHash: { useSourceIp: true } } }),
};

const { get, stat, dial, origin, envoy } = clientOf(cases);

const together = (to: string, count: number, path = '/'): Promise<readonly Answer[]> =>
  Promise.all(Array.from({ length: count }, () => get(to, path)));

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
    assert.notEqual(got, '', envoy().log());
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
