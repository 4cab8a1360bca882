import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cleanups, eventually, freePort, http, skip, startAgent } from './agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from './fake-istiod.test-support.ts';

/** Neither the agent's log, at its most talkative, nor what it and Envoy answer to who asks holds a private key or a token. */
test('keys and tokens are in no log and in no answer', { skip }, async () => {
  const istiod = await startFakeIstiod([mutualTlsListener(await freePort(), true)]);
  cleanups.push(() => istiod.close());
  // Two attempts fail, so that errors are in the log too.
  istiod.failNext(2);
  const token = `${Buffer.from('{"alg":"RS256"}').toString('base64url')}.${Buffer.from('{"sub":"MARKED"}').toString('base64url')}.TUFSS0VELVNJR05BVFVSRQ`;
  const agent = await startAgent(
    istiod,
    { OUTPUT_CERTS: './out', WASM_MODULE_PULL_SECRET: 'MARKED-PULL-SECRET', DATABASE_PASSWORD: 'MARKED-PASSWORD' },
    {},
    {},
    ['--log_output_level=all:debug', '--proxyLogLevel=debug'],
    (directory) => {
      mkdirSync(join(directory, 'var/run/secrets/tokens'), { recursive: true });
      writeFileSync(join(directory, 'var/run/secrets/tokens/istio-token'), `${token}\n`);
    },
  );
  const { ports } = agent;
  await eventually(
    'ready through Envoy',
    () => http(ports.ready, '/healthz/ready'),
    (answer) => answer.status === 200,
  );
  assert.equal(istiod.tokens.at(-1), `Bearer ${token}`);

  const answers: string[] = [];
  for (const path of ['/debug/agentz', '/stats/prometheus', '/healthz/ready', '/app-health/x/livez'])
    answers.push((await http(ports.status, path)).body);
  const dump = (await http(ports.admin, '/config_dump?include_eds')).body;
  assert.match(dump, /"private_key"/);
  answers.push(dump);
  for (const path of ['/certs', '/server_info', '/clusters?format=json', '/listeners', '/stats'])
    answers.push((await http(ports.admin, path)).body);
  const log = agent.output();
  assert.match(log, /\tdebug\t/);
  answers.push(log);

  const own = readFileSync(join(agent.directory, 'out/key.pem'), 'utf8');
  const body = (pem: string): string => pem.split('\n')[1] ?? '';
  const marked: Readonly<Record<string, string>> = {
    'the key of the workload': body(own),
    'the signature of the token': 'TUFSS0VELVNJR05BVFVSRQ',
    'the token': token.slice(0, 40),
    'a secret of a variable': 'MARKED-PULL-SECRET',
    'a password of a variable': 'MARKED-PASSWORD',
  };
  for (const text of answers) {
    for (const [what, secret] of Object.entries(marked)) {
      assert.ok(secret.length >= 12, what);
      // As it is, and as base64 of the text.
      for (const form of [secret, Buffer.from(secret).toString('base64').slice(0, -4)])
        assert.equal(text.includes(form), false, `${what} in ${text.slice(0, 60)}`);
    }
    assert.doesNotMatch(text, /BEGIN [A-Z ]*PRIVATE KEY/);
    assert.equal(text.includes(Buffer.from('-----BEGIN PRIVATE KEY').toString('base64').slice(0, 20)), false);
    assert.equal(text.includes(Buffer.from('-----BEGIN EC PRIVATE KEY').toString('base64').slice(0, 20)), false);
  }
});
