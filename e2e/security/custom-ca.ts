import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { certificateManagerKinds, startCertificateManager } from '../support/certificate-manager.ts';
import type { Cluster } from '../support/cluster.ts';
import { run, until } from '../support/shell.ts';

const samples = join(import.meta.dirname, '..', '..', 'samples');

const issuer = (name: string, secret: string) => `apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: selfsigned-${secret}-issuer
spec:
  selfSigned: {}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: ${secret}-ca
  namespace: cert-manager
spec:
  isCA: true
  commonName: ${name}
  secretName: ${secret}-ca-selfsigned
  issuerRef:
    name: selfsigned-${secret}-issuer
    kind: ClusterIssuer
    group: cert-manager.io
---
apiVersion: cert-manager.io/v1
kind: ClusterIssuer
metadata:
  name: ${name}
spec:
  ca:
    secretName: ${secret}-ca-selfsigned
`;

/** The file of the task's step "Deploy Istio with default cert-signer info"; the variables are PEM, indented. */
const operator = (istioCa: string, fooCa: string, barCa: string) => `apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
spec:
  values:
    pilot:
      env:
        EXTERNAL_CA: ISTIOD_RA_KUBERNETES_API
  meshConfig:
    accessLogFile: /dev/stdout
    defaultConfig:
      proxyMetadata:
        ISTIO_META_CERT_SIGNER: istio-system
    caCertificates:
    - pem: |
${istioCa}
      certSigners:
      - clusterissuers.cert-manager.io/istio-system
    - pem: |
${fooCa}
      certSigners:
      - clusterissuers.cert-manager.io/foo
    - pem: |
${barCa}
      certSigners:
      - clusterissuers.cert-manager.io/bar
  components:
    pilot:
      k8s:
        env:
        - name: CERT_SIGNER_DOMAIN
          value: clusterissuers.cert-manager.io
        - name: PILOT_CERT_PROVIDER
          value: k8s.io/clusterissuers.cert-manager.io/istio-system
        overlays:
          - kind: ClusterRole
            name: istiod-clusterrole-istio-system
            patches:
              - path: rules[-1]
                value: |
                  apiGroups:
                  - certificates.k8s.io
                  resourceNames:
                  - clusterissuers.cert-manager.io/foo
                  - clusterissuers.cert-manager.io/bar
                  - clusterissuers.cert-manager.io/istio-system
                  resources:
                  - signers
                  verbs:
                  - approve
`;

const proxyConfig = (namespace: string) => `apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata:
  name: ${namespace}pc
  namespace: ${namespace}
spec:
  environmentVariables:
    ISTIO_META_CERT_SIGNER: ${namespace}
`;

/** The task "Custom CA Integration using Kubernetes CSR". In the place of cert-manager, which needs containers, stands a program of the tests. */
export function customAuthority(cluster: () => Cluster): void {
  let manager: ReturnType<typeof startCertificateManager> | undefined;
  after(() => manager?.close());
  const curl = async (url: string): Promise<string> => {
    const { stdout, stderr } = await run(
      'bash',
      [
        '-c',
        `SLEEP_POD_FOO=$(kubectl get pod -n foo -l app=sleep -o jsonpath={.items..metadata.name}); kubectl exec "$SLEEP_POD_FOO" -n foo -c sleep -- curl -s ${url}`,
      ],
      { env: cluster().env },
    );
    return stdout + stderr;
  };

  test('custom CA: the signers are there', async () => {
    await cluster().apply(certificateManagerKinds);
    await cluster().kubectl('wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s');
    await cluster().kubectl('create', 'namespace', 'cert-manager');
    manager = startCertificateManager(String(cluster().env.KUBECONFIG));
    await cluster().apply(
      [issuer('bar', 'bar'), issuer('foo', 'foo'), issuer('istio-system', 'istio')].join('---\n'),
      'cert-manager',
    );
    await until('a Secret for each issuer', async () => {
      const found = await cluster().kubectl(
        ...['get', 'secret', '-n', 'cert-manager', '-l', 'controller.cert-manager.io/fao=true', '-o', 'name'],
      );
      return found.trim().split('\n').length === 3 || undefined;
    });
  });

  test('custom CA: Istio is installed with them', async () => {
    const root = async (name: string): Promise<string> => {
      const { stdout, exitCode, stderr } = await run(
        'bash',
        [
          '-c',
          `kubectl get clusterissuers ${name} -o jsonpath='{.spec.ca.secretName}' | xargs kubectl get secret -n cert-manager -o jsonpath='{.data.ca\\.crt}' | base64 -d | sed 's/^/        /'`,
        ],
        { env: cluster().env },
      );
      assert.equal(exitCode, 0, stderr);
      return stdout.trimEnd();
    };
    const folder = join(cluster().home, 'custom-ca');
    mkdirSync(folder);
    const file = join(folder, 'istio.yaml');
    writeFileSync(file, operator(await root('istio-system'), await root('foo'), await root('bar')));
    await cluster().istioctl(
      ...['install', '--set', 'values.pilot.env.PILOT_ENABLE_CONFIG_DISTRIBUTION_TRACKING=true'],
      // Not of the task: roots of the mesh in a ClusterTrustBundle, too.
      ...['--set', 'values.pilot.env.ENABLE_CLUSTER_TRUST_BUNDLE_API=true', '--skip-confirmation', '-f', file],
    );
    for (const namespace of ['bar', 'foo']) {
      await cluster().kubectl('create', 'ns', namespace);
      await cluster().apply(proxyConfig(namespace), namespace);
      await cluster().kubectl('label', 'ns', namespace, 'istio-injection=enabled');
    }
    const sample = (namespace: string, ...path: readonly string[]) =>
      cluster().kubectl('apply', '-n', namespace, '-f', join(samples, ...path));
    await sample('foo', 'httpbin', 'httpbin.yaml');
    await sample('foo', 'sleep', 'sleep.yaml');
    await sample('bar', 'httpbin', 'httpbin.yaml');
    for (const namespace of ['foo', 'bar']) await cluster().podsReady(namespace);
  });

  test('custom CA: workloads of one signer reach each other, those of two do not', async () => {
    proves('MeshConfig.caCertificates[].certSigners[]', 'MeshConfig.caCertificates[].pem');
    await until('an answer in the namespace', async () => {
      const answer = await curl('http://httpbin.foo:8000/html');
      return /<h1>/i.test(answer) || undefined;
    });
    await until('a refusal from the other', async () => {
      const answer = await curl('http://httpbin.bar:8000/html');
      assert.match(answer, /upstream connect error .* connection failure/);
      return true;
    });
    // Envoy tells the reason to its log only, not to the client.
    await until('the reason in the log', async () => {
      const log = await cluster().kubectl('logs', '-n', 'foo', '-l', 'app=sleep', '-c', 'istio-proxy', '--tail=-1');
      assert.match(log, /httpbin\.bar.*CERTIFICATE_VERIFY_FAILED|CERTIFICATE_VERIFY_FAILED.*httpbin\.bar/);
      return true;
    });
    const signers = new Set(manager?.signed());
    for (const name of ['foo', 'bar', 'istio-system']) assert.ok(signers.has(`clusterissuers.cert-manager.io/${name}`));
    const pod = await cluster().podOf('foo', 'httpbin');
    const secrets = JSON.parse(await cluster().istioctl('proxy-config', 'secret', `${pod}.foo`, '-o', 'json')) as {
      readonly dynamicActiveSecrets: readonly {
        readonly name: string;
        readonly secret: { readonly tlsCertificate?: { readonly certificateChain: { readonly inlineBytes: string } } };
      }[];
    };
    const shown = secrets.dynamicActiveSecrets.find(({ name }) => name === 'default')?.secret.tlsCertificate;
    const certificate = new X509Certificate(Buffer.from(shown?.certificateChain.inlineBytes ?? '', 'base64'));
    assert.equal(certificate.issuer, 'CN=foo');
    assert.equal(certificate.subjectAltName, 'URI:spiffe://cluster.local/ns/foo/sa/httpbin');
  });

  test('ClusterTrustBundle: istiod writes it, sidecars and other pods mount it', async (t) => {
    const kinds = await cluster().kubectl('api-resources', '--api-group=certificates.k8s.io', '-o', 'name');
    if (!kinds.includes('clustertrustbundles'))
      return t.skip('the API server of this cluster has no ClusterTrustBundles');
    const name = 'istio.io:istiod-ca:root-cert';
    const pem = await until('the bundle', async () => {
      const { stdout } = await cluster().tryKubectl(
        ...['get', 'clustertrustbundle', name, '-o', 'jsonpath={.spec.trustBundle}'],
      );
      return stdout.includes('BEGIN CERTIFICATE') ? stdout : undefined;
    });
    const roots = await cluster().kubectl(
      ...['get', 'configmap', '-n', 'foo', 'istio-ca-root-cert', '-o', 'jsonpath={.data.root-cert\\.pem}'],
    );
    const fingerprints = (text: string) =>
      (text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [])
        .map((one) => new X509Certificate(one).fingerprint256)
        .sort();
    assert.deepEqual(fingerprints(pem), [...new Set(fingerprints(roots))]);
    const volumes = await cluster().kubectl(
      ...['get', 'pod', '-n', 'foo', '-l', 'app=httpbin', '-o', 'jsonpath={.items[0].spec.volumes}'],
    );
    assert.match(volumes, /"clusterTrustBundle":\{"name":"istio\.io:istiod-ca:root-cert"/);
    const inPod = () =>
      cluster().tryKubectl('exec', '-n', 'default', 'reader', '-c', 'reader', '--', 'cat', '/trust/roots.pem');
    await cluster().apply(`apiVersion: v1
kind: Pod
metadata: { name: reader }
spec:
  containers:
  - name: reader
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, infinity]
    volumeMounts: [{ name: trust, mountPath: /trust }]
  volumes:
  - name: trust
    projected:
      sources:
      - clusterTrustBundle: { signerName: istio.io/istiod-ca, labelSelector: {}, path: roots.pem }
      - clusterTrustBundle: { name: nowhere, optional: true, path: none.pem }
`);
    await cluster().podsReady('default');
    assert.deepEqual(fingerprints((await inPod()).stdout), fingerprints(pem));
    // Further anchors reach pods that run.
    const folder = join(cluster().home, 'custom-ca');
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=more'],
      ...['-keyout', join(folder, 'more.key'), '-out', join(folder, 'more.pem')],
    ]);
    const { stdout: more } = await run('cat', [join(folder, 'more.pem')]);
    await cluster().apply(
      JSON.stringify({
        apiVersion: 'certificates.k8s.io/v1alpha1',
        kind: 'ClusterTrustBundle',
        metadata: { name: 'istio.io:istiod-ca:more' },
        spec: { signerName: 'istio.io/istiod-ca', trustBundle: more },
      }),
    );
    await until('the further anchor in the pod', async () => {
      const now = fingerprints((await inPod()).stdout);
      return now.length === fingerprints(pem).length + 1 && now.includes(fingerprints(more)[0] ?? '') ? now : undefined;
    });
  });
}
