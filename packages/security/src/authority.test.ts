import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import * as tls from 'node:tls';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import {
  AuthorityError,
  createIntermediate,
  createRevocationList,
  createRootCertificate,
  istiodDnsNames,
  loadAuthority,
  type IssuedCertificate,
} from './authority.ts';
import { describeCertificate } from './certificate.ts';
import { createCsr, CsrError } from './csr.ts';
import { exportPrivateKey, generatePrivateKey, type KeyAlgorithm } from './keys.ts';

const dir = mkdtempSync(join(tmpdir(), 'security-test-'));
after(() => rmSync(dir, { recursive: true, force: true }));

const now = new Date();
const identity = { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' };
const subject = { workload: 'cart-v1', canonicalName: 'cart', version: 'v1', cluster: 'Kubernetes' };
const spiffe = 'spiffe://cluster.local/ns/shop/sa/cart';

function opensslVerify(issued: IssuedCertificate): string {
  writeFileSync(join(dir, 'root.pem'), issued.root);
  writeFileSync(join(dir, 'chain.pem'), issued.chain);
  writeFileSync(join(dir, 'leaf.pem'), issued.certificate);
  return execFileSync(
    'openssl',
    [
      'verify',
      '-x509_strict',
      '-CAfile',
      join(dir, 'root.pem'),
      '-untrusted',
      join(dir, 'chain.pem'),
      join(dir, 'leaf.pem'),
    ],
    { encoding: 'utf8' },
  );
}

const algorithms: readonly KeyAlgorithm[] = [
  { kind: 'ecdsa', curve: 'P-256' },
  { kind: 'ecdsa', curve: 'P-384' },
  { kind: 'rsa', bits: 2048 },
];

for (const algorithm of algorithms) {
  test(`a root of ${JSON.stringify(algorithm)} signs certificates that openssl and @peculiar/x509 accept`, async () => {
    const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', algorithm, now }));
    const key = generatePrivateKey(algorithm);
    const issued = authority.sign({ csr: createCsr(key, [{ kind: 'uri', value: spiffe }]), identity, subject, now });
    assert.match(opensslVerify(issued), /: OK/);
    const oracle = new x509.X509Certificate(issued.certificate);
    assert.equal(await oracle.verify({ publicKey: new x509.X509Certificate(authority.root).publicKey }), true);
    const san = oracle.getExtension(x509.SubjectAlternativeNameExtension);
    assert.equal(san?.critical, true);
    assert.deepEqual(san?.names.toJSON(), [{ type: 'url', value: spiffe }]);
    assert.equal(oracle.getExtension(x509.BasicConstraintsExtension)?.ca, false);
    assert.equal(
      oracle.getExtension(x509.KeyUsagesExtension)?.usages,
      x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment,
    );
    assert.deepEqual(
      [...(oracle.getExtension(x509.ExtendedKeyUsageExtension)?.usages ?? [])],
      ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    );
    assert.equal(oracle.subject, 'ST=Kubernetes, L=v1, OU=cart, CN=cart-v1');
    const described = describeCertificate(issued.certificate);
    assert.equal(described.spiffe, spiffe);
    assert.deepEqual(described.workload, subject);
    assert.equal(described.serial, oracle.serialNumber.toLowerCase().replace(/^0+/, ''));
    assert.equal(described.notAfter.getTime(), oracle.notAfter.getTime());
    assert.equal(described.notBefore.getTime(), oracle.notBefore.getTime());
    assert.ok(described.notBefore < now);
    assert.equal(Math.round((described.notAfter.getTime() - now.getTime()) / 3600_000), 24);
  });
}

test('an intermediate gives a chain that leads to the root', () => {
  const root = createRootCertificate({ organization: 'Example', now });
  const authority = loadAuthority(createIntermediate(root, { organization: 'Example', commonName: 'cluster1', now }));
  const issued = authority.sign({ csr: createCsr(generatePrivateKey(), []), identity, now });
  assert.equal(issued.response.length, 3);
  assert.equal(issued.chain.split('BEGIN').length, 3);
  assert.match(opensslVerify(issued), /: OK/);
});

test('a real TLS handshake authenticates both sides', async () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now }));
  const server = authority.issueServer({ dnsNames: istiodDnsNames('istio-system', '1-30'), now });
  const key = generatePrivateKey();
  const client = authority.sign({ csr: createCsr(key, []), identity, subject, now });
  const listener = tls.createServer(
    { key: server.key, cert: server.chain, ca: server.root, requestCert: true, rejectUnauthorized: true },
    (socket) => socket.end(socket.getPeerCertificate().subjectaltname ?? ''),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  assert.ok(typeof address === 'object' && address !== null);
  const text = await new Promise<string>((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port: address.port,
      servername: 'istiod-1-30.istio-system.svc',
      ca: authority.root,
      key: exportPrivateKey(key),
      cert: client.chain,
    });
    let body = '';
    socket.on('data', (chunk) => {
      body += chunk;
    });
    socket.on('end', () => resolve(body));
    socket.on('error', reject);
  });
  listener.close();
  assert.equal(text, `URI:${spiffe}`);
});

test('values of the subject are cut and cleaned, empty ones left out', () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now }));
  const issued = authority.sign({
    csr: createCsr(generatePrivateKey(), []),
    identity,
    subject: { workload: 'x'.repeat(100), canonicalName: 'a,CN=evil;"b', version: '' },
    now,
  });
  assert.deepEqual(describeCertificate(issued.certificate).workload, {
    workload: 'x'.repeat(64),
    canonicalName: 'a_CN_evil__b',
    version: undefined,
    cluster: undefined,
  });
});

test('the identity comes from the caller, whatever the request says', () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now }));
  const csr = createCsr(generatePrivateKey(), [
    { kind: 'uri', value: 'spiffe://cluster.local/ns/istio-system/sa/istiod' },
  ]);
  assert.equal(describeCertificate(authority.sign({ csr, identity, now }).certificate).spiffe, spiffe);
});

test('a lifetime above the greatest is refused, one beyond the CA is cut', () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', ttl: 3600_000, now }));
  const csr = createCsr(generatePrivateKey(), []);
  assert.throws(() => authority.sign({ csr, identity, ttl: 1e12, now }), CsrError);
  assert.equal(
    Math.floor(authority.sign({ csr, identity, now }).notAfter.getTime() / 1000),
    Math.floor(authority.notAfter.getTime() / 1000),
  );
  assert.throws(() => authority.sign({ csr, identity, now: new Date(now.getTime() + 7200_000) }), /expired/);
});

test('material that does not fit together is refused with the file', () => {
  const one = createRootCertificate({ organization: 'One', now });
  const two = createRootCertificate({ organization: 'Two', now });
  assert.throws(
    () => loadAuthority({ ...one, key: two.key }),
    (e) => e instanceof AuthorityError && /ca-key\.pem/.test(e.message),
  );
  assert.throws(() => loadAuthority({ ...one, root: two.root }), /cert-chain\.pem/);
  assert.throws(() => loadAuthority({ ...one, certificate: 'nothing' }), /ca-cert\.pem/);
});

test('a list of revoked certificates that openssl checks with', () => {
  const root = createRootCertificate({ organization: 'cluster.local', now });
  const intermediate = createIntermediate(root, { organization: 'cluster.local', commonName: 'one', now });
  const authority = loadAuthority(intermediate);
  const csr = createCsr(generatePrivateKey(), []);
  const [good, bad] = [authority.sign({ csr, identity, now }), authority.sign({ csr, identity, now })];
  const lists =
    createRevocationList(root, { serials: [], ttl: 3_600_000, now }) +
    createRevocationList(intermediate, {
      serials: [describeCertificate(bad.certificate).serial],
      ttl: 3_600_000,
      now,
    });
  writeFileSync(join(dir, 'crl-root.pem'), root.certificate);
  writeFileSync(join(dir, 'crl-chain.pem'), intermediate.certificate);
  writeFileSync(join(dir, 'crl.pem'), lists);
  const verify = (certificate: string): string => {
    writeFileSync(join(dir, 'crl-leaf.pem'), certificate);
    const args = ['-crl_check_all', '-CRLfile', join(dir, 'crl.pem'), '-untrusted', join(dir, 'crl-chain.pem')];
    return execFileSync(
      'openssl',
      ['verify', '-CAfile', join(dir, 'crl-root.pem'), ...args, join(dir, 'crl-leaf.pem')],
      {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
  };
  assert.match(verify(good.certificate), /: OK/);
  assert.throws(() => verify(bad.certificate), /certificate revoked/);
  assert.throws(() => createRevocationList(root, { serials: ['zz'], ttl: 1, now }), AuthorityError);
});
