import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { type AuthorityMaterial, createRootCertificate } from '@istio-ts/security';
import { type MaterialFiles, materialFiles, readMaterial } from './material.ts';
import type { RotationRule, StoredRoot } from './root-rotation.ts';

/** Where a self-signed CA keeps its key, so that every replica and every restart signs with the same root (Istio: Plug in CA Certificates, "self-signed"). */
export const selfSignedSecretName = 'istio-ca-secret';
/** A CA that the operator of the mesh brought. */
export const pluggedInSecretName = 'cacerts';
/** Key of a Secret `cacerts` that istiod has made itself (USE_CACERTS_FOR_SELF_SIGNED_CA). */
const generatedKey = 'istio-generated';
/** The successor of a self-signed root, while it is trusted and does not sign yet. */
const nextCertificateKey = 'next-ca-cert.pem';
const nextKeyKey = 'next-ca-key.pem';

const dataOf = (secret: KubeObject): Readonly<Record<string, string>> =>
  (secret.data as Readonly<Record<string, string>> | undefined) ?? {};

function decoded(secret: KubeObject, key: string): string | undefined {
  const value = dataOf(secret)[key];
  return value === undefined ? undefined : Buffer.from(value, 'base64').toString('utf8');
}

const placeOf = ({ metadata }: KubeObject): string => `secret ${metadata.namespace}/${metadata.name}`;

/** The parts of a CA that a Secret holds. */
export const filesOfSecret = (secret: KubeObject): MaterialFiles =>
  Object.fromEntries(
    materialFiles.flatMap((name) => {
      const text = decoded(secret, name);
      return text === undefined ? [] : [[name, text]];
    }),
  );

/** Reads CA material out of a Secret. Raises MaterialError when a part is missing. */
export const materialFromSecret = (secret: KubeObject): AuthorityMaterial =>
  readMaterial(filesOfSecret(secret), placeOf(secret));

export async function findSecret(client: KubeClient, name: string, namespace: string): Promise<KubeObject | undefined> {
  try {
    return await client.get(kubernetesTypes.Secret, name, namespace);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Whether a Secret `cacerts` is one that somebody brought, and none of istiod's own. */
export const isPluggedIn = (secret: KubeObject): boolean => dataOf(secret)[generatedKey] === undefined;

const encoded = (text: string) => Buffer.from(text).toString('base64');

/** A self-signed root in the shape of its Secret. */
export function secretOfRoot(stored: StoredRoot, metadata: KubeObject['metadata']): KubeObject {
  const { material, next } = stored;
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    type: 'istio.io/ca-root',
    data: {
      'ca-cert.pem': encoded(material.certificate),
      'ca-key.pem': encoded(material.key),
      'cert-chain.pem': encoded(material.chain),
      'key.pem': '',
      'root-cert.pem': encoded(material.root),
      ...(metadata.name === pluggedInSecretName && { [generatedKey]: '' }),
      ...(next && { [nextCertificateKey]: encoded(next.certificate), [nextKeyKey]: encoded(next.key) }),
    },
  };
}

/** Reads a self-signed root and its successor. Raises MaterialError when a part is missing. */
export function rootOfSecret(secret: KubeObject): StoredRoot {
  const certificate = decoded(secret, nextCertificateKey);
  const key = decoded(secret, nextKeyKey);
  return { material: materialFromSecret(secret), ...(certificate && key && { next: { certificate, key } }) };
}

/** The Secret of the self-signed root, made when it is missing. Two replicas that start at once agree: whoever comes second takes what the first stored. */
export async function selfSignedSecret(
  client: KubeClient,
  options: {
    readonly namespace: string;
    readonly name: string;
    readonly rule: Pick<RotationRule, 'organization' | 'rootTtlMs' | 'algorithm'>;
    readonly now: Date;
  },
): Promise<{ readonly secret: KubeObject; readonly isNew: boolean }> {
  const { namespace, name, rule, now } = options;
  const existing = await findSecret(client, name, namespace);
  if (existing) return { secret: existing, isNew: false };
  const material = createRootCertificate({
    organization: rule.organization,
    ttl: rule.rootTtlMs,
    algorithm: rule.algorithm,
    now,
  });
  try {
    const secret = await client.create(kubernetesTypes.Secret, secretOfRoot({ material }, { name, namespace }));
    return { secret, isNew: true };
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 409) throw error;
    return { secret: await client.get(kubernetesTypes.Secret, name, namespace), isNew: false };
  }
}
