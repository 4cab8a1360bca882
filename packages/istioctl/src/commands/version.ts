import { VERSION } from '@istio-ts/api/version';
import { KubeConfigError } from '@istio-ts/kube';
import type { Session } from '../cli/session.ts';
import { structured } from '../cli/output.ts';
import { askControlPlane, controlPlanePods, debugPort, monitoringPort } from '../pods/control-plane.ts';
import { type SyncStatus, syncStatuses } from './sync-status.ts';

export interface VersionFlags {
  readonly remote: boolean;
  readonly short: boolean;
  readonly output?: string;
  readonly revision?: string;
}

interface MeshVersion {
  readonly component: string;
  readonly revision: string;
  readonly info: { readonly version: string };
}

/** How many proxies run which version, most first: `1.30.0 (14 proxies)`. */
export function dataPlaneLine(statuses: readonly SyncStatus[]): string {
  if (statuses.length === 0) return 'none';
  const counts = new Map<string, number>();
  for (const { istio_version: version } of statuses)
    counts.set(version || 'unknown', (counts.get(version || 'unknown') ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([version, count]) => `${version} (${count} ${count === 1 ? 'proxy' : 'proxies'})`)
    .join(', ');
}

/** The number in istiod's `/version`: `1.30.0-abc-Clean` or JSON. */
function versionOf(body: string): string {
  try {
    const parsed = JSON.parse(body) as { readonly version?: string };
    if (typeof parsed.version === 'string') return parsed.version;
  } catch {
    // Not JSON: the plain text that Istio answers with.
  }
  return body.trim().split('-')[0] ?? '';
}

/** `istioctl version`. Without a reachable cluster it still tells the client's version. */
export async function runVersion(session: Session, flags: VersionFlags): Promise<number> {
  const client = {
    version: VERSION,
    revision: 'default',
    golang_version: process.version,
    status: 'Clean',
    tag: VERSION,
  };
  const mesh: MeshVersion[] = [];
  let statuses: readonly SyncStatus[] = [];
  let note: string | undefined;
  if (flags.remote) {
    try {
      const pods = await controlPlanePods(session.client(), session.flags.istioNamespace, flags.revision);
      if (pods.length === 0) note = `no running Istio pods in "${session.flags.istioNamespace}"`;
      const answers = await askControlPlane(session.client(), pods, monitoringPort, '/version');
      for (const { pod, body } of answers) {
        const revision =
          pods.find(({ metadata }) => metadata.name === pod)?.metadata.labels?.['istio.io/rev'] ?? 'default';
        mesh.push({ component: 'pilot', revision, info: { version: versionOf(body) } });
      }
      statuses = (await askControlPlane(session.client(), pods, debugPort, '/debug/syncz')).flatMap(({ body }) =>
        syncStatuses(body),
      );
    } catch (error) {
      note =
        error instanceof KubeConfigError
          ? `no cluster to ask: ${error.message}`
          : `cannot reach the control plane: ${(error as Error).message}`;
    }
  }
  if (flags.output === 'json' || flags.output === 'yaml') {
    const dataPlane = statuses.map(({ proxy, istio_version: version }) => ({ ID: proxy, IstioVersion: version }));
    session.out(
      structured(
        {
          clientVersion: client,
          ...(mesh.length > 0 && {
            meshVersion: mesh.map(({ component, revision, info }) => ({
              Component: component,
              Revision: revision,
              Info: info,
            })),
          }),
          ...(dataPlane.length > 0 && { dataPlaneVersion: dataPlane }),
        },
        flags.output,
      ),
    );
    return 0;
  }
  if (!flags.remote && flags.short) {
    session.out(`${VERSION}\n`);
    return 0;
  }
  if (note) {
    session.out(`${note}\n`);
    session.out(mesh.length === 0 ? `client version: ${VERSION}\n` : '');
  }
  if (!flags.remote) session.out(`client version: ${VERSION}\n`);
  if (mesh.length > 0) {
    if (!note) session.out(`client version: ${VERSION}\n`);
    const versions = [...new Set(mesh.map(({ info }) => info.version))].sort();
    session.out(`control plane version: ${versions.join(', ')}\n`);
    session.out(`data plane version: ${dataPlaneLine(statuses)}\n`);
  }
  return 0;
}
