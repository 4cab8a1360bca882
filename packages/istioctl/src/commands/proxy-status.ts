import type { Session } from '../cli/session.ts';
import { CliError } from '../cli/failure.ts';
import { structured } from '../cli/output.ts';
import { table } from '../cli/table.ts';
import { askControlPlane, controlPlanePods, debugPort } from '../pods/control-plane.ts';
import { type SyncStatus, syncState, syncStatuses } from './sync-status.ts';

export interface ProxyStatusFlags {
  readonly output: string;
  readonly revision?: string;
}

interface Row extends SyncStatus {
  readonly istiod: string;
}

/** The table of `istioctl proxy-status`: one row a proxy, sorted by name. */
export function proxyStatusTable(rows: readonly Row[]): string {
  return table(
    ['NAME', 'CLUSTER', 'CDS', 'LDS', 'EDS', 'RDS', 'ECDS', 'ISTIOD', 'VERSION'],
    [...rows]
      .sort((a, b) => a.proxy.localeCompare(b.proxy))
      .map((row) => [
        row.proxy,
        row.cluster_id,
        syncState(row.cluster_sent, row.cluster_acked),
        syncState(row.listener_sent, row.listener_acked),
        syncState(row.endpoint_sent, row.endpoint_acked),
        syncState(row.route_sent, row.route_acked),
        syncState(row.extensionconfig_sent, row.extensionconfig_acked),
        row.istiod,
        row.istio_version,
      ]),
  );
}

/** `istioctl proxy-status [POD[.NAMESPACE]]`. Ends with 1 when there is no control plane or no such proxy. */
export async function runProxyStatus(session: Session, flags: ProxyStatusFlags, target?: string): Promise<number> {
  const client = session.client();
  const pods = await controlPlanePods(client, session.flags.istioNamespace, flags.revision);
  if (pods.length === 0)
    throw new CliError(
      `no running istiod in namespace "${session.flags.istioNamespace}"${flags.revision ? ` with revision ${flags.revision}` : ''}: install one with istioctl install`,
    );
  const answers = await askControlPlane(client, pods, debugPort, '/debug/syncz');
  const all = answers.flatMap(({ pod, body }) => syncStatuses(body).map((status): Row => ({ ...status, istiod: pod })));
  const wanted = target === undefined ? undefined : target.includes('.') ? target : `${target}.${session.namespace()}`;
  const rows = wanted === undefined ? all : all.filter(({ proxy }) => proxy === wanted);
  if (wanted !== undefined && rows.length === 0)
    throw new CliError(`no proxy ${wanted} is connected to istiod: see all with istioctl proxy-status`);
  if (flags.output === 'json' || flags.output === 'yaml') session.out(structured(rows, flags.output));
  else session.out(proxyStatusTable(rows));
  return 0;
}
