import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { proves } from '@istio-ts/xds/field-proof';
import { TestAuthority } from '@istio-ts/xds/testing/authority';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { tlsGet } from '@istio-ts/xds/testing/tls-client';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { freePort, OWN_AGENT, type RunningAgent, startAgent } from '../clients/agent.test-support.ts';
import { boundIngress } from '../clients/bound-sidecars.test-support.ts';
import { type Cleanups, listening } from '../clients/listening.test-support.ts';
import { type RunningIstiod, startIstiod } from '../hardening/istiod.test-support.ts';

/** Trust in another mesh, from its publisher over HTTPS through a whole istiod to the sidecar of a workload: agent and Envoy as they run in a pod. */

const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.85.${byte}.${last}`;

interface Shown {
  readonly certificate: string;
  readonly key: string;
}

describe('the trust bundle of another mesh', { skip: withoutEnvoy }, () => {
  const cleanups: Cleanups = [];
  const folder = mkdtempSync(join(tmpdir(), 'federation-'));
  const first = new TestAuthority(folder, 'partner');
  const next = new TestAuthority(folder, 'partner-next');
  const stranger = new TestAuthority(folder, 'stranger');
  const web = new TestAuthority(folder, 'public');
  let istiod: RunningIstiod;
  let agent: RunningAgent;
  let port = 0;
  let asked = 0;
  let answer: string | undefined;

  const bundle = (...authorities: readonly TestAuthority[]): string =>
    JSON.stringify({
      spiffe_refresh_hint: 10,
      keys: authorities.map(({ root }) => ({
        use: 'x509-svid',
        kty: 'EC',
        x5c: [new X509Certificate(root).raw.toString('base64')],
      })),
    });
  const told = (): string => `${istiod.output().slice(-4000)}\n${agent.output().slice(-4000)}`;

  before(async () => {
    cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
    answer = bundle(first);
    const shown = web.issue('publisher', [`IP:${ip(1)}`]);
    const publisher = createTlsServer({ cert: shown.certificate, key: shown.key }, (_request, response) => {
      asked++;
      response.writeHead(answer === undefined ? 503 : 200).end(answer);
    });
    const app = createServer((_request, response) => response.end('served'));
    const at = await listening(publisher, cleanups, ip(1));
    const target = await listening(app, cleanups);
    port = await freePort();
    const url = `https://${ip(1)}:${at}/bundle`;
    istiod = await startIstiod({
      values: {
        meshConfig: {
          trustDomainAliases: ['old.domain'],
          caCertificates: [{ spiffeBundleUrl: url, trustDomains: ['partner.example'] }],
          proxyListenPort: await freePort(),
          proxyInboundListenPort: await freePort(),
        },
      },
      objects: [
        { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'web', namespace: 'shop' } },
        istioObject('PeerAuthentication', { name: 'default', namespace: 'shop' }, { mtls: { mode: 'STRICT' } }),
        boundIngress({ name: 'web', namespace: 'shop', bind: ip(2), port, app: target }),
      ],
      // The publisher's certificate is of an authority that the system trusts.
      env: { SSL_CERT_FILE: web.rootFile, ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS: '127.85.0.0/16' },
    });
    cleanups.push(() => istiod.close());
    const { data } = await eventually(
      'the root in the namespace',
      async () =>
        (await istiod.client.get(kubernetesTypes.ConfigMap, 'istio-ca-root-cert', 'shop')) as unknown as {
          readonly data: Readonly<Record<string, string>>;
        },
      Boolean,
      istiod.output,
    );
    agent = await startAgent({
      command: OWN_AGENT,
      controlPlane: { secure: `127.0.0.1:${istiod.ports.secureGrpc}`, root: data['root-cert.pem'] ?? '' },
      token: await istiod.token('shop', 'web', ['istio-ca']),
      pod: { name: 'web-1', namespace: 'shop', account: 'web', ip: ip(2), labels: { app: 'web' } },
      env: { ENVOY_BINARY: findEnvoy() ?? '', OUTPUT_CERTS: join(folder, 'own') },
    });
    cleanups.push(() => agent.stop());
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const admits = ({ certificate, key }: Shown): Promise<boolean> =>
    tlsGet(ip(2), port, { servername: 'web', cert: certificate, key, ALPNProtocols: ['istio-http/1.1'] }).then(
      ({ status }) => status === 200,
      () => false,
    );
  const becomes = (shown: Shown, expected: boolean): Promise<boolean> =>
    eventually(
      `${expected ? 'admission' : 'refusal'}`,
      () => admits(shown),
      (got) => got === expected,
      told,
    );
  let issued = 0;
  const from = (authority: TestAuthority, domain: string): Shown =>
    authority.issue(`client-${issued++}`, [`URI:spiffe://${domain}/ns/billing/sa/worker`]);
  const own = (): Shown => ({
    certificate: readFileSync(join(folder, 'own', 'cert-chain.pem'), 'utf8'),
    key: readFileSync(join(folder, 'own', 'key.pem'), 'utf8'),
  });

  it('has its workloads admitted, and nobody else', async () => {
    proves(
      'MeshConfig.caCertificates[].spiffeBundleUrl',
      'MeshConfig.caCertificates[].trustDomains[]',
      'MeshConfig.trustDomainAliases[]',
    );
    await becomes(from(first, 'partner.example'), true);
    await eventually('own certificate', () => existsSync(join(folder, 'own', 'key.pem')), Boolean, told);
    assert.equal(await admits(own()), true, 'the mesh itself');
    assert.equal(await admits(from(first, 'cluster.local')), false, 'the partner makes no identities of the mesh');
    assert.equal(await admits(from(first, 'old.domain')), false, 'nor of its alias');
    assert.equal(await admits(from(first, 'elsewhere.example')), false, 'nor of others');
    assert.equal(await admits(from(stranger, 'partner.example')), false, 'nobody else makes those of the partner');
    assert.equal(await admits(from(next, 'partner.example')), false);
  });

  it('is followed when its publisher rotates it', async () => {
    answer = bundle(first, next);
    await becomes(from(next, 'partner.example'), true);
    assert.equal(await admits(from(first, 'partner.example')), true);
    answer = bundle(next);
    await becomes(from(first, 'partner.example'), false);
    assert.equal(await admits(from(next, 'partner.example')), true);
    assert.equal(await admits(own()), true);
  });

  it('stays as it was while the publisher is down, until it is there again', async () => {
    answer = undefined;
    const before = asked;
    await eventually(
      'failed fetches',
      () => asked - before,
      (times) => times >= 2,
      told,
    );
    await eventually('word of it', () => /its last good anchors stay/.test(istiod.output()), Boolean, told);
    assert.equal(await admits(from(next, 'partner.example')), true);
    assert.equal(await admits(from(first, 'partner.example')), false);
    answer = bundle(first);
    await becomes(from(first, 'partner.example'), true);
    await becomes(from(next, 'partner.example'), false);
    assert.equal(await admits(own()), true);
  });
});
