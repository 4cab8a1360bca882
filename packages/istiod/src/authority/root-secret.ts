import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { type AuthorityMaterial, createRootCertificate } from '@istio-ts/security';

/** Where a self-signed CA keeps its key, so that every replica and every restart signs with the same root (Istio: Plug in CA Certificates, "self-signed"). */
export const selfSignedSecretName = 'istio-ca-secret';
/** A CA that the operator of the mesh brought. */
export const pluggedInSecretName = 'cacerts';

/** The secret exists but cannot be used; the message names the missing key. */
export class RootSecretError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RootSecretError';
  }
}

function decoded(secret: KubeObject, key: string): string | undefined {
  const data = secret.data as Readonly<Record<string, string>> | undefined;
  const value = data?.[key];
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

/** Reads CA material out of a secret. Raises {@link RootSecretError} when a part is missing. */
export function materialFromSecret(secret: KubeObject): AuthorityMaterial {
  const where = `secret ${secret.metadata.namespace}/${secret.metadata.name}`;
  const certificate = decoded(secret, 'ca-cert.pem') ?? decoded(secret, 'tls.crt');
  const key = decoded(secret, 'ca-key.pem') ?? decoded(secret, 'tls.key');
  if (!certificate) throw new RootSecretError(`${where} has no ca-cert.pem: it must hold the CA's certificate`);
  if (!key) throw new RootSecretError(`${where} has no ca-key.pem: it must hold the CA's private key`);
  return {
    certificate,
    key,
    chain: decoded(secret, 'cert-chain.pem') ?? '',
    root: decoded(secret, 'root-cert.pem') ?? decoded(secret, 'ca.crt') ?? certificate,
  };
}

async function find(client: KubeClient, name: string, namespace: string): Promise<KubeObject | undefined> {
  try {
    return await client.get(kubernetesTypes.Secret, name, namespace);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

const encoded = (text: string) => Buffer.from(text).toString('base64');

/**
 * The CA's key and certificates: the operator's `cacerts` where it exists, else the self-signed `istio-ca-secret`, which is made when it is missing.
 * Two replicas that start at once agree: whoever comes second takes what the first one stored.
 */
export async function loadOrCreateRoot(
  client: KubeClient,
  options: { readonly namespace: string; readonly trustDomain: string; readonly now: Date },
): Promise<{ readonly material: AuthorityMaterial; readonly source: 'plugged in' | 'self-signed' | 'new' }> {
  const pluggedIn = await find(client, pluggedInSecretName, options.namespace);
  if (pluggedIn) return { material: materialFromSecret(pluggedIn), source: 'plugged in' };
  const existing = await find(client, selfSignedSecretName, options.namespace);
  if (existing) return { material: materialFromSecret(existing), source: 'self-signed' };
  const material = createRootCertificate({ organization: options.trustDomain, now: options.now });
  const secret: KubeObject = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: selfSignedSecretName, namespace: options.namespace },
    type: 'istio.io/ca-root',
    data: {
      'ca-cert.pem': encoded(material.certificate),
      'ca-key.pem': encoded(material.key),
      'cert-chain.pem': '',
      'key.pem': '',
      'root-cert.pem': encoded(material.root),
    },
  };
  try {
    await client.create(kubernetesTypes.Secret, secret);
    return { material, source: 'new' };
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 409) throw error;
    return {
      material: materialFromSecret(await client.get(kubernetesTypes.Secret, selfSignedSecretName, options.namespace)),
      source: 'self-signed',
    };
  }
}
