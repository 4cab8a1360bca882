import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { CredentialsError, dockerCredentials } from './credentials.ts';

const auth = Buffer.from('user:pass:word').toString('base64');
const password = { kind: 'password', user: 'user', password: 'pass:word' };

/** A folder with docker's settings and with helpers, which are programs of the shell. */
function docker(context: TestContext, config: unknown, helpers: Readonly<Record<string, string>> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'images-docker-'));
  context.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'config.json'), typeof config === 'string' ? config : JSON.stringify(config));
  for (const [name, lines] of Object.entries(helpers))
    writeFileSync(join(folder, `docker-credential-${name}`), `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
  return { DOCKER_CONFIG: folder, PATH: `${folder}:/usr/bin:/bin` };
}

/** What is wrong with a login; it never shows the login. */
const wrong =
  (text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof CredentialsError &&
    text.test(error.message) &&
    !/pass:word|secret/.test(error.message) &&
    !error.message.includes(auth);

test('logins are read as docker leaves them', (context) => {
  const env = docker(context, {
    auths: {
      'ghcr.io': { auth },
      'https://index.docker.io/v1/': { auth },
      'token.test': { auth: Buffer.from('user:').toString('base64'), identitytoken: 'long-lived' },
      'empty.test': {},
    },
  });
  assert.deepEqual(dockerCredentials('ghcr.io', env), password);
  assert.deepEqual(dockerCredentials('docker.io', env), password);
  assert.deepEqual(dockerCredentials('token.test', env), { kind: 'identityToken', token: 'long-lived' });
  assert.equal(dockerCredentials('empty.test', env), undefined);
  assert.equal(dockerCredentials('quay.io', env), undefined);
});

test('only settings that are not there count as none; what is broken is refused without showing what is in it', (context) => {
  const env = docker(context, {});
  const path = join(env.DOCKER_CONFIG, 'config.json');
  for (const text of [`{"auths": {"x": {"auth": "${auth}"`, `["${auth}"]`, 'null']) {
    writeFileSync(path, text);
    assert.throws(() => dockerCredentials('x', env), wrong(/config\.json is not JSON/));
  }
  for (const value of [Buffer.from('no colon').toString('base64'), 5]) {
    writeFileSync(path, JSON.stringify({ auths: { x: { auth: value } } }));
    assert.throws(() => dockerCredentials('x', env), wrong(/config\.json: "auth" of x is not USER:PASSWORD/));
  }
  rmSync(path);
  assert.equal(dockerCredentials('x', env), undefined);
  mkdirSync(path);
  assert.throws(() => dockerCredentials('x', env), wrong(/cannot read .*config\.json: EISDIR/));
});

test('helpers give passwords and identity tokens, or say that they keep nothing', (context) => {
  const env = docker(
    context,
    {
      credsStore: 'store',
      credHelpers: { 'ghcr.io': 'own' },
      auths: { 'quay.io': { auth } },
    },
    {
      store: 'echo "credentials not found in native keychain"; exit 1',
      own: `read registry; echo '{"ServerURL":"'$registry'","Username":"<token>","Secret":"of '$registry'"}'`,
    },
  );
  assert.deepEqual(dockerCredentials('ghcr.io', env), { kind: 'identityToken', token: 'of ghcr.io' });
  assert.equal(dockerCredentials('docker.io', env), undefined);
  assert.deepEqual(dockerCredentials('quay.io', env), password, 'what is in the file counts then');
});

test('a helper that is missing, fails, hangs or says nonsense is named, and nothing that it says is shown', (context) => {
  const env = docker(
    context,
    { credHelpers: { a: 'missing', b: 'failing', c: 'strange', d: 'hanging', e: 'halved' } },
    {
      failing: 'echo secret; echo secret >&2; exit 3',
      strange: `echo 'the secret is pass:word'`,
      hanging: 'echo secret; exec sleep 600',
      halved: `echo '{"Username":"secret"}'`,
    },
  );
  const attempt = (registry: string, patience?: number) => () => dockerCredentials(registry, env, patience);
  assert.throws(attempt('a'), wrong(/^docker-credential-missing, which keeps the login for a, is not in PATH$/));
  assert.throws(attempt('b'), wrong(/^docker-credential-failing, .* for b, ended with status 3$/));
  assert.throws(attempt('c'), wrong(/^docker-credential-strange, .* for c, does not answer with a Username/));
  assert.throws(attempt('d', 200), wrong(/^docker-credential-hanging, .* for d, did not answer within 0\.2 s$/));
  assert.throws(attempt('e'), wrong(/^docker-credential-halved, .* for e, does not answer with a Username/));
});
