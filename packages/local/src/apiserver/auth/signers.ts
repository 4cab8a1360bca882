import { storageKey } from '../definitions.ts';
import { asObject, asString, equal } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { Target } from '../operations/context.ts';
import { forbidden } from '../status.ts';
import type { Authorizer } from './rbac.ts';
import { isMaster, type User } from './user.ts';

const GROUP = 'certificates.k8s.io';

/**
 * Who approves a CertificateSigningRequest, or signs one, needs the right for its signer beside the one for the object: the verb `approve` or `sign` on
 * `signers`; who writes a ClusterTrustBundle of a signer the verb `attest`: by the signer's name or for its whole domain (Kubernetes documentation, "Certificates and Certificate Signing Requests", Authorization).
 */
export class SignerGuard {
  readonly #authorizer: Authorizer;

  constructor(authorizer: Authorizer) {
    this.#authorizer = authorizer;
  }

  /** Throws 403 when `user` may not write `object` in place of `current`. */
  check(user: User, target: Target, object: ApiObject, current: ApiObject | undefined): void {
    if (isMaster(user)) return;
    switch (storageKey(target.definition)) {
      case `${GROUP}/certificatesigningrequests`:
        this.#demand(
          verbOf(target, object, current),
          asString(asObject(current?.spec).signerName),
          user,
          target,
          object,
        );
        break;
      case `${GROUP}/clustertrustbundles`: {
        const signer = asString(asObject(object.spec).signerName);
        this.#demand(signer === '' ? undefined : 'attest', signer, user, target, object);
        break;
      }
      default:
    }
  }

  #demand(
    verb: 'approve' | 'sign' | 'attest' | undefined,
    signer: string,
    user: User,
    target: Target,
    object: ApiObject,
  ): void {
    if (verb === undefined) return;
    const names = [signer, `${signer.split('/')[0]}/*`];
    const isAllowed = names.some(
      (name) =>
        this.#authorizer.check(user, { verb, group: GROUP, resource: 'signers', namespace: '', name, path: '' })
          .allowed,
    );
    if (!isAllowed)
      throw forbidden(
        target.definition,
        object.metadata.name,
        verb === 'attest'
          ? `user not permitted to attest for signerName ${JSON.stringify(signer)}`
          : `user not permitted to ${verb} requests with signerName ${JSON.stringify(signer)}`,
      );
  }
}

function verbOf(
  { subresource }: Target,
  object: ApiObject,
  current: ApiObject | undefined,
): 'approve' | 'sign' | undefined {
  const after = asObject(object.status);
  const before = asObject(current?.status);
  if (subresource === 'approval') return equal(after.conditions ?? [], before.conditions ?? []) ? undefined : 'approve';
  if (subresource === 'status') return equal(after, before) ? undefined : 'sign';
  return undefined;
}
