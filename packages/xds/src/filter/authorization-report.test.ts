import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { proves, provesAnnotations } from '../field-proof.ts';
import { eventually, freePort } from '../testing/envoy.ts';
import { LoopbackNet, loopbackApp, ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { type HttpAuthorizer, startHttpAuthorizer } from '../testing/authorizers.ts';
import { startWorkloads, type Workloads } from '../testing/workloads-envoy.ts';

/** Policies that only report: dry runs, in Envoy's log and statistics, and AUDIT, in the access log. */

const folder = mkdtempSync(join(tmpdir(), 'authorization-report-'));
const accessLogFile = join(folder, 'access.log');
const net = new LoopbackNet();
const dryRun = { 'istio.io/dry-run': 'true' };
const paths = (...values: readonly string[]) => [{ to: [{ operation: { paths: values } }] }];

let app: Origin;
let envoy: Workloads;
/** Takes spans. */
let collector: HttpAuthorizer;

before(async () => {
  app = await startOrigin('app', '127.0.0.1', await freePort());
  collector = await startHttpAuthorizer(net.ip(4), ORIGIN_PORT, () => ({ status: 202 }));
  envoy = await startWorkloads({
    net,
    objects: loopbackApp(net, 'zipkin', { last: 3, port: 9411, protocol: 'http' }, [{ last: 4 }]),
    app: app.port,
    meshConfig: {
      extensionProviders: [{ name: 'zipkin', zipkin: { service: 'zipkin.default.svc.cluster.local', port: 9411 } }],
      defaultProviders: { tracing: ['zipkin'] },
      defaultConfig: { ...defaultMeshConfig().defaultConfig, tracing: { sampling: 100 } },
      accessLogFile,
      accessLogFormat: 'hint=%DYNAMIC_METADATA(envoy.common:access_log_hint)% %REQ(:PATH)% %RESPONSE_CODE%\n',
    },
    workloads: [
      {
        name: 'tried',
        policies: [
          { action: 'DENY', rules: paths('/denied'), annotations: dryRun },
          { action: 'ALLOW', rules: paths('/allowed'), annotations: dryRun },
        ],
      },
      {
        name: 'mixed',
        policies: [
          { action: 'DENY', rules: paths('/secret') },
          { action: 'DENY', rules: paths('/later'), annotations: dryRun },
        ],
      },
      { name: 'switched-off', policies: [{ rules: [], annotations: { 'istio.io/dry-run': 'false' } }] },
      { name: 'bytes', protocol: 'TCP', policies: [{ action: 'DENY', rules: [{}], annotations: dryRun }] },
      {
        name: 'audited',
        policies: [
          { action: 'AUDIT', rules: paths('/watched*') },
          { action: 'DENY', rules: paths('/watched/refused') },
        ],
      },
    ],
  });
  await envoy.setLogLevel('rbac', 'debug');
});

after(async () => {
  await envoy?.stop();
  await Promise.all([app?.close(), collector?.close()]);
  rmSync(folder, { recursive: true });
});

const status = async (name: string, path: string): Promise<number> => (await envoy.ask(name, { path })).status;
const logged = (text: string, log = envoy.log): Promise<true> =>
  eventually(() => (log().includes(text) ? true : undefined), `${text} in Envoy's log`);
const accessLog = (): string => readFileSync(accessLogFile, 'utf8');

/** Counters of the checks of a workload by the ends of their names. */
async function counters(name: string, filter: string): Promise<Readonly<Record<string, number>>> {
  const text = await envoy.admin(`/stats?filter=${filter}`);
  const { port } = envoy.at(name);
  const lines = text.split('\n').filter((line) => line.startsWith('tcp.') || line.includes(`_${port};`));
  return Object.fromEntries(
    lines.map((line) => line.split(': ')).map(([key = '', value]) => [key.replace(/^.*rbac\./, ''), Number(value)]),
  );
}

test('a dry run lets everything through and tells in log and statistics what it would have done', async () => {
  proves('AuthorizationPolicy.spec.action');
  provesAnnotations('istio.io/dry-run');
  assert.deepEqual([await status('tried', '/denied'), await status('tried', '/allowed')], [200, 200]);
  await logged('shadow denied, matched policy ns[default]-policy[tried]-rule[0]');
  await logged('shadow allowed, matched policy ns[default]-policy[tried-1]-rule[0]');
  assert.deepEqual(await counters('tried', '^http.*istio_dry_run'), {
    'istio_dry_run_allow_.shadow_allowed': 1,
    'istio_dry_run_allow_.shadow_denied': 1,
    'istio_dry_run_deny_.shadow_allowed': 1,
    'istio_dry_run_deny_.shadow_denied': 1,
  });
  assert.equal((await envoy.exchange('bytes', 'hello')).startsWith('app#'), true);
  const { 'istio_dry_run_deny_.shadow_denied': denied } = await counters('bytes', '^tcp.rbac.istio_dry_run_deny');
  assert.equal(denied, 1);
});

test('spans tell what a dry run would have done', async () => {
  provesAnnotations('istio.io/dry-run');
  await status('tried', '/denied');
  const tags = await eventually(() => {
    type Span = { readonly tags?: Readonly<Record<string, string>> };
    const spans = collector.checks.flatMap(({ body }) => JSON.parse(body) as readonly Span[]);
    return spans.find((span) => span.tags?.['http.url']?.endsWith('/denied'))?.tags;
  }, 'the span of the request');
  const of = (action: string) => `istio.authorization.dry_run.${action}_policy`;
  assert.deepEqual(
    [
      tags[`${of('deny')}.name`],
      tags[`${of('deny')}.result`],
      tags[`${of('allow')}.name`],
      tags[`${of('allow')}.result`],
    ],
    ['ns[default]-policy[tried]-rule[0]', 'denied', undefined, 'denied'],
  );
});

test('policies in force beside one in a dry run go on; `false` is none', async () => {
  provesAnnotations('istio.io/dry-run');
  assert.deepEqual([await status('mixed', '/secret'), await status('mixed', '/later')], [403, 200]);
  await logged('enforced denied, matched policy ns[default]-policy[mixed]-rule[0]');
  await logged('shadow denied, matched policy ns[default]-policy[mixed-1]-rule[0]');
  assert.equal(await status('switched-off', '/'), 403);
});

test('AUDIT refuses nothing and marks what it matches for the access log, also what is refused later', async () => {
  proves('AuthorizationPolicy.spec.action', 'AuthorizationPolicy.spec.action=AUDIT');
  assert.equal(await status('audited', '/watched'), 200);
  assert.equal(await status('audited', '/else'), 200);
  assert.equal(await status('audited', '/watched/refused'), 403);
  await logged('hint=true /watched 200', accessLog);
  await logged('hint=false /else 200', accessLog);
  await logged('hint=true /watched/refused 403', accessLog);
});
