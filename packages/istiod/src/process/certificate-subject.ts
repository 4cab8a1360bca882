import type { Mesh, Workload } from '@istio-ts/mesh';
import type { WorkloadSubject } from '@istio-ts/security';
import type { CaCaller } from '../ca/service.ts';

/**
 * What the CA writes into a certificate about the workload that asks: found by the pod that its token is bound to, else by its address, and only if
 * that pod runs under the identity that was proved. Peers read it for their metrics, so it must not come from the request.
 */
export function certificateSubject(mesh: Mesh, caller: CaCaller): WorkloadSubject | undefined {
  const { namespace, serviceAccount } = caller.identity;
  const isCallers = (workload: Workload | undefined): workload is Workload =>
    workload !== undefined && workload.namespace === namespace && workload.serviceAccount === serviceAccount;
  const byPod = caller.podName === undefined ? undefined : mesh.workloads.get(`Pod/${namespace}/${caller.podName}`);
  const workload = isCallers(byPod) ? byPod : (mesh.workloadsByAddress.get(caller.remoteAddress) ?? []).find(isCallers);
  if (!workload) return undefined;
  return {
    workload: workload.workloadName,
    canonicalName: workload.canonicalName,
    version: workload.canonicalRevision,
    cluster: workload.clusterId,
    app: workload.labels.app ?? '',
    versionLabel: workload.labels.version ?? '',
  };
}
