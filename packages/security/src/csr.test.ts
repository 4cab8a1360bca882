import assert from 'node:assert/strict';
import { test } from 'node:test';
import { webcrypto } from 'node:crypto';
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';
import fc from 'fast-check';
import { describeCertificate, parseCertificate } from './certificate.ts';
import { createRootCertificate } from './authority.ts';
import { createCsr, CsrError, parseCsr } from './csr.ts';
import { DerError } from './der.ts';
import { generatePrivateKey, KeyError } from './keys.ts';
import { decodePem, encodePem } from './pem.ts';

const csr = createCsr(generatePrivateKey(), [
  { kind: 'uri', value: 'spiffe://cluster.local/ns/a/sa/b' },
  { kind: 'dns', value: 'b.a.svc' },
  { kind: 'ip', value: '10.0.0.1' },
  { kind: 'ip', value: '2001:db8::1' },
]);

test('a request of ours is one to @peculiar/x509', async () => {
  const oracle = new x509.Pkcs10CertificateRequest(csr);
  assert.equal(await oracle.verify(), true);
});

test('a request of @peculiar/x509 is read', async () => {
  const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
  const made = await x509.Pkcs10CertificateRequestGenerator.create({
    name: 'CN=test, O=Org',
    keys,
    signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: 'a.b' }])],
  });
  const parsed = parseCsr(made.toString('pem'));
  assert.deepEqual(parsed.altNames, [{ kind: 'dns', value: 'a.b' }]);
  assert.equal(parsed.subject.find((entry) => entry.type === '2.5.4.3')?.value, 'test');
});

test('names come back', () => {
  assert.deepEqual(
    parseCsr(csr).altNames.map((name) => name.value),
    ['spiffe://cluster.local/ns/a/sa/b', 'b.a.svc', '10.0.0.1', '2001:db8::1'],
  );
});

test('a changed byte anywhere is refused, and nothing but CsrError comes out', () => {
  const der = decodePem(csr, 'CERTIFICATE REQUEST');
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, xor) => {
      const broken = Buffer.from(der);
      broken[at] = (broken[at] ?? 0) ^ xor;
      assert.throws(() => parseCsr(encodePem('CERTIFICATE REQUEST', broken)), CsrError);
    }),
    { numRuns: 400 },
  );
});

test('arbitrary bytes and cut-off requests give CsrError', () => {
  const der = decodePem(csr, 'CERTIFICATE REQUEST');
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.nat(der.length - 2).map((n) => der.subarray(0, n + 1)),
      ),
      (bytes) => {
        assert.throws(() => parseCsr(encodePem('CERTIFICATE REQUEST', bytes)), CsrError);
      },
    ),
    { numRuns: 300 },
  );
  assert.throws(() => parseCsr('x'.repeat(100_000)), CsrError);
  assert.throws(() => parseCsr(''), CsrError);
});

test('the certificate reader raises only its own errors', () => {
  const pem = createRootCertificate({ organization: 'cluster.local', now: new Date() }).certificate;
  const der = decodePem(pem, 'CERTIFICATE');
  assert.equal(describeCertificate(pem).subject, 'O=cluster.local');
  fc.assert(
    fc.property(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }), (at, xor) => {
      const broken = Buffer.from(der);
      broken[at] = (broken[at] ?? 0) ^ xor;
      try {
        parseCertificate(broken);
      } catch (error) {
        assert.ok(error instanceof DerError || error instanceof KeyError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
