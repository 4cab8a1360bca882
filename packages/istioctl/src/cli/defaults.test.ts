import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { userDefaults } from './defaults.ts';

const folder = mkdtempSync(join(tmpdir(), 'defaults-'));
after(() => rmSync(folder, { recursive: true }));
const fileWith = (text: string): string => {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return file;
};
const entry = (flag: string, env: Readonly<Record<string, string>>) =>
  userDefaults({ HOME: folder, ...env }).find((found) => found.flag === flag);

test('without settings flags have their own defaults', () => {
  assert.deepEqual(entry('istioNamespace', {}), {
    flag: 'istioNamespace',
    value: 'istio-system',
    from: 'default',
    isSet: false,
  });
});

test('the file sets defaults, the environment wins over it', () => {
  const file = fileWith('istionamespace: mesh\nxds-port: 26010\n');
  assert.deepEqual(entry('istioNamespace', { ISTIOCONFIG: file })?.value, 'mesh');
  assert.deepEqual(entry('xds-port', { ISTIOCONFIG: file }), {
    flag: 'xds-port',
    value: '26010',
    from: file,
    isSet: true,
  });
  assert.equal(entry('xds-port', { ISTIOCONFIG: file, ISTIOCTL_XDS_PORT: '1' })?.from, '$ISTIOCTL_XDS_PORT');
});

test('a file that cannot be read is named', () => {
  assert.throws(() => userDefaults({ ISTIOCONFIG: join(folder, 'none.yaml') }), /none\.yaml, which does not exist/);
  assert.throws(() => userDefaults({ ISTIOCONFIG: fileWith('- a\n') }), /FLAG: VALUE/);
  assert.deepEqual(
    userDefaults({ ISTIOCONFIG: fileWith('') }).filter(({ isSet }) => isSet),
    [],
  );
});
