import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { generateOffline } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import { type Pair, revocation, selfSigned, signedBy } from '../testing/certificate.ts';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject, secretObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** TLS that a sidecar ends for its workload, at one port after the other, seen by clients outside of the mesh. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'sidecar-tls-'));
const authority = selfSigned('authority');
const shown = signedBy(authority, 'shown.test');
const rsa = signedBy(authority, 'shown.test', { rsa: true });
const person = signedBy(authority, 'person.test');
const other = signedBy(authority, 'other.test');
const stranger = selfSigned('stranger');

const sha256 = (data: Buffer) => createHash('sha256').update(data);
const spki = (pem: string): string =>
  sha256(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' })).digest('base64');
const hash = (pem: string): string => sha256(new X509Certificate(pem).raw).digest('hex');
const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

const crl = join(folder, 'revoked.pem');
const file = { serverCertificate: '/etc/own/tls.crt', privateKey: '/etc/own/tls.key' };
const roots = { caCertificates: '/etc/own/ca.crt' };
const pair = (name: string) => ({ serverCertificate: `/${name}.crt`, privateKey: `/${name}.key` });

/** Settings of each port, and the protocol inside. */
const ports: Readonly<Record<string, object>> = {
  credential: { mode: 'SIMPLE', credentialName: 'shown' },
  qualified: { mode: 'SIMPLE', credentialName: 'kubernetes://shown' },
  mutual: { mode: 'MUTUAL', credentialName: 'mutual' },
  roots: { mode: 'MUTUAL', credentialName: 'shown', caCertCredentialName: 'people' },
  both: { mode: 'SIMPLE', credentialNames: ['rsa', 'shown'] },
  pairs: { mode: 'SIMPLE', tlsCertificates: [pair('rsa'), pair('ec')] },
  besidePairs: { mode: 'MUTUAL', tlsCertificates: [{ ...pair('ec'), ...roots }] },
  named: { mode: 'MUTUAL', credentialName: 'mutual', subjectAltNames: ['person.test'] },
  spki: { mode: 'MUTUAL', credentialName: 'mutual', verifyCertificateSpki: [spki(person.certificate)] },
  hash: { mode: 'MUTUAL', credentialName: 'mutual', verifyCertificateHash: [hash(person.certificate)] },
  newer: { mode: 'SIMPLE', credentialName: 'shown', minProtocolVersion: 'TLSV1_3' },
  older: {
    mode: 'SIMPLE',
    credentialName: 'shown',
    maxProtocolVersion: 'TLSV1_2',
    cipherSuites: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
  },
  revoked: { mode: 'MUTUAL', ...file, ...roots, caCrl: crl },
  unverified: { mode: 'MUTUAL', credentialName: 'mutual', insecureSkipVerify: true },
  optional: { mode: 'OPTIONAL_MUTUAL', credentialName: 'mutual' },
};
const FIRST = 9443;
const portOf = (name: string): number => FIRST + Object.keys(ports).indexOf(name);
const TCP_PORT = 9500;

const tlsSecret = (name: string, of: Pair, more: Readonly<Record<string, string>> = {}) =>
  secretObject({ name }, { 'tls.crt': of.certificate, 'tls.key': of.key, ...more });
const inline = (name: string, of: Pair) => ({
  name,
  tlsCertificate: { certificateChain: { inlineString: of.certificate }, privateKey: { inlineString: of.key } },
});
const sidecar = (tls: object, port: object = {}) => ({
  workloadSelector: { labels: { app: 'web' } },
  ingress: [{ port: { number: 9600, protocol: 'HTTP', name: 'http', ...port }, tls }],
});

let origin: Origin;
let envoy: OfflineEnvoy;

const objects = (endpoint: string) => [
  podObject({ name: 'web-0', labels: { app: 'web' }, ip: net.ip(1) }),
  tlsSecret('shown', shown),
  tlsSecret('mutual', shown, { 'ca.crt': authority.certificate }),
  tlsSecret('rsa', rsa),
  secretObject({ name: 'people' }, { cacert: authority.certificate }),
  istioObject('PeerAuthentication', { name: 'public' }, { mtls: { mode: 'DISABLE' } }),
  istioObject(
    'Sidecar',
    { name: 'web' },
    {
      workloadSelector: { labels: { app: 'web' } },
      ingress: [
        ...Object.entries(ports).map(([name, tls]) => ({
          port: { number: portOf(name), protocol: 'HTTPS', name: `https-${name.toLowerCase()}` },
          bind: net.everywhere,
          captureMode: 'NONE',
          defaultEndpoint: endpoint,
          tls,
        })),
        {
          port: { number: TCP_PORT, protocol: 'TLS', name: 'tls' },
          bind: net.everywhere,
          captureMode: 'NONE',
          defaultEndpoint: endpoint,
          tls: { mode: 'SIMPLE', credentialName: 'shown' },
        },
      ],
    },
  ),
];
const proxy = { name: 'web-0', namespace: 'default', ipAddress: net.ip(1) };

before(async () => {
  writeFileSync(crl, revocation(authority, other.certificate));
  origin = await startOrigin('web', '127.0.0.1', await freePort());
  envoy = await startOfflineEnvoy({
    net,
    proxy,
    secrets: [
      inline(`file-cert:${file.serverCertificate}~${file.privateKey}`, shown),
      {
        name: `file-root:${roots.caCertificates}`,
        validationContext: { trustedCa: { inlineString: authority.certificate } },
      },
      inline('file-cert:/rsa.crt~/rsa.key', rsa),
      inline('file-cert:/ec.crt~/ec.key', shown),
    ],
    objects: objects(`127.0.0.1:${origin.port}`),
  });
});

after(async () => {
  await envoy?.stop();
  await origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

type Options = Partial<Parameters<typeof tlsGet>[2]>;
const get = (name: string, options: Options = {}, port = portOf(name)) =>
  tlsGet(net.everywhere, port, { servername: 'shown.test', ...options });
const as = (of: Pair) => ({ cert: of.certificate, key: of.key });
const status = async (name: string, options: Options = {}) => (await get(name, options)).status;

test('the certificate of a Secret of the workload’s namespace, which its sidecar shows', async () => {
  proves('Sidecar.spec.ingress[].tls.credentialName', 'Sidecar.spec.ingress[].tls.mode');
  for (const name of ['credential', 'qualified']) {
    const reply = await get(name);
    assert.deepEqual([reply.status, reply.fingerprint], [200, fingerprint(shown.certificate)], name);
    assert.equal(JSON.parse(reply.body).headers['x-forwarded-proto'], 'https');
  }
  await assert.rejects(call('/', { address: net.everywhere, port: portOf('credential'), host: 'x' }));
});

test('bytes inside TLS', async () => {
  const reply = await get('', {}, TCP_PORT);
  assert.deepEqual([reply.status, reply.fingerprint], [200, fingerprint(shown.certificate)]);
  assert.equal(JSON.parse(reply.body).headers['x-forwarded-proto'], undefined);
});

test('clients have to show a certificate that an authority of a Secret or of a file signed', async () => {
  proves(
    'Sidecar.spec.ingress[].tls.caCertCredentialName',
    'Sidecar.spec.ingress[].tls.tlsCertificates[].caCertificates',
  );
  for (const name of ['mutual', 'roots', 'besidePairs']) {
    assert.equal(await status(name, as(person)), 200, name);
    await assert.rejects(get(name), name);
    await assert.rejects(get(name, as(stranger)), name);
  }
  assert.equal(await status('optional'), 200);
  await assert.rejects(get('optional', as(stranger)));
});

test('of them, those with a name, key or certificate', async () => {
  proves(
    'Sidecar.spec.ingress[].tls.subjectAltNames[]',
    'Sidecar.spec.ingress[].tls.verifyCertificateSpki[]',
    'Sidecar.spec.ingress[].tls.verifyCertificateHash[]',
  );
  for (const name of ['named', 'spki', 'hash']) {
    assert.equal(await status(name, as(person)), 200, name);
    await assert.rejects(get(name, as(other)), name);
  }
});

test('not those that a list revokes; and a certificate that nobody checks', async () => {
  proves('Sidecar.spec.ingress[].tls.caCrl', 'Sidecar.spec.ingress[].tls.insecureSkipVerify');
  assert.equal(await status('revoked', as(person)), 200);
  await assert.rejects(get('revoked', as(other)));
  assert.equal(await status('unverified', as(stranger)), 200);
  await assert.rejects(get('unverified'));
});

test('two certificates: the client takes the one that it understands', async () => {
  proves(
    'Sidecar.spec.ingress[].tls.credentialNames[]',
    'Sidecar.spec.ingress[].tls.tlsCertificates[].serverCertificate',
    'Sidecar.spec.ingress[].tls.tlsCertificates[].privateKey',
  );
  for (const name of ['both', 'pairs']) {
    const replies = [await get(name, { sigalgs: 'ECDSA+SHA256' }), await get(name, { sigalgs: 'RSA-PSS+SHA256' })];
    assert.deepEqual(
      replies.map((reply) => reply.fingerprint),
      [shown, rsa].map((of) => fingerprint(of.certificate)),
      name,
    );
  }
});

test('protocol versions and cipher suites', async () => {
  proves(
    'Sidecar.spec.ingress[].tls.minProtocolVersion',
    'Sidecar.spec.ingress[].tls.maxProtocolVersion',
    'Sidecar.spec.ingress[].tls.cipherSuites[]',
  );
  await assert.rejects(get('newer', { maxVersion: 'TLSv1.2' }));
  assert.equal((await get('newer')).protocol, 'TLSv1.3');
  const old = await get('older');
  assert.deepEqual([old.protocol, old.cipher], ['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']);
  await assert.rejects(get('older', { minVersion: 'TLSv1.3' }));
  await assert.rejects(get('older', { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }));
});

test('a Sidecar that wants plain requests redirected is refused, and changes nothing', async () => {
  proves('Sidecar.spec.ingress[].tls.httpsRedirect');
  const asked = sidecar({ httpsRedirect: true, mode: 'SIMPLE', credentialName: 'shown' });
  const { problems, resources } = generateOffline(
    [
      ...objects('127.0.0.1:1'),
      istioObject('Sidecar', { name: 'a-redirect', createdAt: '2025-01-01T00:00:00Z' }, asked),
    ],
    proxy,
  );
  assert.deepEqual(
    problems.map(({ origin: { name }, path }) => [name, path]),
    [['a-redirect', 'spec.ingress[0].tls.httpsRedirect']],
  );
  const listeners = [...resources.values()].flat().map(({ name }) => name);
  assert.ok(listeners.includes(`${net.everywhere}_${portOf('credential')}`));
  assert.equal(await status('credential'), 200);
});
