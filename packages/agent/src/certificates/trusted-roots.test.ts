import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createRootCertificate } from '@istio-ts/security';
import { TrustedRoots } from './trusted-roots.ts';
import { watchFile } from './watched-file.ts';

const root = (organization: string): string => createRootCertificate({ organization, now: new Date() }).certificate;
const [a, b, c] = [root('a'), root('b'), root('c')] as const;

test('anchors come from the CA and from the ConfigMap, each once', () => {
  const roots = new TrustedRoots();
  assert.equal(roots.bundle, undefined);
  roots.mounted(a);
  roots.answered(`${a.replaceAll('\n', '\r\n')}${b}`);
  assert.equal(roots.bundle, a + b);
});

test('a new anchor of the ConfigMap is known at once, and one that is taken out of it goes', () => {
  const roots = new TrustedRoots();
  roots.mounted(a);
  roots.answered(a);
  roots.mounted(a + b);
  assert.equal(roots.bundle, a + b);
  roots.answered(b + a);
  roots.mounted(b);
  assert.equal(roots.bundle, b);
});

test('the anchor of another CA stays, and a file that is being written changes nothing', () => {
  const roots = new TrustedRoots();
  roots.mounted(a);
  roots.answered(c);
  roots.mounted('');
  roots.mounted(b);
  assert.equal(roots.bundle, c + b);
});

test('a mounted file is followed through the change of folders that kubelets make', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'watched-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const write = (version: string, text: string): void => {
    mkdirSync(join(folder, version));
    writeFileSync(join(folder, version, 'root-cert.pem'), text);
    symlinkSync(version, join(folder, '..new'));
    renameSync(join(folder, '..new'), join(folder, '..data'));
  };
  write('..1', 'first');
  symlinkSync('..data/root-cert.pem', join(folder, 'root-cert.pem'));
  let tell = (_: string | undefined): void => undefined;
  const second = new Promise<string | undefined>((resolve) => {
    tell = resolve;
  });
  const texts: (string | undefined)[] = [];
  const stop = watchFile(join(folder, 'root-cert.pem'), 10, (text) => {
    texts.push(text);
    if (texts.length === 2) tell(text);
  });
  t.after(stop);
  assert.deepEqual(texts, ['first']);
  write('..2', 'second');
  assert.equal(await second, 'second');
});

test('a file that is not there is said to be absent only when it was there', () => {
  const texts: (string | undefined)[] = [];
  watchFile('/nowhere/at/all', 10, (text) => texts.push(text))();
  assert.deepEqual(texts, []);
});
