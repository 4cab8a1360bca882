import { VERSION } from '@istio-ts/api/version';
import type { Session } from '../cli/session.ts';
import { formatFrom, structured } from '../cli/output.ts';
import { table } from '../cli/table.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import type { DataPlane, MeshVersions } from './mesh-versions.ts';
import type { SyncStatus } from '@istio-ts/envoy-dump/sync-status';

export interface VersionFlags {
  readonly remote: boolean;
  /** Undefined: numbers, each with its name; true: bare numbers; false: everything. */
  readonly short?: boolean;
  readonly output?: string;
  readonly revision?: string;
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

/** Loaded only where it is needed: `version --remote=false` starts fast. */
const askTheMesh = () => import('./mesh-versions.ts');

const clientVersion = () => ({
  version: VERSION,
  revision: 'default',
  golang_version: process.version,
  status: 'Clean',
  tag: VERSION,
});

/** The structured form, with the names that tools know. */
function versionDocument({ controlPlanes, proxies }: MeshVersions): unknown {
  return {
    clientVersion: clientVersion(),
    ...(controlPlanes.length > 0 && {
      meshVersion: controlPlanes.map(({ revision, version }) => ({
        Component: 'pilot',
        Revision: revision,
        Info: { version },
      })),
    }),
    ...(proxies.length > 0 && {
      dataPlaneVersion: proxies.map(({ proxy, istio_version: version }) => ({ ID: proxy, IstioVersion: version })),
    }),
  };
}

function proxyTable(proxies: readonly DataPlane[]): string {
  return table(
    ['PROXY', 'VERSION', 'ISTIOD'],
    [...proxies]
      .sort((a, b) => a.proxy.localeCompare(b.proxy))
      .map(({ proxy, istio_version: version, istiod }) => [proxy, version || 'unknown', istiod]),
    3,
  );
}

function summary({ controlPlanes, proxies, note }: MeshVersions): string {
  const versions = [...new Set(controlPlanes.map(({ version }) => version))].sort();
  return [
    ...(note ? [note] : []),
    `client version: ${VERSION}`,
    ...(versions.length > 0
      ? [`control plane version: ${versions.join(', ')}`, `data plane version: ${dataPlaneLine(proxies)}`]
      : []),
  ]
    .map((line) => `${line}\n`)
    .join('');
}

function details(versions: MeshVersions): string {
  const { controlPlanes, proxies, note } = versions;
  const builds = controlPlanes.map(
    ({ pod, revision, version }) => `control plane version: ${version} (pod ${pod}, revision ${revision})\n`,
  );
  return [
    note ? `${note}\n` : '',
    `client version: ${VERSION} (Node ${process.version}, ${process.platform}-${process.arch})\n`,
    ...builds,
    controlPlanes.length > 0 ? `data plane version: ${dataPlaneLine(proxies)}\n` : '',
    proxies.length > 0 ? `\n${proxyTable(proxies)}` : '',
  ].join('');
}

/** Writes `-o json|yaml`; false when no such format was asked for. Raises CliError for others. */
function wroteDocument(session: Session, output: string | undefined, versions: MeshVersions): boolean {
  const format = output === undefined ? 'short' : formatFrom(output, ['json', 'yaml']);
  if (format === 'short') return false;
  session.out(structured(versionDocument(versions), format));
  return true;
}

/** `istioctl version`. Without a reachable cluster it still tells the client's version. */
export async function runVersion(session: Session, flags: VersionFlags): Promise<number> {
  if (flags.output !== undefined) formatFrom(flags.output, ['json', 'yaml']);
  const versions = flags.remote
    ? await (await askTheMesh()).meshVersions(session, flags)
    : { controlPlanes: [], proxies: [] };
  if (wroteDocument(session, flags.output, versions)) return 0;
  if (!flags.remote && flags.short === true) session.out(`${VERSION}\n`);
  else session.out(flags.short === false ? details(versions) : summary(versions));
  return 0;
}

/** `istioctl experimental version`: as `version`, with a table of proxies; istiod may be asked over xDS. */
export async function runExperimentalVersion(session: Session, flags: VersionFlags & XdsFlags): Promise<number> {
  if (!flags.remote) return runVersion(session, flags);
  const overXds = flags.xdsAddress !== undefined || flags.xdsLabel !== undefined;
  const { meshVersions, meshVersionsOverXds } = await askTheMesh();
  const versions = await (overXds ? meshVersionsOverXds(session, flags) : meshVersions(session, flags));
  if (wroteDocument(session, flags.output, versions)) return 0;
  const table = flags.short || versions.proxies.length === 0 ? '' : `\n${proxyTable(versions.proxies)}`;
  session.out(`${summary(versions)}${table}`);
  return 0;
}
