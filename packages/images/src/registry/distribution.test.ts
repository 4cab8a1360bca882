import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createSign, randomUUID, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Digest } from '../oci/blob.ts';
import { buildIndex } from '../oci/image.ts';
import { registryClient } from './client.ts';
import { push } from './push.ts';
import { hastyNetwork, images, LOGIN } from './registry.test-support.ts';

/** Debian's package of CNCF's Distribution, installed or unpacked where `DOCKER_REGISTRY` says. */
const program = process.env.DOCKER_REGISTRY || '/usr/bin/docker-registry';
const skip = existsSync(program) ? false : 'docker-registry is not on this machine (name it in DOCKER_REGISTRY)';

/** Starts a registry with a login; `auth` is that part of its settings, `folder` keeps its data until the test ends. Gives its address. */
async function distribution(context: TestContext, folder: string, auth: string): Promise<string> {
  const port = await freePort();
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: "127.0.0.1:${port}"}\nauth: ${auth}\n`,
  );
  const child = spawn(program, ['serve', join(folder, 'config.yml')], { stdio: 'ignore' });
  context.after(async () => {
    if (child.exitCode === null) {
      const ended = once(child, 'exit');
      child.kill();
      await ended;
    }
    rmSync(folder, { recursive: true });
  });
  const address = `http://127.0.0.1:${port}`;
  const deadline = Date.now() + 60_000;
  while (
    !(await fetch(`${address}/v2/`).then(
      () => true,
      () => false,
    ))
  ) {
    assert.equal(child.exitCode, null, 'the registry runs');
    assert.ok(Date.now() < deadline, 'the registry answers');
    await delay(50);
  }
  return address;
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

test('Debian’s registry takes a push with a login, and gives back what was pushed', { skip }, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-registry-'));
  // The hash of "password", as htpasswd writes it, but made in little time: the registry checks it with each request.
  const hash = spawnSync(
    'python3',
    [
      '-W',
      'ignore',
      '-c',
      'import crypt; print(crypt.crypt("password", crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)))',
    ],
    { encoding: 'utf8' },
  ).stdout.trim();
  writeFileSync(join(folder, 'htpasswd'), `user:${hash.replace(/^\$2b/, '$2y')}\n`);
  const address = await distribution(context, folder, `{htpasswd: {realm: test, path: ${folder}/htpasswd}}`);
  await assert.rejects(
    push(registryClient(address, undefined), 'team/pilot', '1', images, new Map()),
    /asks for a login/,
  );
  const client = registryClient(address, LOGIN);
  const placed = new Map<Digest, string>();
  const { digest } = await push(client, 'team/pilot', '1', images, placed);
  const other = await push(client, 'team/other', '1', images, placed);
  assert.equal(other.sent, 0);
  const answer = await fetch(`${address}/v2/team/other/manifests/1`, {
    headers: {
      authorization: `Basic ${Buffer.from('user:password').toString('base64')}`,
      accept: 'application/vnd.oci.image.index.v1+json',
    },
  });
  assert.equal(answer.headers.get('docker-content-digest'), digest);
  assert.equal(await answer.text(), buildIndex(images).data.toString());
});

/** A token server as Distribution trusts it: signs what is asked for, but nothing of the repositories that `hidden` names. Gives its address and the scopes asked for. */
async function tokenServer(context: TestContext, folder: string, hidden: Set<string>) {
  const [key, certificate] = [join(folder, 'key.pem'), join(folder, 'certificate.pem')];
  const { status } = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tokens'],
    ...['-keyout', key, '-out', certificate],
  ]);
  assert.equal(status, 0, 'openssl makes a certificate');
  const asked: string[][] = [];
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const server = createServer((incoming, outgoing) => {
    const scopes = new URL(incoming.url ?? '', 'http://tokens').searchParams.getAll('scope');
    asked.push(scopes);
    const access = scopes
      .map((scope) => scope.split(':'))
      .filter(([, name = '']) => !hidden.has(name))
      .map(([type, name, actions]) => ({ type, name, actions: actions?.split(',') }));
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: 'tokens',
      aud: 'registry',
      sub: 'user',
      jti: randomUUID(),
      iat: now,
      nbf: now - 60,
      exp: now + 600,
    };
    const x5c = [new X509Certificate(readFileSync(certificate)).raw.toString('base64')];
    const text = `${part({ typ: 'JWT', alg: 'RS256', x5c })}.${part({ ...claims, access })}`;
    const signature = createSign('RSA-SHA256').update(text).sign(readFileSync(key), 'base64url');
    outgoing.end(JSON.stringify({ token: `${text}.${signature}` }));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { realm: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`, certificate, asked };
}

test('Debian’s registry with tokens takes layers over between repositories where the login may read both', {
  skip: skip || (spawnSync('openssl', ['version']).status === 0 ? false : 'openssl is not on this machine'),
}, async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'images-registry-'));
  const hidden = new Set<string>();
  const { realm, certificate, asked } = await tokenServer(context, folder, hidden);
  const address = await distribution(
    context,
    folder,
    `{token: {realm: "${realm}", service: registry, issuer: tokens, rootcertbundle: "${certificate}"}}`,
  );
  const network = hastyNetwork();
  const placed = new Map<Digest, string>();
  const { sent } = await push(registryClient(address, LOGIN, network), 'team/pilot', '1', images, placed);
  assert.ok(sent > 0);
  const kept = new Map(placed);
  assert.equal((await push(registryClient(address, LOGIN, network), 'team/other', '1', images, placed)).sent, 0);
  assert.deepEqual(asked.at(-1), ['repository:team/other:pull,push', 'repository:team/pilot:pull']);
  hidden.add('team/pilot');
  assert.equal((await push(registryClient(address, LOGIN, network), 'team/third', '1', images, kept)).sent, sent);
  assert.deepEqual(network.pauses, []);
});
