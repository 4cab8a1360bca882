import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Secret } from '@istio-ts/envoy';
import type { Origin } from '@istio-ts/mesh/model';
import type { Problem, SecretFacts } from '@istio-ts/mesh';
import type { Generated } from '../generated.ts';
import { parseSecretResource } from './names.ts';

/** A Secret that cannot be used; the message says which key of it is wrong, and why. */
export class SecretError extends Error {
  readonly origin: Origin;
  readonly path: string;
  constructor(secret: SecretFacts, path: string, message: string) {
    super(`Secret ${secret.namespace}/${secret.name}: ${path} ${message}`);
    this.name = 'SecretError';
    this.origin = secretOrigin(secret);
    this.path = path;
  }
}

export const secretOrigin = (secret: SecretFacts): Origin => ({
  kind: 'Secret',
  namespace: secret.namespace,
  name: secret.name,
});

/**
 * The SDS resource of a name for a proxy of `namespace`, or undefined where there is no such Secret or the proxy may not have it: only Secrets of
 * its own namespace. `find` looks a Secret up. A name that ends in `-cacert` stands for roots: of the Secret of that very name, else those beside
 * the certificate (Istio documentation, "Secure Gateways"). Throws `SecretError` for a Secret that holds nothing usable.
 */
export function buildSecret(
  resource: string,
  namespace: string,
  find: (namespace: string, name: string) => SecretFacts | undefined,
): Generated<Secret> | undefined {
  const reference = parseSecretResource(resource);
  if (!reference || (reference.namespace !== undefined && reference.namespace !== namespace)) return undefined;
  if (!reference.roots) {
    const secret = find(namespace, reference.name);
    return (
      secret && { resource: { name: resource, tlsCertificate: certificate(secret) }, origins: [secretOrigin(secret)] }
    );
  }
  const secret = find(namespace, `${reference.name}-cacert`) ?? find(namespace, reference.name);
  if (!secret) return undefined;
  const roots = value(secret, ['cacert', 'ca.crt']);
  if (roots === undefined) return undefined;
  const crl = value(secret, ['crl', 'ca.crl']);
  certificates(secret, roots);
  return {
    resource: {
      name: resource,
      validationContext: { trustedCa: { inlineBytes: roots.base64 }, ...(crl && { crl: { inlineBytes: crl.base64 } }) },
    },
    origins: [secretOrigin(secret)],
  };
}

/** What to tell where there is no Secret for a resource: nothing where it stands for roots, which may be left out. */
export function missingSecret(resource: string, namespace: string): readonly Problem[] {
  const reference = parseSecretResource(resource);
  if (!reference || reference.roots) return [];
  const elsewhere = reference.namespace !== undefined && reference.namespace !== namespace;
  return [
    {
      origin: { kind: 'Secret', namespace: reference.namespace ?? namespace, name: reference.name },
      path: '',
      message: elsewhere
        ? `is not in ${namespace}, the namespace of the proxies that want it`
        : 'is missing: what wants it is not served',
      lastGoodStays: false,
    },
  ];
}

interface Value {
  readonly key: string;
  readonly base64: string;
}

function value(secret: SecretFacts, keys: readonly string[]): Value | undefined {
  for (const key of keys) {
    const base64 = secret.data[key];
    if (base64) return { key, base64 };
  }
  return undefined;
}

function certificate(secret: SecretFacts): NonNullable<Secret['tlsCertificate']> {
  const chain = value(secret, ['cert', 'tls.crt']);
  const key = value(secret, ['key', 'tls.key']);
  if (!chain) throw new SecretError(secret, 'data', 'has neither tls.crt nor cert');
  if (!key) throw new SecretError(secret, 'data', 'has neither tls.key nor key');
  const leaf = certificates(secret, chain);
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(Buffer.from(key.base64, 'base64')));
  } catch (error) {
    throw new SecretError(secret, `data["${key.key}"]`, `is no private key in PEM form: ${reason(error)}`);
  }
  if (!matches)
    throw new SecretError(secret, `data["${key.key}"]`, `does not belong to the certificate in ${chain.key}`);
  return { certificateChain: { inlineBytes: chain.base64 }, privateKey: { inlineBytes: key.base64 } };
}

/** Checks that a value starts with a certificate: Envoy would refuse anything else together with all that comes with it. */
function certificates(secret: SecretFacts, { key, base64 }: Value): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch (error) {
    throw new SecretError(secret, `data["${key}"]`, `is no certificate in PEM form: ${reason(error)}`);
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));
