import assert from 'node:assert/strict';
import type http from 'node:http';
import https from 'node:https';
import { after, before, describe, it } from 'node:test';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createRootCertificate, loadAuthority } from '@istio-ts/security';
import { redact } from '../ads/config-dump.ts';
import { Connections } from '../ads/connections.ts';
import { createDebug } from './debug.ts';
import { createHttpServers, type HttpServers } from './servers.ts';
import { silent } from '../silent-log.test-support.ts';

describe('HTTP servers of istiod', () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
  const metrics = new MetricsRegistry();
  let notReady: string | undefined = 'waiting for objects';
  let servers: HttpServers;
  const ports = { debug: 0, monitoring: 0, webhooks: 0 };

  before(async () => {
    const own = authority.issueServer({ dnsNames: ['istiod.istio-system.svc'], now: new Date() });
    servers = createHttpServers({
      notReady: () => notReady,
      runDebug: createDebug({
        connections: new Connections(),
        systemNamespace: 'istio-system',
        commands: { registryz: { help: 'services', run: () => ['a'] } },
      }),
      metrics,
      version: '1.30.0',
      trustDomain: 'cluster.local',
      webhookTls: { key: own.key, cert: own.chain },
      inject: (review, path) => ({ review, path }),
      validate: () => {
        throw new Error('a bug');
      },
      log: silent,
    });
    for (const name of ['debug', 'monitoring', 'webhooks'] as const)
      ports[name] = (await servers[name].listen({ host: '127.0.0.1', port: 0 })).port;
  });
  after(() => Promise.all([servers.debug.close(50), servers.monitoring.close(50), servers.webhooks.close(50)]));

  const get = async (port: number, path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`);
    return { status: response.status, body: await response.text() };
  };
  const post = (path: string, body: string, type = 'application/json'): Promise<{ status: number; body: string }> =>
    new Promise((resolve, reject) => {
      const request = https.request(
        {
          host: '127.0.0.1',
          port: ports.webhooks,
          path,
          method: 'POST',
          ca: authority.root,
          servername: 'istiod.istio-system.svc',
          headers: { 'content-type': type },
          agent: false,
        },
        (response: http.IncomingMessage) => {
          let text = '';
          response.on('data', (chunk) => {
            text += chunk;
          });
          response.on('end', () => resolve({ status: response.statusCode ?? 0, body: text }));
        },
      );
      request.on('error', reject);
      request.end(body);
    });

  it('says whether it is ready', async () => {
    assert.deepEqual(await get(ports.debug, '/ready'), { status: 503, body: 'waiting for objects\n' });
    notReady = undefined;
    assert.deepEqual(await get(ports.debug, '/ready'), { status: 200, body: '' });
  });

  it('serves metrics, version and debug commands', async () => {
    metrics.counter('pilot_total_xds_rejects', 'Rejects.').add({ type: 'a"b\\c\nd' }, 2);
    metrics.histogram('pilot_debounce_time', 'Delay.', [0.1, 1]).observe(0.5);
    const text = (await get(ports.monitoring, '/metrics')).body;
    assert.match(text, /# TYPE pilot_total_xds_rejects counter\npilot_total_xds_rejects\{type="a\\"b\\\\c\\nd"\} 2/);
    assert.match(text, /pilot_debounce_time_bucket\{le="0.1"\} 0\npilot_debounce_time_bucket\{le="1"\} 1/);
    assert.match(text, /pilot_debounce_time_sum 0.5\npilot_debounce_time_count 1/);
    assert.equal((await get(ports.monitoring, '/version')).body, '1.30.0');
    assert.deepEqual(JSON.parse((await get(ports.debug, '/debug/syncz')).body), []);
    assert.deepEqual(JSON.parse((await get(ports.debug, '/debug/registryz')).body), ['a']);
    assert.match((await get(ports.debug, '/debug')).body, /\/debug\/registryz/);
    // Kiali asks for them where the metrics are.
    assert.deepEqual(JSON.parse((await get(ports.monitoring, '/debug/syncz')).body), []);
    assert.deepEqual(JSON.parse((await get(ports.monitoring, '/debug/registryz')).body), ['a']);
    assert.equal((await get(ports.debug, '/debug/config_dump')).status, 400);
    assert.equal((await get(ports.debug, '/debug/config_dump?proxyID=x.y')).status, 404);
    assert.equal((await get(ports.debug, '/debug/constructor')).status, 404);
    assert.equal((await get(ports.debug, '/nowhere')).status, 404);
  });

  it('hands reviews to the webhooks within limits', async () => {
    const answer = await post('/inject/cluster/c/net/n', '{"kind":"AdmissionReview"}');
    assert.deepEqual(JSON.parse(answer.body), { review: { kind: 'AdmissionReview' }, path: '/inject/cluster/c/net/n' });
    assert.equal((await post('/inject', '{')).status, 400);
    assert.equal((await post('/inject', '{}', 'text/plain')).status, 415);
    assert.deepEqual(await post('/inject', `${'['.repeat(501)}${']'.repeat(501)}`), {
      status: 400,
      body: 'the body is nested deeper than 500 levels\n',
    });
    assert.deepEqual(await post('/validate', '{}'), { status: 500, body: 'internal error\n' });
    const large = await post('/inject', `"${'x'.repeat(7 * 1024 * 1024)}"`).catch((error) => error.code);
    assert.ok(large === 'EPIPE' || large === 'ECONNRESET' || large.status === 413, String(large));
  });
});

describe('debug answers', () => {
  it('are for this machine and the system namespace', () => {
    const run = createDebug({ connections: new Connections(), systemNamespace: 'istio-system' });
    const ask = (identities: readonly string[], isLocal: boolean) =>
      run('syncz', new URLSearchParams(), { identities, isLocal }).kind;
    assert.equal(ask([], true), 'json');
    assert.equal(ask(['spiffe://cluster.local/ns/istio-system/sa/tool'], false), 'json');
    assert.equal(ask(['spiffe://cluster.local/ns/shop/sa/cart'], false), 'error');
    assert.equal(ask([], false), 'error');
  });

  it('never show keys', () => {
    const shown = JSON.stringify(
      redact({
        name: 's',
        tlsCertificate: { certificateChain: { inlineString: 'PUBLIC' }, privateKey: { inlineString: 'PRIVATE' } },
        genericSecret: { secret: { inlineString: 'PRIVATE' } },
        sessionTicketKeys: { keys: [{ inlineBytes: 'PRIVATE' }] },
      }),
    );
    assert.match(shown, /PUBLIC/);
    assert.doesNotMatch(shown, /PRIVATE/);
  });
});
