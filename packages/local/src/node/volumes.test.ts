import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { Pod, Volume } from '../controllers/kinds.ts';
import { mountVolume, type VolumeContext } from './volumes.ts';

const folder = mkdtempSync(join(tmpdir(), 'volumes-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const lookup = {
  configMap: (namespace: string, name: string) =>
    namespace === 'shop' && name === 'settings'
      ? { data: { 'app.conf': 'a=1' }, binaryData: { blob: base64('bytes') } }
      : undefined,
  secret: (namespace: string, name: string) =>
    namespace === 'shop' && name === 'login' ? { data: { password: base64('hush') } } : undefined,
};
// Volumes of data ask the context for nothing else.
const context = { lookup } as unknown as VolumeContext;
const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web', namespace: 'shop' }, spec: {} } as unknown as Pod;

let made = 0;
async function mounted(volume: object): Promise<(file: string) => string> {
  const path = join(folder, String(made++));
  await mountVolume(context, pod, { name: 'v', ...volume } as Volume, path, undefined);
  return (file) => readFileSync(join(path, file), 'utf8');
}

test('a ConfigMap brings its texts and its bytes, a Secret what is encoded in it', async () => {
  const settings = await mounted({ configMap: { name: 'settings' } });
  assert.deepEqual([settings('app.conf'), settings('blob')], ['a=1', 'bytes']);
  const login = await mounted({ secret: { secretName: 'login', items: [{ key: 'password', path: 'deep/word' }] } });
  assert.equal(login('deep/word'), 'hush');
});

test('a projection has both, with the modes of its items', async () => {
  const items = [{ key: 'password', path: 'password', mode: 0o400 }];
  const sources = [{ configMap: { name: 'settings' } }, { secret: { name: 'login', items } }];
  const both = await mounted({ projected: { sources } });
  assert.deepEqual([both('app.conf'), both('password')], ['a=1', 'hush']);
  assert.equal(statSync(join(folder, String(made - 1), 'password')).mode & 0o777, 0o400);
});

test('what is missing is named, unless it may be missing', async () => {
  await assert.rejects(mounted({ configMap: { name: 'none' } }), { message: 'configmap "none" not found' });
  await assert.rejects(mounted({ secret: { secretName: 'none' } }), { message: 'secret "none" not found' });
  const absent = { secretName: 'login', items: [{ key: 'user', path: 'user' }] };
  await assert.rejects(mounted({ secret: absent }), { message: 'secret shop/login references non-existent key: user' });
  await mounted({ secret: { ...absent, optional: true } });
  await mounted({ configMap: { name: 'none', optional: true } });
  assert.equal(existsSync(join(folder, String(made - 1), 'app.conf')), false);
});
