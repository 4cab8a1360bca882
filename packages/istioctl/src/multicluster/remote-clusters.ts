import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';
import { askControlPlane, controlPlanePods, debugPort } from '@istio-ts/envoy-dump/ask/control-plane';

interface Cluster {
  readonly id: string;
  readonly secretName: string;
  readonly syncStatus: string;
}

/** `istioctl remote-clusters`: one row for each cluster of each istiod. Ends with 1 when there is no control plane. */
export async function runRemoteClusters(
  session: Session,
  flags: { readonly output: string; readonly revision?: string },
): Promise<number> {
  const format = formatFrom(flags.output, ['table', 'json', 'yaml']);
  const client = session.client();
  const pods = await controlPlanePods(client, session.flags.istioNamespace, flags.revision);
  if (pods.length === 0)
    throw new CliError(
      `no running istiod in namespace "${session.flags.istioNamespace}"${flags.revision ? ` with revision ${flags.revision}` : ''}`,
    );
  const rows = (await askControlPlane(client, pods, debugPort, '/debug/clusterz')).flatMap(({ pod, body }) =>
    (JSON.parse(body) as readonly Cluster[]).map((cluster) => ({ ...cluster, istiod: pod })),
  );
  if (format !== 'short') {
    session.out(structured(rows, format));
    return 0;
  }
  session.out(
    table(
      ['NAME', 'SECRET', 'STATUS', 'ISTIOD'],
      rows.map(({ id, secretName, syncStatus, istiod }) => [id, secretName, syncStatus, istiod]),
    ),
  );
  return 0;
}
