import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createCsr, createRootCertificate, generatePrivateKey, loadAuthority } from '@istio-ts/security';
import { certsCommands } from '../cli/certs-commands.ts';
import { runInProcess } from '../cli/in-process.test-support.ts';

const dir = mkdtempSync(join(tmpdir(), 'certs-'));
after(() => rmSync(dir, { recursive: true }));
const certs = (...words: readonly string[]) =>
  runInProcess([certsCommands], ['experimental', 'certs', ...words, '--dir', dir]);
const text = (...path: readonly string[]): string => readFileSync(join(dir, ...path), 'utf8');
const material = (cluster: string) => ({
  certificate: text(cluster, 'ca-cert.pem'),
  key: text(cluster, 'ca-key.pem'),
  chain: text(cluster, 'cert-chain.pem'),
  root: text(cluster, 'root-cert.pem'),
});

test('without a root there is no intermediate, and the message says what to do', async () => {
  await assert.rejects(certs('cacerts', 'west'), /root-cert\.pem cannot be read.*x certs root-ca/);
});

test('a root, and an intermediate for a cluster that istiod can sign with', async () => {
  const { err } = await certs('root-ca', '--org', 'Example', '--ttl', '8760h');
  assert.match(err, /root-cert\.pem: CN=Root CA,O=Example, good until \d{4}-/);
  assert.equal(statSync(join(dir, 'root-key.pem')).mode & 0o777, 0o600);
  const { err: made, out } = await certs('cacerts', 'west', '--org', 'Example', '--key', 'rsa2048');
  assert.match(made, /west: CN=Intermediate CA of west,O=Example/);
  assert.equal(out, '');
  const authority = loadAuthority(material('west'));
  assert.equal(authority.root, text('root-cert.pem'));
  assert.equal(statSync(join(dir, 'west', 'ca-key.pem')).mode & 0o777, 0o600);
});

test('nothing is replaced unless it is asked for', async () => {
  const before = text('root-cert.pem');
  await assert.rejects(certs('root-ca'), /is there already: give --force/);
  assert.equal(text('root-cert.pem'), before);
  await assert.rejects(certs('cacerts', '../elsewhere'), /no name of a cluster/);
});

test('with --overlap the roots in force stay in the bundle, and --secret prints what kubectl applies', async () => {
  const old = createRootCertificate({ organization: 'old', now: new Date() }).certificate;
  writeFileSync(join(dir, 'old.pem'), old);
  const { out } = await certs('cacerts', 'east', '--overlap', join(dir, 'old.pem'), '--secret');
  const secret = JSON.parse(out) as {
    readonly kind: string;
    readonly metadata: object;
    readonly data: Readonly<Record<string, string>>;
  };
  assert.equal(secret.kind, 'Secret');
  assert.deepEqual(secret.metadata, { name: 'cacerts', namespace: 'istio-system' });
  assert.deepEqual(Object.keys(secret.data), ['ca-cert.pem', 'ca-key.pem', 'cert-chain.pem', 'root-cert.pem']);
  assert.equal(Buffer.from(secret.data['root-cert.pem'] ?? '', 'base64').toString(), text('root-cert.pem') + old);
  loadAuthority(material('east'));
});

test('a revocation list has the certificates that the cluster’s authorities signed, and no others', async () => {
  const { certificate } = loadAuthority(material('west')).sign({
    csr: createCsr(generatePrivateKey(), []),
    identity: { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' },
    now: new Date(),
  });
  writeFileSync(join(dir, 'leaf.pem'), certificate);
  const { err } = await certs('crl', 'west', '--revoke', join(dir, 'leaf.pem'), '--ttl', '24h');
  assert.match(err, /ca-crl\.pem: 1 revoked, good until/);
  assert.equal(text('west', 'ca-crl.pem').match(/BEGIN X509 CRL/g)?.length, 2);
  await assert.rejects(certs('crl', 'east', '--revoke', join(dir, 'leaf.pem')), /neither the intermediate of east/);
  await assert.rejects(certs('crl', 'north'), /x certs cacerts north/);
});
