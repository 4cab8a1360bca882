import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { type Pair, revocation, selfSigned, signedBy } from '../testing/certificate.ts';
import { istioObject, podObject, secretObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** TLS at a gateway's servers, each under a name of its own on one port, seen by clients. */

proves(
  'Gateway.spec.selector',
  'Gateway.spec.servers[].port.protocol',
  'Gateway.spec.servers[].tls.mode',
  'Gateway.spec.servers[].tls.serverCertificate',
  'Gateway.spec.servers[].tls.privateKey',
  'Gateway.spec.servers[].tls.caCertificates',
  'Gateway.spec.servers[].tls.caCrl',
  'Gateway.spec.servers[].tls.credentialName',
  'Gateway.spec.servers[].tls.credentialNames[]',
  'Gateway.spec.servers[].tls.caCertCredentialName',
  'Gateway.spec.servers[].tls.tlsCertificates[].serverCertificate',
  'Gateway.spec.servers[].tls.tlsCertificates[].privateKey',
  'Gateway.spec.servers[].tls.tlsCertificates[].caCertificates',
  'Gateway.spec.servers[].tls.subjectAltNames[]',
  'Gateway.spec.servers[].tls.verifyCertificateSpki[]',
  'Gateway.spec.servers[].tls.verifyCertificateHash[]',
  'Gateway.spec.servers[].tls.minProtocolVersion',
  'Gateway.spec.servers[].tls.maxProtocolVersion',
  'Gateway.spec.servers[].tls.cipherSuites[]',
  'Gateway.spec.servers[].tls.insecureSkipVerify',
);

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'gateway-tls-'));
const authority = selfSigned('authority');
const shown = signedBy(authority, 'shown.test');
const rsa = signedBy(authority, 'shown.test', { rsa: true });
const person = signedBy(authority, 'person.test');
const other = signedBy(authority, 'other.test');
const stranger = selfSigned('stranger');
const workload = signedBy(authority, 'workload', { names: 'URI:spiffe://cluster.local/ns/default/sa/client' });

const der = (pem: string): Buffer => new X509Certificate(pem).raw;
const spki = (pem: string): string =>
  createHash('sha256')
    .update(new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64');
const hash = (pem: string): string => createHash('sha256').update(der(pem)).digest('hex');
const fingerprint = (pem: string): string => new X509Certificate(pem).fingerprint256;

const crl = join(folder, 'revoked.pem');
const file = {
  serverCertificate: '/etc/istio/certs/tls.crt',
  privateKey: '/etc/istio/certs/tls.key',
  caCertificates: '/etc/istio/certs/ca.crt',
};
const files = {
  credential: `file-cert:${file.serverCertificate}~${file.privateKey}`,
  roots: `file-root:${file.caCertificates}`,
};

/** Settings of the server of each name. */
const servers: Readonly<Record<string, object>> = {
  'simple.test': { mode: 'SIMPLE', credentialName: 'shown' },
  'new.test': { mode: 'SIMPLE', credentialName: 'shown', minProtocolVersion: 'TLSV1_3' },
  'old.test': {
    mode: 'SIMPLE',
    credentialName: 'shown',
    maxProtocolVersion: 'TLSV1_2',
    cipherSuites: ['ECDHE-ECDSA-AES128-GCM-SHA256'],
  },
  'mutual.test': { mode: 'MUTUAL', credentialName: 'mutual' },
  'named.test': { mode: 'MUTUAL', credentialName: 'mutual', subjectAltNames: ['person.test'] },
  'spki.test': { mode: 'MUTUAL', credentialName: 'mutual', verifyCertificateSpki: [spki(person.certificate)] },
  'hash.test': { mode: 'MUTUAL', credentialName: 'mutual', verifyCertificateHash: [hash(person.certificate)] },
  'optional.test': { mode: 'OPTIONAL_MUTUAL', credentialName: 'mutual' },
  'unverified.test': { mode: 'MUTUAL', credentialName: 'mutual', insecureSkipVerify: true },
  'roots.test': { mode: 'MUTUAL', credentialName: 'shown', caCertCredentialName: 'people' },
  'beside.test': { mode: 'MUTUAL', credentialName: 'apart' },
  'revoked.test': { mode: 'MUTUAL', credentialName: 'listed' },
  'both.test': { mode: 'SIMPLE', credentialNames: ['rsa', 'shown'] },
  'files.test': { mode: 'MUTUAL', ...file, caCrl: crl },
  'pairs.test': {
    mode: 'SIMPLE',
    tlsCertificates: [
      { serverCertificate: '/rsa.crt', privateKey: '/rsa.key' },
      { serverCertificate: '/ec.crt', privateKey: '/ec.key' },
    ],
  },
  'beside-pairs.test': {
    mode: 'MUTUAL',
    tlsCertificates: [{ serverCertificate: '/ec.crt', privateKey: '/ec.key', caCertificates: file.caCertificates }],
  },
  'mesh.test': { mode: 'ISTIO_MUTUAL' },
};

const tlsSecret = (name: string, pair: Pair, more: Readonly<Record<string, string>> = {}) =>
  secretObject({ name, namespace: 'edge' }, { 'tls.crt': pair.certificate, 'tls.key': pair.key, ...more });
const genericSecret = (name: string, data: Readonly<Record<string, string>>) =>
  secretObject({ name, namespace: 'edge' }, data);
const inline = (name: string, pair: Pair) => ({
  name,
  tlsCertificate: { certificateChain: { inlineString: pair.certificate }, privateKey: { inlineString: pair.key } },
});

let origin: Origin;
let envoy: OfflineEnvoy;

before(async () => {
  const list = revocation(authority, other.certificate);
  writeFileSync(crl, list);
  origin = await startOrigin('app', net.ip(2), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    proxy: { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere },
    meshConfig: { ...defaultMeshConfig(), tlsDefaults: { minProtocolVersion: 'TLSV1_2', ecdhCurves: ['P-256'] } },
    identity: { certificate: shown.certificate, key: shown.key, roots: authority.certificate },
    secrets: [
      inline(files.credential, shown),
      { name: files.roots, validationContext: { trustedCa: { inlineString: authority.certificate } } },
      inline('file-cert:/rsa.crt~/rsa.key', rsa),
      inline('file-cert:/ec.crt~/ec.key', shown),
    ],
    objects: [
      podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
      ...loopbackApp(net, 'app', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
      tlsSecret('shown', shown),
      tlsSecret('mutual', shown, { 'ca.crt': authority.certificate }),
      genericSecret('people', { cacert: authority.certificate }),
      genericSecret('apart', { cert: shown.certificate, key: shown.key }),
      genericSecret('apart-cacert', { cacert: authority.certificate }),
      genericSecret('listed', { cert: shown.certificate, key: shown.key, cacert: authority.certificate, crl: list }),
      tlsSecret('rsa', rsa),
      istioObject(
        'Gateway',
        { name: 'edge' },
        {
          selector: { team: 'edge' },
          servers: [
            ...Object.entries(servers).map(([host, tls]) => ({
              port: { number: 8443, name: `https-${host}`, protocol: 'HTTPS' },
              hosts: [host],
              tls,
            })),
            {
              port: { number: 8444, name: 'bytes', protocol: 'TLS' },
              hosts: ['bytes.test'],
              tls: { mode: 'SIMPLE', credentialName: 'shown' },
            },
          ],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'app' },
        { hosts: ['*'], gateways: ['edge'], http: [{ route: [{ destination: { host: 'app' } }] }] },
      ),
      istioObject(
        'VirtualService',
        { name: 'bytes' },
        {
          hosts: ['bytes.test'],
          gateways: ['edge'],
          tcp: [{ match: [{ port: 8444 }], route: [{ destination: { host: 'app', port: { number: 80 } } }] }],
        },
      ),
    ],
  });
});

after(async () => {
  await envoy?.stop();
  await origin?.close();
  rmSync(folder, { recursive: true, force: true });
});

const get = (servername: string, options: Partial<Parameters<typeof tlsGet>[2]> = {}, port = 8443) =>
  tlsGet(net.everywhere, port, { servername, ...options });
const as = (pair: Pair) => ({ cert: pair.certificate, key: pair.key });
const status = async (...call: Parameters<typeof get>) => (await get(...call)).status;

test('SIMPLE shows the certificate of its Secret', async () => {
  const reply = await get('simple.test');
  assert.deepEqual([reply.status, reply.fingerprint], [200, fingerprint(shown.certificate)]);
  assert.equal(JSON.parse(reply.body).headers['x-forwarded-proto'], 'https');
});

test('protocol versions and cipher suites', async () => {
  await assert.rejects(get('simple.test', { maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }));
  await assert.rejects(get('new.test', { maxVersion: 'TLSv1.2' }));
  assert.equal((await get('new.test')).protocol, 'TLSv1.3');
  const old = await get('old.test');
  assert.deepEqual([old.protocol, old.cipher], ['TLSv1.2', 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256']);
  await assert.rejects(get('old.test', { minVersion: 'TLSv1.3' }));
  await assert.rejects(get('old.test', { ciphers: 'ECDHE-ECDSA-AES256-GCM-SHA384' }));
});

test('curves of the mesh', async () => {
  assert.equal(await status('simple.test', { ecdhCurve: 'P-256' }), 200);
  await assert.rejects(get('simple.test', { ecdhCurve: 'P-384' }));
});

test('MUTUAL admits who its authority signed', async () => {
  const reply = await get('mutual.test', as(person));
  assert.equal(reply.status, 200);
  assert.match(JSON.parse(reply.body).headers['x-forwarded-client-cert'], /DNS=person\.test/);
  await assert.rejects(get('mutual.test'));
  await assert.rejects(get('mutual.test', as(stranger)));
});

test('MUTUAL with roots of another Secret, named or beside the certificate', async () => {
  for (const host of ['roots.test', 'beside.test', 'beside-pairs.test']) {
    assert.equal(await status(host, as(person)), 200, host);
    await assert.rejects(get(host), host);
    await assert.rejects(get(host, as(stranger)), host);
  }
});

test('of them, those with a name, key or certificate', async () => {
  for (const host of ['named.test', 'spki.test', 'hash.test']) {
    assert.equal(await status(host, as(person)), 200, host);
    await assert.rejects(get(host, as(other)), host);
  }
});

test('revoked certificates are refused, by Secret and by file', async () => {
  for (const host of ['revoked.test', 'files.test']) {
    assert.equal(await status(host, as(person)), 200, host);
    await assert.rejects(get(host, as(other)), host);
    await assert.rejects(get(host, as(stranger)), host);
  }
});

test('OPTIONAL_MUTUAL takes clients without certificate, but no wrong one', async () => {
  assert.equal(await status('optional.test'), 200);
  assert.equal(await status('optional.test', as(person)), 200);
  await assert.rejects(get('optional.test', as(stranger)));
});

test('a certificate that nobody checks', async () => {
  assert.equal(await status('unverified.test', as(stranger)), 200);
  await assert.rejects(get('unverified.test'));
});

test('two certificates: the client takes the one that it understands', async () => {
  for (const host of ['both.test', 'pairs.test']) {
    const ec = await get(host, { sigalgs: 'ECDSA+SHA256' });
    const old = await get(host, { sigalgs: 'RSA-PSS+SHA256' });
    assert.deepEqual(
      [ec.fingerprint, old.fingerprint],
      [shown, rsa].map((pair) => fingerprint(pair.certificate)),
      host,
    );
  }
});

test('ISTIO_MUTUAL takes workloads of the mesh only', async () => {
  const reply = await get('mesh.test', as(workload));
  assert.equal(reply.status, 200);
  assert.match(
    JSON.parse(reply.body).headers['x-forwarded-client-cert'],
    /URI=spiffe:\/\/cluster.local\/ns\/default\/sa\/client/,
  );
  await assert.rejects(get('mesh.test', as(person)));
  await assert.rejects(get('mesh.test'));
});

test('bytes inside TLS', async () => {
  const reply = await get('bytes.test', {}, 8444);
  assert.deepEqual([reply.status, reply.fingerprint], [200, fingerprint(shown.certificate)]);
  assert.equal(JSON.parse(reply.body).headers['x-forwarded-proto'], undefined);
  await assert.rejects(get('simple.test', {}, 8444));
});
