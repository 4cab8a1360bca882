import type { Mesh } from '@istio-ts/mesh';
import type { SpiffeIdentity } from '@istio-ts/security';
import type { CaCaller } from '../ca/service.ts';

/**
 * Lets the proxy of a node have certificates of the pods of its node, and of no others: the caller must be one of the accounts of node proxies, proved by
 * a token that is bound to its pod (which tells the node), and a pod of the identity must run there. Gives why not, or undefined.
 */
export function nodeImpersonation(
  mesh: Pick<Mesh, 'workloads'>,
  nodeAccounts: ReadonlySet<string>,
): ((caller: CaCaller, identity: SpiffeIdentity) => string | undefined) | undefined {
  if (nodeAccounts.size === 0) return undefined;
  return ({ identity: { namespace, serviceAccount }, podName }, wanted) => {
    const account = `${namespace}/${serviceAccount}`;
    if (!nodeAccounts.has(account))
      return `${account} is no account of a node's proxy (CA_TRUSTED_NODE_ACCOUNTS): certificates are given for the identity that asks only`;
    if (podName === undefined) return 'a token that is bound to a pod is needed, to know of which node';
    const pod = mesh.workloads.get(`Pod/${namespace}/${podName}`);
    if (pod === undefined || pod.serviceAccount !== serviceAccount || pod.node === '')
      return `the pod ${namespace}/${podName} is not known to run on a node`;
    for (const [, other] of mesh.workloads.entries())
      if (
        other.node === pod.node &&
        other.namespace === wanted.namespace &&
        other.serviceAccount === wanted.serviceAccount &&
        other.origin.kind === 'Pod'
      )
        return undefined;
    return `no pod of ${wanted.namespace}/${wanted.serviceAccount} runs on the node ${pod.node}`;
  };
}
