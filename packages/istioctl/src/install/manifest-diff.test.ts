import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type ManifestDiffOptions, matches, parsePattern, runManifestDiff } from './manifest-diff.ts';
import { differences } from './structural-diff.ts';

const folder = mkdtempSync(join(tmpdir(), 'istio-ts-diff-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const object = (kind: string, name: string, replicas: number) =>
  `---\napiVersion: v1\nkind: ${kind}\nmetadata: {name: ${name}, namespace: istio-system}\nspec: {replicas: ${replicas}}\n`;
const write = (name: string, ...objects: readonly string[]): string => {
  const file = join(folder, name);
  writeFileSync(file, objects.join(''));
  return file;
};

async function diff(paths: readonly [string, string], options: Partial<ManifestDiffOptions> = {}) {
  const lines: string[] = [];
  const step = () => ({ note: () => {}, done: () => {}, fail: () => {} });
  const ui = { line: (text: string) => lines.push(text), warn: () => {}, step, confirm: async () => false };
  const defaults = { ui, paths, directory: false, verbose: false, select: '::', ignore: '', rename: '' };
  const code = await runManifestDiff({ ...defaults, ...options });
  return { code, lines };
}

test('objects that differ, that are missing and that are the same', async () => {
  const a = write('a.yaml', object('Deployment', 'x', 1), object('Service', 'web', 1), object('Service', 'z', 1));
  const b = write('b.yaml', object('Service', 'z', 1), object('Deployment', 'x', 2));
  assert.deepEqual(await diff([a, b], { verbose: true }), {
    code: 1,
    lines: [
      'Deployment:istio-system:x differs:',
      '  spec.replicas: 1 -> 2',
      `Service:istio-system:web is only in ${a}`,
      'Service:istio-system:z is the same',
      '2 objects differ.',
    ],
  });
  assert.deepEqual(await diff([a, a]), { code: 0, lines: ['The manifests are the same (3 objects).'] });
});

test('values of Secrets are not shown', async () => {
  const secret = (value: string) =>
    `---\napiVersion: v1\nkind: Secret\nmetadata: {name: keys, namespace: istio-system}\nstringData: {key: ${value}}\n`;
  const { code, lines } = await diff([write('s1.yaml', secret('hidden-1')), write('s2.yaml', secret('hidden-2'))]);
  assert.equal(code, 1);
  assert.deepEqual(lines.slice(0, 2), ['Secret:istio-system:keys differs:', '  stringData.key (not shown)']);
});

test('selected, ignored and renamed objects', async () => {
  const a = write('c.yaml', object('Deployment', 'istiod', 1), object('Service', 'istiod', 1));
  const b = write('d.yaml', object('Deployment', 'istiod', 2), object('Service', 'pilot', 1));
  assert.equal((await diff([a, b], { select: 'Secret:*:*' })).code, 0);
  const select = await diff([a, b], { select: 'Deployment:istio-*:*' });
  assert.deepEqual(select.lines.at(-1), '1 objects differ.');
  const both = { ignore: 'Deployment:*:istio*', rename: 'Service:*:istiod->Service:*:pilot' };
  assert.equal((await diff([a, b], both)).code, 0);
  await assert.rejects(diff([a, b], { ignore: 'Deployment' }), /--ignore Deployment: expected KIND:NAMESPACE:NAME/);
  await assert.rejects(diff([a, b], { rename: 'a:b:c' }), /--rename a:b:c: expected OLD->NEW/);
});

test('folders, with all their files', async () => {
  const [a, b] = [join(folder, 'left'), join(folder, 'right')];
  for (const path of [a, join(b, 'deep')]) mkdirSync(path, { recursive: true });
  writeFileSync(join(a, 'all.yaml'), object('Service', 'x', 1) + object('Service', 'web', 1));
  writeFileSync(join(b, 'x.yaml'), object('Service', 'x', 1));
  writeFileSync(join(b, 'deep', 'y.yml'), object('Service', 'web', 1));
  writeFileSync(join(b, 'README.md'), 'no manifest');
  assert.equal((await diff([a, b], { directory: true })).code, 0);
  await assert.rejects(diff([a, b]), /compare folders with -r/);
  await assert.rejects(diff([join(folder, 'none.yaml'), b]), /none\.yaml: there is no such file/);
});

test('patterns', () => {
  const service = { apiVersion: 'v1', kind: 'Service', metadata: { name: 'istio-ingress-a', namespace: 'n' } };
  for (const [pattern, expected] of [
    ['::', true],
    ['*:*:*', true],
    ['Service:n:istio-*-a', true],
    ['Service:n:istio-*-b', false],
    ['Service::istio-*gress*', true],
    ['Service:m:', false],
    ['Serv:*:*', false],
  ] as const)
    assert.equal(matches(parsePattern(pattern, '--select'), service), expected, pattern);
});

test('items of lists are compared by their names', () => {
  const list = (...names: readonly string[]) => ({ list: names.map((name, at) => ({ name, at })) });
  assert.deepEqual(differences(list('a', 'b'), list('b', 'a')), [
    { path: 'list[name:a].at', before: 0, after: 1 },
    { path: 'list[name:b].at', before: 1, after: 0 },
  ]);
  assert.deepEqual(differences({ l: [1, 2] }, { l: [1] }), [{ path: 'l[1]', before: 2, after: undefined }]);
  assert.deepEqual(differences({ a: { 'b.c': 1 } }, {}), [{ path: 'a', before: { 'b.c': 1 }, after: undefined }]);
});
