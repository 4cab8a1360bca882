import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createSnapshot } from '@istio-ts/analysis';
import { KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import { analysisCommands } from '../cli/analysis-commands.ts';
import { runInProcess } from '../cli/in-process.test-support.ts';
import { readClusterObjects } from './cluster-objects.ts';

const broken = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http:
  - route:
    - destination: {host: nobody}
  - name: late
    route:
    - destination: {host: nobody}
`;

/** Runs istioctl in this process with files of a folder of its own. */
async function istioctl(t: TestContext, files: Readonly<Record<string, string>>, ...words: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), 'istioctl-'));
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const { out, err, code } = await runInProcess(
    [analysisCommands],
    words.map((word) => word.replaceAll('DIR', folder)),
  );
  const plain = (text: string) => text.replaceAll(`${folder}/`, '');
  return { code, out: plain(out), err: plain(err) };
}

test('analyze: errors end with 79, and each line says which object, file and line', async (t) => {
  const { code, out } = await istioctl(t, { 'a.yaml': broken }, 'analyze', '--use-kube=false', 'DIR/a.yaml');
  assert.equal(code, 79);
  assert.match(out, /^Error \[IST0101\] \(VirtualService shop\/web a\.yaml:8\) .*nobody/m);
  assert.match(out, /^Warning \[IST0130\] \(VirtualService shop\/web a\.yaml:9\)/m);
});

test('analyze: thresholds, suppression, one analyzer', async (t) => {
  const run = (...flags: readonly string[]) =>
    istioctl(t, { 'a.yaml': broken }, 'analyze', '-k=false', ...flags, 'DIR/a.yaml');
  const warnings = await run('--output-threshold', 'warning', '-S', 'IST0101=VirtualService *.shop');
  assert.equal(warnings.code, 0);
  assert.match(warnings.out, /^Warning \[IST0130\][^\n]*\n$/);
  assert.equal((await run('-S', 'IST0101=* *', '--failure-threshold', 'Warning')).code, 79);
  assert.equal((await run('--output-threshold', 'Error')).out.includes('IST0130'), false);
  const one = await run('--analyzer', 'virtualservice.RuleOrderAnalyzer');
  assert.deepEqual([one.code, /IST0101/.test(one.out)], [0, false]);
  await assert.rejects(run('--analyzer', 'nothing'), /analyze -L/);
  await assert.rejects(run('--failure-threshold', 'loud'), /Info, Warning, Error/);
  await assert.rejects(run('-S', 'IST0101'), /CODE=KIND NAME/);
});

test('analyze: JSON and YAML are the answer, not a verdict', async (t) => {
  const json = await istioctl(t, { 'a.yaml': broken }, 'analyze', '--use-kube=false', '-o', 'json', 'DIR/a.yaml');
  assert.equal(json.code, 0);
  const [first] = JSON.parse(json.out);
  assert.deepEqual([first.code, first.origin, first.reference], ['IST0101', 'VirtualService shop/web', 'a.yaml:8']);
  const none = await istioctl(t, { 'a.yaml': '' }, 'analyze', '--use-kube=false', '-o', 'json', 'DIR/a.yaml');
  assert.deepEqual(JSON.parse(none.out), []);
});

test('analyze: folders with all below them, without what is no manifest', async (t) => {
  const files = { 'm/deep/a.yaml': broken, 'm/package.json': '{"name": "x"}', 'm/notes.txt': 'a: [' };
  const { code, out, err } = await istioctl(t, files, 'analyze', '--use-kube=false', 'DIR/m');
  assert.equal(code, 79);
  assert.match(out, /m\/deep\/a\.yaml:8/);
  assert.doesNotMatch(err, /package\.json|notes/);
});

test('analyze: a file that cannot be read ends with 65, the rest of it is analysed', async (t) => {
  const files = { 'a.yaml': `${broken.replaceAll('nobody', 'web')}---\nkind: [\n` };
  const flags = ['-S', 'IST0101=* *', 'DIR/a.yaml'];
  const strict = await istioctl(t, files, 'analyze', '--use-kube=false', ...flags);
  assert.equal(strict.code, 65);
  assert.match(strict.err, /^Error a\.yaml:14: /m);
  assert.match(strict.out, /IST0130/);
  const lenient = await istioctl(t, files, 'analyze', '--use-kube=false', '--ignore-unknown', ...flags);
  assert.deepEqual([lenient.code, /a\.yaml:14/.test(lenient.err)], [0, false]);
});

test('analyze: of a namespace that was asked for, else all of the files', async (t) => {
  const files = { 'a.yaml': broken };
  assert.equal((await istioctl(t, files, 'analyze', '--use-kube=false', '-n', 'other', 'DIR/a.yaml')).code, 0);
  assert.equal((await istioctl(t, files, 'analyze', '--use-kube=false', '-n', 'shop', 'DIR/a.yaml')).code, 79);
});

test('analyze --list-analyzers', async (t) => {
  const { out } = await istioctl(t, {}, 'analyze', '-L');
  assert.match(out, /virtualservice\.GatewayAnalyzer/);
});

test('a cluster is read as far as the user may read it', async () => {
  const pod: KubeObject = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p', namespace: 'shop' } };
  const client: Pick<KubeClient, 'list' | 'get'> = {
    list: async (type: ResourceType) => {
      if (type.kind === 'Secret') throw new KubeApiError(403, 'Forbidden', 'secrets is forbidden');
      if (type.kind === 'Gateway') throw new KubeApiError(404, 'NotFound', 'no such kind');
      return { items: [pod] as never[], resourceVersion: '1' };
    },
    get: async () => {
      throw new KubeApiError(404, 'NotFound', 'no mesh configuration');
    },
  };
  const kinds = new Set(['Pod', 'Secret', 'Gateway'] as const);
  const meshConfig = { namespace: 'istio-system', revision: 'default' };
  const read = await readClusterObjects(client as KubeClient, 'c', kinds, meshConfig);
  assert.deepEqual(read.objects, [pod]);
  assert.deepEqual(read.forbidden, [{ kind: 'Secret', resource: 'secrets', error: 'secrets is forbidden' }]);
  const common = { files: [], revision: 'default', istioNamespace: 'istio-system', defaultNamespace: 'default' };
  assert.equal(createSnapshot({ ...common, clusters: [read] }).forbidden.length, 1);
});

test('validate: mistakes end with 1, advice does not', async (t) => {
  const good = `apiVersion: v1
kind: Service
metadata: {name: web}
spec: {ports: [{name: web, port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}}}
`;
  const advice = await istioctl(t, { 'a.yaml': good }, 'validate', '-f', 'DIR/a.yaml');
  assert.equal(advice.code, 0);
  assert.equal(advice.out, '"a.yaml" is valid\n');
  assert.match(advice.err, /^Warning a\.yaml:4: Service web: spec\.ports\[0\]\.name: /m);
  assert.match(advice.err, /^Warning a\.yaml:9: Deployment web: .*"version"/m);
  assert.doesNotMatch(advice.err, /"app"/);

  const bad = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
hosts: [web]
spec:
  hosts: [web]
  http:
  - route:
    - destination: {host: web}
    timeoutt: 3s
---
apiVersion: networking.istio.io/v9
kind: Gateway
metadata: {name: gw}
`;
  const wrong = await istioctl(t, { 'a.yaml': good, 'b.yaml': bad }, 'v', '-f', 'DIR/a.yaml,DIR/b.yaml');
  assert.equal(wrong.code, 1);
  assert.match(wrong.err, /^Error b\.yaml:4: VirtualService web: hosts: /m);
  assert.match(wrong.err, /^Error b\.yaml:10: .*did you mean timeout/m);
  assert.match(wrong.err, /^Error b\.yaml:12: Gateway gw: apiVersion: /m);
  assert.match(wrong.err, /1 of 2 files/);
  await assert.rejects(istioctl(t, {}, 'validate'), /-f/);
  await assert.rejects(istioctl(t, {}, 'validate', '-f', 'DIR/none.yaml'), /no such file/);
});
