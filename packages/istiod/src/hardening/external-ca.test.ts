import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { after, before, describe, it } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject, Watch } from '@istio-ts/kube';
import {
  type AuthorityMaterial,
  certificatePem,
  createCsr,
  createIntermediate,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  importPrivateKey,
  istiodDnsNames,
  parseCertificates,
  parseCsr,
} from '@istio-ts/security';
import { buildCertificate } from '@istio-ts/security/certificate';
import { askCertificate, askClusters } from './credentials.test-support.ts';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type RunningIstiod, serviceAccount, startIstiod } from './istiod.test-support.ts';

/** Signers of the cluster as CA of the mesh, set up by the chart's values, with no rights but the chart's. */

const TYPE = kubernetesTypes.CertificateSigningRequest;
const SIGNER = 'example.com/mesh';

/** What a signer like that of cert-manager gives: the names of the request. */
function leafOf(issuing: AuthorityMaterial, csr: string): string {
  const { altNames, publicKeyInfo } = parseCsr(csr);
  const [issuer] = parseCertificates(issuing.certificate);
  assert.ok(issuer);
  const der = buildCertificate({
    kind: 'leaf',
    issuerName: issuer.subjectName,
    issuerKey: importPrivateKey(issuing.key),
    issuerKeyId: issuer.subjectKeyId ?? Buffer.alloc(20),
    subject: [],
    publicKeyInfo,
    altNames,
    altNamesCritical: true,
    notBefore: new Date(Date.now() - 60_000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
  return certificatePem(der) + issuing.chain;
}

describe('certificates from a signer of the cluster', () => {
  const root = createRootCertificate({ organization: 'outside', now: new Date() });
  const issuing = createIntermediate(root, { organization: 'outside', commonName: 'issuing', now: new Date() });
  let istiod: RunningIstiod;
  let watch: Watch;
  let roots = '';

  const sign = async (client: KubeClient, object: KubeObject): Promise<void> => {
    const { request, signerName } = object.spec as { readonly request: string; readonly signerName: string };
    const status = (object.status ?? {}) as { conditions?: { type: string }[]; certificate?: string };
    if (signerName !== SIGNER || status.certificate || !status.conditions?.some(({ type }) => type === 'Approved'))
      return;
    const csr = Buffer.from(request, 'base64').toString();
    const chain = leafOf(issuing, csr);
    await client.update(
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
      env: { EXTERNAL_CA: 'ISTIOD_RA_KUBERNETES_API', PILOT_CERT_PROVIDER: `k8s.io/${SIGNER}` },
      before: (client) => {
        watch = client.watch(TYPE, {}, (event) => {
          if (event.type === 'ADDED' || event.type === 'MODIFIED') sign(client, event.object).catch(() => undefined);
        });
      },
    });
    // What proxies get in their namespaces to know istiod by.
    await eventually('the root certificates of a namespace', async () => {
      const map = await istiod.client
        .get(kubernetesTypes.ConfigMap, 'istio-ca-root-cert', 'shop')
        .catch(() => undefined);
      roots = (map?.data as Record<string, string> | undefined)?.['root-cert.pem'] ?? '';
      return roots !== '';
    });
  });
  after(async () => {
    watch?.close();
    await istiod?.close();
  });

  it('is istiod’s own, with all its names, and leads to what namespaces are told to trust', async () => {
    const socket = connect({
      host: '127.0.0.1',
      port: istiod.ports.secureGrpc,
      servername: 'istiod.istio-system.svc',
      ca: root.root,
      ALPNProtocols: ['h2'],
    });
    await once(socket, 'secureConnect');
    assert.equal(socket.authorized, true);
    assert.equal(socket.getProtocol(), 'TLSv1.3');
    const { subjectAltName = '' } = socket.getPeerX509Certificate() ?? {};
    for (const name of istiodDnsNames('istio-system')) assert.ok(subjectAltName?.includes(`DNS:${name}`), name);
    socket.destroy();
    assert.ok(roots.includes(root.root.trim()));
  });

  it('is given to a workload, which the control plane and other workloads know by it', async () => {
    const token = await istiod.token('shop', 'cart', ['istio-ca']);
    const key = generatePrivateKey();
    const csr = createCsr(key, [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
    const chain = await askCertificate(istiod, roots, { token }, { csr, metadata: { CertSigner: 'mesh' } });
    const certificates = chain.map((pem) => new X509Certificate(pem));
    assert.equal(certificates[0]?.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
    assert.ok(certificates[1] && certificates[0]?.verify(certificates[1].publicKey));
    assert.ok(certificates[1]?.verify(new X509Certificate(root.certificate).publicKey));
    assert.ok(chain.at(-1)?.includes(root.root.trim()));
    const proof = { key: exportPrivateKey(key), cert: chain.slice(0, -1).join('') };
    const clusters = await askClusters(istiod, roots, proof, { namespace: 'shop', serviceAccount: 'cart' });
    assert.ok(clusters > 0);
    // With it the next one is asked for.
    const renewed = await askCertificate(istiod, roots, proof, { csr, metadata: { CertSigner: 'mesh' } });
    assert.equal(renewed.length, 3);
    await eventually('the requests to be removed', async () => (await istiod.client.list(TYPE)).items.length === 0);
    assert.doesNotMatch(istiod.output(), /forbidden|\terror\t/);
  });

  it('is refused by name where the proxy names no signer, or the API server lets istiod not ask', async () => {
    const token = await istiod.token('shop', 'cart', ['istio-ca']);
    const csr = createCsr(generatePrivateKey(), [{ kind: 'uri', value: 'spiffe://cluster.local/ns/shop/sa/cart' }]);
    await assert.rejects(askCertificate(istiod, roots, { token }, { csr }), {
      status: 'INVALID_ARGUMENT',
      message: /ISTIO_META_CERT_SIGNER/,
    });
    await assert.rejects(askCertificate(istiod, roots, { token }, { csr, metadata: { CertSigner: 'other' } }), {
      status: 'PERMISSION_DENIED',
      message: /example\.com\/other/,
    });
    await eventually('nothing to stay behind', async () => (await istiod.client.list(TYPE)).items.length === 0);
  });
});
