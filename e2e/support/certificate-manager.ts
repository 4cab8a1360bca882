// What Istio's task "Custom CA Integration using Kubernetes CSR" uses of cert-manager, with openssl as CA: certificates of CAs in Secrets, and a signer of the
// cluster for each ClusterIssuer.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { createKubeClient, type KubeObject, loadKubeConfig, type ResourceType } from '@istio-ts/kube';
import { run } from './shell.ts';

const type = (kind: string, resource: string, namespaced: boolean): ResourceType => ({
  group: 'cert-manager.io',
  version: 'v1',
  kind,
  resource,
  namespaced,
});
const ISSUERS = type('ClusterIssuer', 'clusterissuers', false);
const CERTIFICATES = type('Certificate', 'certificates', true);
const REQUESTS = kubernetesTypes.CertificateSigningRequest;
const DOMAIN = 'clusterissuers.cert-manager.io/';

/** CustomResourceDefinitions of the two kinds. */
export const certificateManagerKinds = [ISSUERS, CERTIFICATES]
  .map(
    ({ group, kind, resource, namespaced }) => `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: ${resource}.${group}
spec:
  group: ${group}
  scope: ${namespaced ? 'Namespaced' : 'Cluster'}
  names: { kind: ${kind}, plural: ${resource}, singular: ${kind.toLowerCase()} }
  versions:
  - name: v1
    served: true
    storage: true
    schema: { openAPIV3Schema: { type: object, x-kubernetes-preserve-unknown-fields: true } }
`,
  )
  .join('---\n');

/** Runs the controllers in this process; the kinds have to be there, and the namespace `cert-manager`. */
export function startCertificateManager(kubeconfig: string): {
  readonly signed: () => readonly string[];
  close(): void;
} {
  const client = createKubeClient(loadKubeConfig({ env: {}, kubeconfig }));
  const folder = mkdtempSync(join(tmpdir(), 'certificate-manager-'));
  const signed: string[] = [];
  let closed = false;
  let number = 0;
  const file = (text: string): string => {
    const path = join(folder, `${++number}.pem`);
    writeFileSync(path, text);
    return path;
  };
  const openssl = async (...args: readonly string[]): Promise<void> => {
    const { exitCode, stderr } = await run('openssl', args);
    if (exitCode !== 0) throw new Error(stderr);
  };

  /** A certificate that signs itself, in the Secret that it names. */
  const issue = async ({ metadata, spec }: KubeObject): Promise<void> => {
    const { secretName, commonName } = spec as { readonly secretName: string; readonly commonName: string };
    const [key, certificate] = [file(''), file('')];
    await openssl(
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '90'],
      ...['-subj', `/CN=${commonName}`, '-keyout', key, '-out', certificate],
    );
    const data = (path: string) => readFileSync(path).toString('base64');
    await client.create(kubernetesTypes.Secret, {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: {
        name: secretName,
        namespace: metadata.namespace ?? 'cert-manager',
        labels: { 'controller.cert-manager.io/fao': 'true' },
      },
      data: { 'tls.crt': data(certificate), 'tls.key': data(key), 'ca.crt': data(certificate) },
    });
  };

  const sign = async (object: KubeObject): Promise<void> => {
    const { request, signerName } = object.spec as { readonly request: string; readonly signerName: string };
    const status = (object.status ?? {}) as { conditions?: { type: string }[]; certificate?: string };
    if (!signerName.startsWith(DOMAIN) || status.certificate) return;
    if (!status.conditions?.some((one) => one.type === 'Approved')) return;
    const issuer = await client.get(ISSUERS, signerName.slice(DOMAIN.length));
    const { ca } = issuer.spec as { readonly ca: { readonly secretName: string } };
    const { data = {} } = (await client.get(kubernetesTypes.Secret, ca.secretName, 'cert-manager')) as KubeObject & {
      data?: Readonly<Record<string, string>>;
    };
    const decoded = (key: string) => file(Buffer.from(data[key] ?? '', 'base64').toString());
    const out = file('');
    await openssl(
      ...[
        'x509',
        '-req',
        '-days',
        '1',
        '-copy_extensions',
        'copyall',
        '-in',
        file(Buffer.from(request, 'base64').toString()),
      ],
      ...['-CA', decoded('tls.crt'), '-CAkey', decoded('tls.key'), '-out', out],
    );
    await client.update(
      REQUESTS,
      { ...object, status: { ...status, certificate: readFileSync(out).toString('base64') } },
      { subresource: 'status' },
    );
    signed.push(signerName);
  };

  // What fails because an object is not there yet, or was written meanwhile, is tried again.
  const attempt = (work: () => Promise<void>, left = 50): void => {
    work().catch((error: Error) => {
      if (!closed && left > 0 && !/already exists/.test(error.message)) setTimeout(() => attempt(work, left - 1), 200);
    });
  };
  const watches = [
    client.watch(CERTIFICATES, {}, (event) => {
      if (event.type === 'ADDED') attempt(() => issue(event.object));
    }),
    client.watch(REQUESTS, {}, (event) => {
      if (event.type === 'ADDED' || event.type === 'MODIFIED') attempt(() => sign(event.object), 3);
    }),
  ];
  return {
    signed: () => signed,
    close: () => {
      closed = true;
      for (const watch of watches) watch.close();
      client.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
