import { createPrivateKey, X509Certificate } from 'node:crypto';
import { fields, textMap } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import type { ConfigObject, IstioObject } from '../config-object.ts';
import type { AnalysisContext } from '../context.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { workloadInputs } from '../workloads.ts';

/** Secrets that Gateways name: whether they exist where the gateway's pods look for them, and hold what is needed. */
export const gatewaySecret: Analyzer = {
  name: 'gateway.SecretAnalyzer',
  description: 'Checks the secrets that Gateways name as their credentials',
  inputs: ['Gateway', 'Secret', ...workloadInputs],
  run: (context) => {
    for (const entry of context.istio('Gateway')) {
      const pods = gatewayPods(context, entry.spec);
      const namespaces = [...new Set(pods.map(({ namespace }) => namespace))].sort();
      for (const namespace of namespaces.length === 0 ? [entry.namespace] : namespaces) {
        for (const wanted of credentialsOf(entry)) checkCredential(context, entry, namespace, wanted);
      }
    }
  },
};

interface Wanted {
  readonly name: string;
  readonly path: string;
  readonly holds: 'key pair' | 'authorities';
  /** Whether clients are verified, so that the secret, or the one with the ending -cacert, needs authorities. */
  readonly clients: boolean;
}

function credentialsOf(entry: IstioObject<'Gateway'>): readonly Wanted[] {
  return (entry.spec.servers ?? []).flatMap(({ tls }, index): Wanted[] => {
    if (!tls) return [];
    const path = `spec.servers[${index}].tls`;
    const clients = (tls.mode === 'MUTUAL' || tls.mode === 'OPTIONAL_MUTUAL') && !tls.caCertCredentialName;
    const names = [
      ...(tls.credentialName ? [{ name: tls.credentialName, path: `${path}.credentialName` }] : []),
      ...(tls.credentialNames ?? []).map((name, at) => ({ name, path: `${path}.credentialNames[${at}]` })),
    ];
    const pairs = names.map((named): Wanted => ({ ...named, holds: 'key pair', clients }));
    const roots: Wanted[] = tls.caCertCredentialName
      ? [{ name: tls.caCertCredentialName, path: `${path}.caCertCredentialName`, holds: 'authorities', clients: false }]
      : [];
    // Names with a scheme (sds://, kubernetes-gateway://, builtin://) are not secrets of this namespace.
    return [...pairs, ...roots].filter(({ name }) => !name.includes('://'));
  });
}

function checkCredential(
  context: AnalysisContext,
  entry: IstioObject<'Gateway'>,
  namespace: string,
  wanted: Wanted,
): void {
  const { secretNamespaces } = context.snapshot;
  if (secretNamespaces && !secretNamespaces.includes(namespace)) return;
  const missing = (refval: string): void =>
    context.report(entry, 'ReferencedResourceNotFound', { reftype: 'credentialName', refval }, wanted.path);
  const secret = context.find('Secret', namespace, wanted.name);
  if (!secret) {
    missing(`${namespace}/${wanted.name}`);
    return;
  }
  const data = secretData(secret);
  const authorities = data['ca.crt'] ?? data.cacert;
  const usable =
    wanted.holds === 'authorities'
      ? isCertificate(authorities)
      : isKeyPair(data['tls.crt'] ?? data.cert, data['tls.key'] ?? data.key, context.snapshot.now);
  if (!usable) {
    const args = { gatewayName: entry.name, gatewayNamespace: entry.namespace };
    context.report(entry, 'InvalidGatewayCredential', args, wanted.path);
  } else if (wanted.clients && authorities === undefined) {
    const other = `${wanted.name}-cacert`;
    if (!context.find('Secret', namespace, other)) missing(`${namespace}/${other}`);
  }
}

/** What a secret holds, decoded: `data` is base64, `stringData` (of files) is not. */
function secretData(secret: ConfigObject): Readonly<Record<string, string>> {
  const data = Object.entries(textMap(fields(secret.object.data)));
  return {
    ...Object.fromEntries(data.map(([key, value]) => [key, Buffer.from(value, 'base64').toString()])),
    ...textMap(fields(secret.object.stringData)),
  };
}

function isCertificate(pem: string | undefined): boolean {
  try {
    return pem !== undefined && new X509Certificate(pem).raw.length > 0;
  } catch {
    // Not PEM of a certificate, whatever is wrong with it.
    return false;
  }
}

function isKeyPair(certificate: string | undefined, key: string | undefined, now: number | undefined): boolean {
  if (!certificate || !key) return false;
  try {
    const parsed = new X509Certificate(certificate);
    if (now !== undefined && (now < Date.parse(parsed.validFrom) || now > Date.parse(parsed.validTo))) return false;
    return parsed.checkPrivateKey(createPrivateKey(key));
  } catch {
    // One of the two cannot be parsed.
    return false;
  }
}
