import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, beforeEach, describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, type GrpcServer, openGrpcChannel } from '@istio-ts/envoy/grpc';
import { createKubeClient, type KubeClient, type KubeObject, loadKubeConfig, type Watch } from '@istio-ts/kube';
import { startTestServer, type TestServer } from '@istio-ts/local/apiserver/test-support';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  type AuthorityMaterial,
  createCsr,
  createIntermediate,
  createRootCertificate,
  generatePrivateKey,
  loadAuthority,
  parseCsr,
  parseSpiffe,
} from '@istio-ts/security';
import { createCaMetrics } from '../metrics/pilot.ts';
import { createKubernetesSigner } from './kubernetes-signer.ts';
import { createCaService } from './service.ts';
import { silent } from '../silent-log.test-support.ts';

const TYPE = kubernetesTypes.CertificateSigningRequest;
const ME = 'spiffe://cluster.local/ns/shop/sa/cart';

/** How the signer of the test treats the next requests. */
type Manner = 'sign' | 'deny' | 'fail' | 'sleep' | 'forge name' | 'forge key' | 'nonsense' | 'with root';

describe('signers of the cluster as CA', () => {
  const now = new Date();
  const root = createRootCertificate({ organization: 'outside', now });
  const intermediate = createIntermediate(root, { organization: 'outside', commonName: 'issuing', now });
  const other = createRootCertificate({ organization: 'other', now });
  const istiod = loadAuthority(createRootCertificate({ organization: 'cluster.local', now }));
  let api: TestServer;
  let client: KubeClient;
  let connection: ReturnType<typeof createKubeClient>;
  let watch: Watch;
  let server: GrpcServer;
  let port = 0;
  let manner: Manner = 'sign';
  const seen: { readonly signer: string; readonly approvedFor: string; readonly spec: Record<string, unknown> }[] = [];
  const roots: Record<string, string> = {};

  /** What a certificate controller does: it signs what is approved and meant for it. */
  const serve = async (object: KubeObject): Promise<void> => {
    const spec = object.spec as { readonly request: string; readonly signerName: string };
    const status = (object.status ?? {}) as { conditions?: { type: string; message: string }[]; certificate?: string };
    const approval = status.conditions?.find(({ type }) => type === 'Approved');
    if (approval === undefined || status.certificate || status.conditions?.some(({ type }) => type === 'Failed'))
      return;
    if (manner === 'sleep') return;
    seen.push({ signer: spec.signerName, approvedFor: approval.message, spec: { ...spec } });
    const csr = Buffer.from(spec.request, 'base64').toString();
    const name = parseCsr(csr).altNames[0]?.value ?? '';
    const sign = (material: AuthorityMaterial, request = csr, uri = name): string =>
      loadAuthority(material).sign({ csr: request, identity: parseSpiffe(uri), ttl: 3_600_000, now: new Date() }).chain;
    const give = (certificate: string) =>
      client.update(
        TYPE,
        { ...object, status: { ...status, certificate: Buffer.from(certificate).toString('base64') } },
        { subresource: 'status' },
      );
    switch (manner) {
      case 'deny':
      case 'fail': {
        const type = manner === 'deny' ? 'Denied' : 'Failed';
        const refusal = { type, status: 'True', reason: 'Policy', message: 'not on a Sunday' };
        const conditions = type === 'Denied' ? [refusal] : [...(status.conditions ?? []), refusal];
        await client.update(
          TYPE,
          { ...object, status: { conditions } },
          { subresource: type === 'Denied' ? 'approval' : 'status' },
        );
        return;
      }
      case 'forge name':
        await give(sign(intermediate, csr, 'spiffe://cluster.local/ns/kube-system/sa/admin'));
        return;
      case 'forge key':
        await give(sign(intermediate, createCsr(generatePrivateKey(), [])));
        return;
      case 'nonsense':
        await give('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n');
        return;
      case 'with root':
        await give(sign(intermediate) + root.certificate);
        return;
      default:
        await give(sign(spec.signerName.endsWith('/other') ? other : intermediate));
    }
  };

  before(async () => {
    api = await startTestServer();
    connection = createKubeClient(loadKubeConfig({ env: {}, kubeconfig: join(api.directory, 'kubeconfig') }));
    client = connection;
    watch = client.watch(TYPE, {}, (event) => {
      if (event.type === 'ADDED' || event.type === 'MODIFIED') serve(event.object).catch(() => undefined);
    });
    const ca = createKubernetesSigner({
      client,
      defaultSigner: 'example.com/default',
      signerDomain: 'example.com',
      defaultTtlMs: 24 * 3_600_000,
      maxTtlMs: 90 * 24 * 3_600_000,
      roots: (signer) => roots[signer],
      mountedRoot: () => undefined,
      sleep,
      now: () => new Date(),
      timeoutMs: 5000,
      log: silent,
    });
    const own = istiod.issueServer({ dnsNames: ['istiod.istio-system.svc'], now });
    server = createGrpcServer({
      methods: createCaService({
        authority: () => ca,
        trustDomain: 'cluster.local',
        authenticateToken: async () => ({ authenticated: true, namespace: 'shop', serviceAccount: 'cart' }),
        subject: () => ({ workload: 'cart' }),
        metrics: createCaMetrics(new MetricsRegistry()),
        log: silent,
        now: () => new Date(),
      }),
      tls: { key: own.key, cert: own.chain, ca: istiod.root },
    });
    port = ((await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo).port;
  });
  after(async () => {
    watch.close();
    connection.close();
    await server.close(100);
    await api.close();
  });
  beforeEach(() => {
    manner = 'sign';
    seen.length = 0;
    for (const name of Object.keys(roots)) delete roots[name];
    roots['example.com/default'] = root.root;
    roots['example.com/other'] = other.root;
  });

  const ask = async (request: object = {}, csr = createCsr(key, [{ kind: 'uri', value: ME }])) => {
    const channel = openGrpcChannel({
      kind: 'tls',
      host: '127.0.0.1',
      port,
      serverName: 'istiod.istio-system.svc',
      tls: { ca: istiod.root },
    });
    try {
      const bytes = await channel.unary(
        '/istio.v1.auth.IstioCertificateService/CreateCertificate',
        encode('istio.v1.auth.IstioCertificateRequest', { csr, ...request }),
        { metadata: { authorization: 'Bearer token' } },
      );
      return decode('istio.v1.auth.IstioCertificateResponse', bytes).certChain ?? [];
    } finally {
      channel.close();
    }
  };
  const key = generatePrivateKey();
  const left = async (): Promise<number> => {
    for (let tries = 0; tries < 1000; tries++) {
      const { items } = await client.list(TYPE);
      if (items.length === 0) return 0;
      await sleep(20);
    }
    return (await client.list(TYPE)).items.length;
  };

  it('a request is made, approved, signed and removed; the chain leads to the root of the mesh configuration', async () => {
    const chain = await ask({ validityDuration: 7200 });
    assert.equal(chain.length, 3);
    const [leaf, issuing] = chain.map((pem) => new X509Certificate(pem));
    assert.equal(leaf?.subjectAltName, `URI:${ME}`);
    assert.ok(leaf?.checkPrivateKey(key));
    assert.ok(issuing && leaf?.verify(issuing.publicKey));
    assert.ok(issuing?.verify(new X509Certificate(root.certificate).publicKey));
    assert.equal(chain[2], root.root);
    const [request] = seen;
    assert.equal(request?.signer, 'example.com/default');
    assert.equal(request?.approvedFor, `istiod has authenticated the workload ${ME}`);
    assert.equal(request?.spec.expirationSeconds, 7200);
    assert.deepEqual(request?.spec.usages, ['digital signature', 'key encipherment', 'client auth', 'server auth']);
    assert.equal(await left(), 0);
  });

  it('a proxy names another signer of the domain, whose root it gets', async () => {
    const chain = await ask({ metadata: { CertSigner: 'other' } });
    assert.deepEqual(
      seen.map(({ signer }) => signer),
      ['example.com/other'],
    );
    assert.equal(chain.at(-1), other.root);
    await assert.rejects(ask({ metadata: { CertSigner: '../kubernetes.io/kubelet-serving' } }), {
      status: 'INVALID_ARGUMENT',
      message: /no name of a signer/,
    });
  });

  it('without a root in the mesh configuration it is the one that the signer appends, else none', async () => {
    delete roots['example.com/default'];
    await assert.rejects(ask(), { status: 'INTERNAL', message: /meshConfig\.caCertificates/ });
    manner = 'with root';
    assert.equal((await ask()).at(-1), root.certificate);
  });

  it('requests for anything but the identity that was proved never reach the signer', async () => {
    for (const names of [
      [{ kind: 'uri', value: 'spiffe://cluster.local/ns/kube-system/sa/admin' }],
      [
        { kind: 'uri', value: ME },
        { kind: 'dns', value: 'istiod.istio-system.svc' },
      ],
      [{ kind: 'dns', value: 'cart' }],
      [],
    ] as const)
      await assert.rejects(ask({}, createCsr(key, names)), { status: 'INVALID_ARGUMENT', message: /it must ask for/ });
    const named = createCsr(key, [{ kind: 'uri', value: ME }], [{ type: '2.5.4.3', value: 'admin' }]);
    await assert.rejects(ask({}, named), { status: 'INVALID_ARGUMENT', message: /subject must be empty/ });
    await assert.rejects(ask({ validityDuration: 9e9 }), { status: 'INVALID_ARGUMENT', message: /longer than/ });
    assert.deepEqual(seen, []);
    assert.equal((await client.list(TYPE)).items.length, 0);
  });

  it('what the signer refuses, leaves or forges is no certificate', async () => {
    const cases: readonly (readonly [Manner, string, RegExp])[] = [
      ['fail', 'PERMISSION_DENIED', /refuses the request \(Failed\): not on a Sunday/],
      ['sleep', 'DEADLINE_EXCEEDED', /has not signed in 5 s/],
      ['forge name', 'INTERNAL', /it is for spiffe:\/\/cluster\.local\/ns\/kube-system\/sa\/admin/],
      ['forge key', 'INTERNAL', /it is for another key/],
      ['nonsense', 'INTERNAL', /cannot be used/],
    ];
    for (const [how, status, message] of cases) {
      manner = how;
      await assert.rejects(ask(), { status, message }, how);
    }
    manner = 'sign';
    roots['example.com/default'] = other.root;
    await assert.rejects(ask(), { status: 'INTERNAL', message: /does not lead to any of its roots/ });
    assert.equal(await left(), 0);
  });
});
