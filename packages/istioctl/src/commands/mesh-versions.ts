import { KubeConfigError } from '@istio-ts/kube';
import type { Session } from '../cli/session.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import { askIstiod } from '../control-plane/ask.ts';
import { askControlPlane, controlPlanePods, debugPort, monitoringPort } from '@istio-ts/envoy-dump/ask/control-plane';
import { type SyncStatus, syncStatuses } from '@istio-ts/envoy-dump/sync-status';

/** One istiod. */
export interface ControlPlane {
  readonly pod: string;
  readonly revision: string;
  readonly version: string;
}

/** A proxy and the istiod that it is connected to. */
export interface DataPlane extends SyncStatus {
  readonly istiod: string;
}

/** What is known of the mesh; `note` says why it is not more. */
export interface MeshVersions {
  readonly controlPlanes: readonly ControlPlane[];
  readonly proxies: readonly DataPlane[];
  readonly note?: string;
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

const proxiesIn = (answers: readonly { readonly pod: string; readonly body: string }[]): readonly DataPlane[] =>
  answers.flatMap(({ pod, body }) => syncStatuses(body).map((status): DataPlane => ({ ...status, istiod: pod })));

async function controlPlanesOf(session: Session, revision: string | undefined) {
  const pods = await controlPlanePods(session.client(), session.flags.istioNamespace, revision);
  const answers = await askControlPlane(session.client(), pods, monitoringPort, '/version');
  const controlPlanes = answers.map(({ pod, body }): ControlPlane => {
    const labels = pods.find(({ metadata }) => metadata.name === pod)?.metadata.labels;
    return { pod, revision: labels?.['istio.io/rev'] ?? 'default', version: versionOf(body) };
  });
  return { pods, controlPlanes };
}

function obstacle(error: unknown): string {
  return error instanceof KubeConfigError
    ? `no cluster to ask: ${error.message}`
    : `cannot reach the control plane: ${(error as Error).message}`;
}

/** What the control planes of the cluster (or of one revision) say of themselves and of their proxies. Never rejects: `note` tells what was in the way. */
export async function meshVersions(session: Session, flags: { readonly revision?: string }): Promise<MeshVersions> {
  try {
    const { pods, controlPlanes } = await controlPlanesOf(session, flags.revision);
    if (pods.length === 0) {
      const where = `"${session.flags.istioNamespace}"${flags.revision ? ` with revision ${flags.revision}` : ''}`;
      return { controlPlanes, proxies: [], note: `no running Istio pods in ${where}` };
    }
    const proxies = proxiesIn(await askControlPlane(session.client(), pods, debugPort, '/debug/syncz'));
    return { controlPlanes, proxies };
  } catch (error) {
    return { controlPlanes: [], proxies: [], note: obstacle(error) };
  }
}

/** As `meshVersions`, asked over xDS where the flags say. Raises CliError when nobody answers. */
export async function meshVersionsOverXds(
  session: Session,
  flags: XdsFlags & { readonly revision?: string },
): Promise<MeshVersions> {
  const answers = await askIstiod(session, flags)('syncz');
  const proxies = proxiesIn(answers.map(({ istiod, body }) => ({ pod: istiod, body })));
  const controlPlanes = answers.flatMap(({ istiod, version }) =>
    version === undefined ? [] : [{ pod: istiod, revision: flags.revision ?? 'default', version }],
  );
  return { controlPlanes, proxies };
}
