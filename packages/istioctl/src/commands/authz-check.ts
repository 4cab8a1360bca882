import type { Session } from '../cli/session.ts';
import { authorizationTable, policiesInForce } from '../proxy-config/authorization.ts';
import { dumpOf } from './proxy-config.ts';

/** `istioctl experimental authz check POD`: the AuthorizationPolicies that a pod's Envoy, or a dump of it, has in force. */
export async function runAuthzCheck(
  session: Session,
  flags: { readonly file?: string; readonly proxyAdminPort: string },
  target?: string,
): Promise<number> {
  const policies = policiesInForce(await dumpOf(session, flags, target));
  session.out(
    policies.length > 0
      ? authorizationTable(policies)
      : 'No AuthorizationPolicy is in force: everything is admitted.\n',
  );
  return 0;
}
