import { X509Certificate } from 'node:crypto';
import { asObject, asString } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { type FieldError, fieldError } from '../status.ts';
import { subdomainProblem } from './types.ts';

const SIGNER = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?\/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/;
const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]*?)-----END \1-----/g;
const LARGEST = 1_048_576;

/** What a name must begin with: bundles of a signer stand under the signer's name. */
const prefixOf = (signer: string): string => `${signer.replaceAll('/', ':')}:`;

/** The name alone; what the signer has to do with it is checked with the rest of the object. */
export function trustBundleNameProblem(name: string): string | undefined {
  const own = name.slice(name.lastIndexOf(':') + 1);
  return subdomainProblem(own);
}

/** Checks a ClusterTrustBundle (Kubernetes documentation, "Certificates and Certificate Signing Requests", Cluster trust bundles). */
export function trustBundleErrors(object: ApiObject, old: ApiObject | undefined): FieldError[] {
  const spec = asObject(object.spec);
  const signer = asString(spec.signerName);
  const name = object.metadata.name;
  const errors: FieldError[] = [];
  if (signer === '' && name.includes(':'))
    errors.push(
      fieldError.invalid('metadata.name', name, 'ClusterTrustBundle without signer name must not have ":" in its name'),
    );
  if (signer !== '' && !SIGNER.test(signer))
    errors.push(fieldError.invalid('spec.signerName', signer, 'must be DOMAIN/PATH of a signer'));
  else if (signer !== '' && !name.startsWith(prefixOf(signer)))
    errors.push(
      fieldError.invalid(
        'metadata.name',
        name,
        `ClusterTrustBundle for signerName ${signer} must be named with prefix ${prefixOf(signer)}`,
      ),
    );
  if (old !== undefined && signer !== asString(asObject(old.spec).signerName))
    errors.push(fieldError.invalid('spec.signerName', signer, 'field is immutable'));
  errors.push(...anchorErrors(asString(spec.trustBundle)));
  return errors;
}

function anchorErrors(pem: string): FieldError[] {
  const field = 'spec.trustBundle';
  // The text itself would fill the message.
  const refuse = (reason: string): FieldError[] => [fieldError.invalid(field, '<value omitted>', reason)];
  if (pem.length > LARGEST) return [fieldError.tooLong(field, LARGEST)];
  const seen = new Set<string>();
  for (const [, label = '', body = ''] of pem.matchAll(BLOCK)) {
    if (label !== 'CERTIFICATE') return refuse(`entry ${seen.size} has bad block type: ${label}`);
    if (body.includes(':')) return refuse(`entry ${seen.size} has PEM headers`);
    try {
      const { fingerprint256 } = new X509Certificate(Buffer.from(body, 'base64'));
      if (seen.has(fingerprint256)) return refuse(`entry ${seen.size} is a duplicate`);
      seen.add(fingerprint256);
    } catch {
      return refuse(`entry ${seen.size} does not parse as X.509`);
    }
  }
  return seen.size === 0 ? refuse('at least one trust anchor must be provided') : [];
}
