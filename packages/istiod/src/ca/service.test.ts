import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, type GrpcServer, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { createCaMetrics } from '../metrics/pilot.ts';
import { createCaService } from './service.ts';
import { silent } from '../silent-log.test-support.ts';

const PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';

describe('certificate service', () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
  const registry = new MetricsRegistry();
  let server: GrpcServer;
  let port = 0;
  before(async () => {
    const own = authority.issueServer({ dnsNames: ['istiod.istio-system.svc'], now: new Date() });
    server = createGrpcServer({
      methods: createCaService({
        authority: () => authority,
        trustDomain: 'cluster.local',
        trustDomainAliases: () => ['old.example'],
        authenticateToken: async (token) => {
          if (token === 'unchecked') throw new Error('connect ECONNREFUSED');
          return token === 'good'
            ? { authenticated: true, namespace: 'shop', serviceAccount: 'cart', podName: 'cart-1' }
            : { authenticated: false, reason: 'expired' };
        },
        subject: (caller) => ({ workload: `w-${caller.podName ?? caller.remoteAddress}`, canonicalName: 'cart' }),
        metrics: createCaMetrics(registry),
        log: silent,
        now: () => new Date(),
      }),
      tls: { key: own.key, cert: own.chain, ca: authority.root },
    });
    port = ((await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo).port;
  });
  after(() => server.close(100));

  const ask = async (
    request: Parameters<typeof encode<'istio.v1.auth.IstioCertificateRequest'>>[1],
    options: { readonly token?: string; readonly key?: string; readonly cert?: string },
  ): Promise<readonly string[]> => {
    const channel = openGrpcChannel({
      kind: 'tls',
      host: '127.0.0.1',
      port,
      serverName: 'istiod.istio-system.svc',
      tls: { ca: authority.root, key: options.key, cert: options.cert },
    });
    try {
      const bytes = await channel.unary(PATH, encode('istio.v1.auth.IstioCertificateRequest', request), {
        metadata: options.token === undefined ? {} : { authorization: `Bearer ${options.token}` },
      });
      return decode('istio.v1.auth.IstioCertificateResponse', bytes).certChain ?? [];
    } finally {
      channel.close();
    }
  };

  it('signs for the identity of a token and renews by certificate', async () => {
    const { csr, key } = makeCsr();
    const chain = await ask({ csr, validityDuration: 3600 }, { token: 'good' });
    const leaf = new X509Certificate(chain[0]!);
    assert.equal(leaf.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
    assert.match(leaf.subject, /OU=cart\nCN=w-cart-1/);
    assert.ok(leaf.checkIssued(new X509Certificate(chain.at(-1)!)));
    assert.ok(Date.parse(leaf.validTo) <= Date.now() + 3_601_000);

    const renewed = await ask({ csr: makeCsr().csr }, { key, cert: chain[0] });
    assert.equal(new X509Certificate(renewed[0]!).subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
    assert.match(new X509Certificate(renewed[0]!).subject, /CN=w-127\.0\.0\.1/);
  });

  const holder = (trustDomain: string) => {
    const { csr, key } = makeCsr();
    const identity = { trustDomain, namespace: 'shop', serviceAccount: 'cart' };
    return { key, cert: authority.sign({ csr, identity, now: new Date() }).certificate };
  };

  it('a workload of another mesh that has the same root is nobody; one of an alias gets an identity of this mesh', async () => {
    const { csr } = makeCsr();
    await assert.rejects(ask({ csr }, holder('other.example')), {
      status: 'UNAUTHENTICATED',
      message: /another trust domain: other\.example/,
    });
    const [leaf] = await ask({ csr }, holder('old.example'));
    assert.equal(new X509Certificate(leaf!).subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
  });

  it('while tokens cannot be checked a certificate still renews, and others are told to come again', async () => {
    const { csr } = makeCsr();
    await assert.rejects(ask({ csr }, { token: 'unchecked' }), { status: 'UNAVAILABLE' });
    const [leaf] = await ask({ csr }, { token: 'unchecked', ...holder('cluster.local') });
    assert.equal(new X509Certificate(leaf!).subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
  });

  it('refuses who is not known and what is no request', async () => {
    const { csr } = makeCsr();
    await assert.rejects(ask({ csr }, {}), { status: 'UNAUTHENTICATED', message: /show a service account token/ });
    await assert.rejects(ask({ csr }, { token: 'bad' }), { status: 'UNAUTHENTICATED', message: /expired/ });
    await assert.rejects(ask({ csr: 'nonsense' }, { token: 'good' }), { status: 'INVALID_ARGUMENT' });
    await assert.rejects(ask({ csr: 'x'.repeat(40_000) }, { token: 'good' }), { status: 'INVALID_ARGUMENT' });
    await assert.rejects(ask({ csr, validityDuration: '999999999999' }, { token: 'good' }), {
      status: 'INVALID_ARGUMENT',
    });
    await assert.rejects(
      ask({ csr, metadata: { ImpersonatedIdentity: 'spiffe://cluster.local/ns/a/sa/b' } }, { token: 'good' }),
      { status: 'PERMISSION_DENIED' },
    );
    assert.match(registry.text(), /citadel_server_authentication_failure_count\{error="UNAUTHENTICATED"\} 3/);
  });
});

function makeCsr(): { csr: string; key: string } {
  const key = generatePrivateKey(P256);
  // What the request says of itself does not count.
  const csr = createCsr(key, [{ kind: 'uri', value: 'spiffe://cluster.local/ns/other/sa/other' }]);
  return { csr, key: exportPrivateKey(key) };
}
