import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject, Watch } from '@istio-ts/kube';
import {
  createCsr,
  createIntermediate,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  parseCsr,
  parseSpiffe,
} from '@istio-ts/security';
import { askCertificate, askClusters } from './credentials.test-support.ts';
import { type RunningIstiod, serviceAccount, startIstiod, until } from './istiod.test-support.ts';

/** Signers of the cluster as CA of the mesh, set up by the chart's values, with no rights but the chart's. */

const TYPE = kubernetesTypes.CertificateSigningRequest;
const SIGNER = 'example.com/mesh';

describe('certificates from a signer of the cluster', () => {
  const root = createRootCertificate({ organization: 'outside', now: new Date() });
  const issuing = createIntermediate(root, { organization: 'outside', commonName: 'issuing', now: new Date() });
  let istiod: RunningIstiod;
  let watch: Watch;
  let own = '';

  const sign = async (object: KubeObject): Promise<void> => {
    const { request, signerName } = object.spec as { readonly request: string; readonly signerName: string };
    const status = (object.status ?? {}) as { conditions?: { type: string }[]; certificate?: string };
    if (signerName !== SIGNER || status.certificate || !status.conditions?.some(({ type }) => type === 'Approved'))
      return;
    const csr = Buffer.from(request, 'base64').toString();
    const identity = parseSpiffe(parseCsr(csr).altNames[0]?.value ?? '');
    const { chain } = loadAuthority(issuing).sign({ csr, identity, ttl: 3_600_000, now: new Date() });
    await istiod.client.update(
      TYPE,
      { ...object, status: { ...status, certificate: Buffer.from(chain).toString('base64') } },
      { subresource: 'status' },
    );
  };

  before(async () => {
    istiod = await startIstiod({
      values: {
        global: { certSigners: [SIGNER] },
        meshConfig: { caCertificates: [{ pem: root.root, certSigners: [SIGNER] }] },
      },
      objects: [serviceAccount('shop', 'cart')],
      env: { EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API' },
    });
    watch = istiod.client.watch(TYPE, {}, (event) => {
      if (event.type === 'ADDED' || event.type === 'MODIFIED') sign(event.object).catch(() => undefined);
    });
    const { data } = (await istiod.client.get(kubernetesTypes.Secret, 'istio-ca-secret', 'istio-system')) as {
      readonly data?: Readonly<Record<string, string>>;
    };
    own = Buffer.from(data?.['ca-cert.pem'] ?? '', 'base64').toString();
  });
  after(async () => {
    watch?.close();
    await istiod?.close();
  });

  it('is given to a workload, which the control plane and other workloads know by it', async () => {
    const token = await istiod.token('shop', 'cart', ['istio-ca']);
    const key = generatePrivateKey();
    const csr = createCsr(key, [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
    const chain = await askCertificate(istiod, own, { token }, { csr, metadata: { CertSigner: 'mesh' } });
    const certificates = chain.map((pem) => new X509Certificate(pem));
    assert.equal(certificates[0]?.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
    assert.ok(certificates[1] && certificates[0]?.verify(certificates[1].publicKey));
    assert.ok(certificates[1]?.verify(new X509Certificate(root.certificate).publicKey));
    assert.ok(chain.at(-1)?.includes(root.root.trim()));
    const proof = { key: exportPrivateKey(key), cert: chain.slice(0, -1).join('') };
    const clusters = await askClusters(istiod, own, proof, { namespace: 'shop', serviceAccount: 'cart' });
    assert.ok(clusters > 0);
    // With it the next one is asked for.
    const renewed = await askCertificate(istiod, own, proof, { csr, metadata: { CertSigner: 'mesh' } });
    assert.equal(renewed.length, 3);
    await until('the requests to be removed', async () => (await istiod.client.list(TYPE)).items.length === 0);
    assert.doesNotMatch(istiod.output(), /forbidden|\terror\t/);
  });

  it('is refused by name where the proxy names no signer, or the API server lets istiod not ask', async () => {
    const token = await istiod.token('shop', 'cart', ['istio-ca']);
    const csr = createCsr(generatePrivateKey(), [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
    await assert.rejects(askCertificate(istiod, own, { token }, { csr }), {
      status: 'INVALID_ARGUMENT',
      message: /ISTIO_META_CERT_SIGNER/,
    });
    await assert.rejects(askCertificate(istiod, own, { token }, { csr, metadata: { CertSigner: 'other' } }), {
      status: 'PERMISSION_DENIED',
      message: /example\.com\/other/,
    });
    await until('nothing to stay behind', async () => (await istiod.client.list(TYPE)).items.length === 0);
  });
});
