import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanups, eventually, freePort, http, skip, startAgent } from './agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from './fake-istiod.test-support.ts';
import { createLogger, type LogLevels, parseLogLevels } from './log.ts';
import { unbuiltWarnings } from './unbuilt-environment.ts';

function written(levels: LogLevels, json: boolean, work: (log: ReturnType<typeof createLogger>) => void): string[] {
  const lines: string[] = [];
  work(createLogger({ levels, json, write: (line) => lines.push(line), now: () => new Date(0) }));
  return lines;
}

test('each scope has a level of its own, and says its name in its lines', () => {
  const work = (log: ReturnType<typeof createLogger>): void => {
    log.info('started');
    log.debug('details');
    log.scope('dns').debug('a query', { name: 'a.b' });
    log.scope('sds').warn('nobody asks');
    log.scope('wasm').error('no module');
  };
  const time = '1970-01-01T00:00:00.000000Z';
  assert.deepEqual(written(parseLogLevels('default:warn,dns:debug,wasm:none'), false, work), [
    `${time}\tdebug\tdns\ta query\tname=a.b\n`,
    `${time}\twarn\tsds\tnobody asks\n`,
  ]);
  assert.deepEqual(
    written(parseLogLevels('all:debug,sds:error,wasm:none'), true, work).map((line) => JSON.parse(line) as object),
    [
      { level: 'info', time, msg: 'started' },
      { level: 'debug', time, msg: 'details' },
      { level: 'debug', time, scope: 'dns', msg: 'a query', name: 'a.b' },
    ],
  );
});

test('text from outside makes no lines of its own', () => {
  const [line, ...more] = written(parseLogLevels('info'), false, (log) =>
    log.info('a\n1970-01-01\tinfo\tall is well', { name: 'x\r\ny\u001b[31m' }),
  );
  assert.deepEqual(more, []);
  assert.equal(line?.trimEnd().includes('\n'), false);
  assert.match(line ?? '', /name=x y\\x1b\[31m\n$/);
});

test('variables without effect are told of, with why', () => {
  assert.deepEqual(
    unbuiltWarnings({ PROXY_XDS_VIA_AGENT: 'false', ISTIO_ENABLE_HTTP2_PROBING: '1', SECRET_TTL: '1h' }),
    [],
  );
  assert.deepEqual(unbuiltWarnings({ PROXY_XDS_VIA_AGENT: 'true' }), [
    'PROXY_XDS_VIA_AGENT=true has no effect: Envoy speaks to the control plane itself, without a way through the agent',
  ]);
  assert.match(
    unbuiltWarnings({ COMPLIANCE_POLICY: 'fips-140-2' }).join(),
    /^COMPLIANCE_POLICY=fips-140-2 has no effect/,
  );
});

for (const json of [false, true])
  test(`no key and no token is in the log at its most talkative${json ? ', as JSON' : ''}`, { skip }, async () => {
    const port = await freePort();
    const istiod = await startFakeIstiod([mutualTlsListener(port, true)], { ttlMs: 20_000 });
    cleanups.push(() => istiod.close());
    const agent = await startAgent(
      istiod,
      {
        SECRET_GRACE_PERIOD_RATIO: '0.95',
        OUTPUT_CERTS: './out',
        ISTIO_META_DNS_CAPTURE: 'true',
        DNS_PROXY_ADDR: `127.0.0.1:${await freePort()}`,
        COMPLIANCE_POLICY: 'fips-140-2',
      },
      {},
      {},
      ['--log_output_level=all:debug', '--proxyLogLevel=debug', ...(json ? ['--log_as_json'] : [])],
    );
    await eventually(
      'ready',
      () => http(agent.ports.ready, '/healthz/ready'),
      ({ status }) => status === 200,
    );
    const keys = new Set<string>();
    await eventually(
      'three keys',
      async () => keys.add(readFileSync(join(agent.directory, 'out/key.pem'), 'utf8')).size,
      (count) => count >= 3,
    );
    const token = readFileSync(join(agent.directory, 'var/run/secrets/tokens/istio-token'), 'utf8').trim();
    agent.process.kill('SIGTERM');
    await agent.exit;
    const log = agent.output();
    assert.match(
      log,
      json ? /"scope":"cache","msg":"generated new workload certificate"/ : /info\tcache\tgenerated new/,
    );
    assert.match(log, /COMPLIANCE_POLICY=fips-140-2 has no effect/);
    assert.ok(!log.includes(token), 'a token');
    assert.ok(!log.includes('PRIVATE KEY'), 'a key');
    for (const key of keys)
      for (const line of key.split('\n').filter((one) => one.length > 20 && !one.startsWith('-')))
        assert.ok(!log.includes(line), 'a part of a key');
  });
