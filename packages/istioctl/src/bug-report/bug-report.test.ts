import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { type ContainerFacts, deploymentOf, parseFilter, selects } from './filter.ts';
import { indexPage } from './index-page.ts';
import { findErrors } from './log-errors.ts';
import { redactEnvironment, redactSecret, redactText } from './redact.ts';
import { type BugReportFlags, readSettings } from './settings.ts';
import { Archive } from './tar.ts';
import { findTargets } from './targets.ts';

const folder = mkdtempSync(join(tmpdir(), 'bug-report-'));
after(() => rmSync(folder, { recursive: true }));

describe('filters', () => {
  const facts: ContainerFacts = {
    namespace: 'shop',
    deployment: 'cart',
    pod: 'cart-1',
    labels: { 'app.kubernetes.io/name': 'cart', version: 'v2' },
    annotations: { owner: 'west' },
    container: 'istio-proxy',
  };
  const included = (...texts: readonly string[]) =>
    selects({ include: texts.map((text) => parseFilter(text, '--include')), exclude: [] }, facts);

  test('each part is a list of patterns, an empty one fits all', () => {
    assert.ok(included('shop'));
    assert.ok(included('sh*,other'));
    assert.ok(included('/cart,stock/cart-*'));
    assert.ok(included('shop/*/*/version=v*'));
    assert.ok(included('////owner=west/istio-proxy'));
    assert.ok(!included('stock'));
    assert.ok(!included('shop/stock'));
    assert.ok(!included('shop////owner=east'));
    assert.ok(included('stock', 'shop'));
    assert.ok(included());
  });

  test('keys of labels may contain a slash', () => {
    assert.deepEqual(parseFilter('shop///app.kubernetes.io/name=cart,a=b//c', '--include'), {
      namespaces: ['shop'],
      deployments: [],
      pods: [],
      labels: ['app.kubernetes.io/name=cart', 'a=b'],
      annotations: [],
      containers: ['c'],
    });
    assert.ok(included('shop///app.kubernetes.io/name=cart'));
  });

  test('what is excluded is out', () => {
    const exclude = [parseFilter('shop/cart', '--exclude')];
    assert.ok(!selects({ include: [], exclude }, facts));
    assert.ok(selects({ include: [], exclude }, { ...facts, deployment: 'stock' }));
  });

  test('what cannot be read is refused', () => {
    assert.throws(() => parseFilter('a/b/c/d=e/f=g/h/i', '--include'), /has 7 parts/);
    assert.throws(() => parseFilter('a///version', '--include'), /"version" is not of the form KEY=VALUE/);
  });

  test('a pod belongs to the deployment of its replica set', () => {
    const pod = (owner: object, labels = {}): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'p', labels, ownerReferences: [owner as never] },
    });
    assert.equal(deploymentOf(pod({ kind: 'ReplicaSet', name: 'cart-6d' }, { 'pod-template-hash': '6d' })), 'cart');
    assert.equal(deploymentOf(pod({ kind: 'StatefulSet', name: 'db' })), 'db');
  });
});

test('of applications only the proxies belong into a report unless containers are asked for, of the control plane everything', () => {
  const pod = (name: string, namespace: string, containers: readonly string[], labels = {}): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels },
    spec: { containers: containers.map((container) => ({ name: container })) },
  });
  const pods = [
    pod('istiod-1', 'istio-system', ['discovery'], { app: 'istiod' }),
    pod('cart-1', 'shop', ['server', 'istio-proxy']),
    pod('plain', 'shop', ['server']),
  ];
  const found = (include: readonly string[]) =>
    findTargets(
      pods,
      { include: include.map((text) => parseFilter(text, '--include')), exclude: [] },
      'istio-system',
    ).map(({ name, containers }) => `${name}: ${containers.map(({ container }) => container)}`);
  assert.deepEqual(found([]), ['istiod-1: discovery', 'cart-1: istio-proxy']);
  assert.deepEqual(found(['stock']), ['istiod-1: discovery']);
  assert.deepEqual(found(['shop/////*']), ['istiod-1: discovery', 'cart-1: server,istio-proxy']);
  assert.deepEqual(found(['shop/////server']), ['istiod-1: discovery', 'cart-1: server']);
});

describe('settings', () => {
  const flags: BugReportFlags = {
    criticalErrs: [],
    exclude: [],
    ignoreErrs: [],
    include: [],
    proxyAdminPort: '15000',
    rqConcurrency: '0',
    tail: '0',
    timeout: '30m0s',
  };
  const now = new Date('2026-01-31T12:00:00Z');
  const read = (given: Partial<BugReportFlags>) => readSettings({ ...flags, ...given }, (flag) => flag in given, now);

  test("Kubernetes' own namespaces are left out unless they are asked for", () => {
    assert.equal(read({}).filters.exclude.length, 4);
    const { exclude } = read({ include: ['kube-system'] }).filters;
    assert.deepEqual(
      exclude.map(({ namespaces }) => namespaces[0]),
      ['kube-public', 'kube-node-lease', 'local-path-storage'],
    );
  });

  test('the time of the logs', () => {
    assert.deepEqual(read({ duration: '1h' }).start, new Date('2026-01-31T11:00:00Z'));
    assert.throws(() => read({ startTime: 'yesterday' }), /--start-time: "yesterday" is not a time/);
    assert.throws(() => read({ startTime: '2026-01-01T00:00:00Z', duration: '1h' }), /one of them/);
    assert.throws(() => read({ startTime: '2027-01-01T00:00:00Z' }), /end before they begin/);
  });

  test('flags win over the file', () => {
    const file = join(folder, 'settings.yaml');
    writeFileSync(
      file,
      'tail: 10\nrequestConcurrency: 3\ninclude:\n- namespaces: [shop, stock]\n  labels: {version: v2}\nignoredErrors: [harmless]\n',
    );
    const settings = read({ filename: file, tail: '20' });
    assert.equal(settings.tail, 20);
    assert.equal(settings.concurrency, 3);
    assert.deepEqual(settings.ignored, ['harmless']);
    assert.deepEqual(settings.filters.include[0]?.namespaces, ['shop', 'stock']);
    assert.deepEqual(settings.filters.include[0]?.labels, ['version=v2']);
  });
});

test('tar reads the archive', async () => {
  const file = join(folder, 'a.tar.gz');
  const archive = new Archive(file, new Date('2026-01-31T12:00:00Z'));
  const long = `proxies/${'n'.repeat(80)}/${'p'.repeat(60)}/config_dump.json`;
  const big = Buffer.alloc(3_000_000, 'x');
  await Promise.all([
    archive.add('README.md', Buffer.from('hello\n')),
    archive.add('empty', Buffer.alloc(0)),
    archive.add(long, big),
  ]);
  await archive.close();
  const list = execFileSync('tar', ['tzf', file], { encoding: 'utf8' }).trim().split('\n');
  assert.deepEqual(list, ['README.md', 'empty', long]);
  execFileSync('tar', ['xzf', file, '-C', folder]);
  assert.equal(readFileSync(join(folder, 'README.md'), 'utf8'), 'hello\n');
  assert.ok(readFileSync(join(folder, long)).equals(big));
});

test('values of Secrets, secret variables, keys and tokens are left out', () => {
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: 's',
      annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{"data":1}', note: 'x' },
    },
    data: { password: Buffer.from('hunter2').toString('base64') },
  };
  assert.deepEqual(redactSecret(secret), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 's', annotations: { note: 'x' } },
    data: { password: 'redacted (7 bytes)' },
  });
  const env = {
    env: [
      { name: 'DB_PASSWORD', value: 'hunter2' },
      { name: 'LEVEL', value: 'info' },
    ],
  };
  assert.deepEqual(
    redactEnvironment(env).env.map(({ value }) => value),
    ['redacted', 'info'],
  );
  const text =
    'a -----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY----- b eyJhbGciOiJSUzI.eyJpc3MiOiJodHRw.c2lnbmF0dXJl c';
  assert.equal(redactText(text), 'a -----EC PRIVATE KEY redacted----- b (token redacted) c');
});

test('errors are found in the forms of istiod, Envoy and JSON', () => {
  const lines = [
    '2026-01-31T12:00:00Z 2026-01-31T12:00:00.1Z\terror\tads\tno',
    '2026-01-31T12:00:00Z [2026-01-31 12:00:00.1][12][critical][main] no',
    '2026-01-31T12:00:00Z {"level":"error","msg":"no"}',
    '2026-01-31T12:00:00Z 2026-01-31T12:00:00.1Z\tinfo\terrors\t0 of them',
    '2026-01-31T12:00:00Z 2026-01-31T12:00:00.1Z\terror\tads\tharmless',
    '2026-01-31T12:00:00Z 2026-01-31T12:00:00.1Z\twarn\tads\tout of memory',
  ];
  const found = findErrors(lines, { critical: ['out*memory'], ignored: ['harmless'] });
  assert.equal(found.errors, 3);
  assert.equal(found.critical, 1);
  assert.match(found.examples[0] ?? '', /out of memory/);
});

test('the index tells what is there, what is missing, and where to look first', () => {
  const page = indexPage({
    version: '1.2.3',
    server: 'https://c',
    context: 'c',
    made: new Date(0),
    start: undefined,
    end: new Date(0),
    namespaces: ['shop'],
    pods: { istiod: 1, proxies: 2 },
    entries: [
      { file: 'a.log', what: 'log', size: 10, findings: { errors: 2, critical: 0, examples: ['x failed'] } },
      { file: 'b.log', what: 'log', size: 2048, findings: { errors: 0, critical: 1, examples: [] } },
      { file: 'c', what: 'dump', size: undefined, failure: 'no\nanswer' },
    ],
  });
  assert.ok(page.indexOf('`b.log`: 1 critical') < page.indexOf('`a.log`: 2 errors'));
  assert.match(page, /- `c` \(dump\): no answer/);
  assert.match(page, /- `b\.log` \(2\.0 KiB\): log/);
});
