import { readFileSync } from 'node:fs';
import { CliError, unreadable } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { findPod } from '../pods/find-pod.ts';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { bootstrapTable } from '../proxy-config/bootstrap-table.ts';
import { clusterTable, filterClusters } from '../proxy-config/cluster-table.ts';
import {
  assignmentsOf,
  type ConfigDump,
  clustersOf,
  listenersOf,
  parseConfigDump,
  parseDocument,
  routesOf,
  section,
} from '@istio-ts/envoy-dump/config-dump';
import { fetchConfigDump } from '@istio-ts/envoy-dump/ask/config-dump';
import { assignedEndpoints, endpointRows } from '@istio-ts/envoy-dump/endpoint';
import { endpointTable, filterEndpoints } from '../proxy-config/endpoint-table.ts';
import { extensionsOf, extensionTable } from '../proxy-config/extension-table.ts';
import { type DumpFilter, filterDump } from '../proxy-config/filtered-dump.ts';
import { type Json, list, text } from '@istio-ts/envoy-dump/json';
import { filterListeners, listenerTable } from '../proxy-config/listener-table.ts';
import { filterRoutes, routeTable } from '../proxy-config/route-table.ts';
import { rootFingerprints, secretTable } from '../proxy-config/secret-table.ts';
import { secretRows } from '@istio-ts/envoy-dump/secret';

export interface ProxyConfigFlags {
  readonly output: string;
  readonly proxyAdminPort: string;
  readonly file?: string;
  readonly fqdn?: string;
  readonly port?: string;
  readonly subset?: string;
  readonly direction?: string;
  readonly address?: string;
  readonly type?: string;
  readonly name?: string;
  readonly cluster?: string;
  readonly status?: string;
  readonly verbose?: boolean;
  readonly withHeaders?: boolean;
}

/** Reads a port; raises CliError that names the flag. */
export function portFlag(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value === '' || !Number.isInteger(number) || number < 0 || number > 65535)
    throw new CliError(`--${name}: "${value}" is not a port`);
  return number;
}

/** The port of Envoy's admin interface that the flags give. */
export const adminPort = (flags: { readonly proxyAdminPort: string }): number =>
  portFlag('proxy-admin-port', flags.proxyAdminPort) ?? 15000;

/** The text of a file, `-` being standard input. */
export function readInput(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8');
  } catch (error) {
    throw new CliError(`--file ${file}: ${unreadable(error)}`);
  }
}

const noTarget =
  'name a pod (POD[.NAMESPACE] or KIND/NAME[.NAMESPACE], for example deploy/frontend) or a dump with --file';

/** The configuration dump of a pod, or of the file that the flags name. */
export async function dumpOf(
  session: Session,
  flags: { readonly file?: string; readonly proxyAdminPort: string },
  target: string | undefined,
): Promise<ConfigDump> {
  if (flags.file !== undefined && target !== undefined)
    throw new CliError('give either a pod or a dump with --file, not both');
  if (flags.file !== undefined)
    return parseConfigDump(readInput(flags.file), flags.file === '-' ? 'the input' : flags.file);
  if (target === undefined) throw new CliError(noTarget);
  const pod = await findPod(session.client(), target, session.namespace());
  return fetchConfigDump(session.client(), pod, adminPort(flags));
}

function print(session: Session, flags: ProxyConfigFlags, resources: unknown, short: () => string): number {
  const format = formatFrom(flags.output);
  session.out(format === 'short' ? short() : structured(resources, format));
  return 0;
}

/** The filters among the flags; raises CliError for a value that nothing could match. */
function filterOf(flags: ProxyConfigFlags): DumpFilter {
  const port = portFlag('port', flags.port);
  const { fqdn, subset, direction, address, type, name } = flags;
  if (direction !== undefined && !['inbound', 'outbound'].includes(direction.toLowerCase()))
    throw new CliError(`--direction: "${direction}" is neither inbound nor outbound`);
  if (type !== undefined && !['HTTP', 'TCP', 'HTTP+TCP', 'UNKNOWN'].includes(type.toUpperCase()))
    throw new CliError(`--type: "${type}" is not one of HTTP, TCP, HTTP+TCP, UNKNOWN`);
  return {
    ...(fqdn !== undefined && { fqdn }),
    ...(port !== undefined && { port }),
    ...(subset !== undefined && { subset }),
    ...(direction !== undefined && { direction }),
    ...(address !== undefined && { address }),
    ...(type !== undefined && { type }),
    ...(name !== undefined && { name }),
  };
}

/** `istioctl proxy-config cluster POD`. */
export async function runProxyConfigCluster(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const filter = filterOf(flags);
  const clusters = filterClusters(clustersOf(await dumpOf(session, flags, target)), filter);
  return print(session, flags, clusters, () => clusterTable(clusters));
}

/** `istioctl proxy-config listener POD`. */
export async function runProxyConfigListener(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const filter = filterOf(flags);
  const listeners = filterListeners(listenersOf(await dumpOf(session, flags, target)), filter);
  return print(session, flags, listeners, () => listenerTable(listeners, flags.verbose !== false));
}

/** `istioctl proxy-config route POD`. */
export async function runProxyConfigRoute(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const routes = filterRoutes(routesOf(await dumpOf(session, flags, target)), filterOf(flags));
  return print(session, flags, routes, () => routeTable(routes, flags.verbose !== false));
}

/**
 * `istioctl proxy-config endpoint POD`. With `--file` the file is an answer of `/clusters?format=json`, or a configuration dump with endpoints, which
 * does not tell what Envoy found out about them.
 */
export async function runProxyConfigEndpoint(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const filter = {
    ...filterOf(flags),
    ...(flags.cluster !== undefined && { cluster: flags.cluster }),
    ...(flags.status !== undefined && { status: flags.status }),
  };
  const statuses = ['healthy', 'unhealthy', 'draining', 'degraded'];
  if (flags.status !== undefined && !statuses.includes(flags.status.toLowerCase()))
    throw new CliError(`--status: "${flags.status}" is not one of ${statuses.join(', ')}`);
  const document = await clustersDocument(session, flags, target);
  if (Array.isArray(document.configs)) {
    const assignments = assignmentsOf({ configs: list(document.configs) });
    const rows = filterEndpoints(assignedEndpoints(assignments), filter);
    const names = new Set(rows.map(({ cluster }) => cluster));
    const kept = assignments.filter(({ clusterName }) => names.has(text(clusterName)));
    return print(session, flags, kept, () => endpointTable(rows));
  }
  const rows = filterEndpoints(endpointRows(document), filter);
  const wanted = list(document.clusterStatuses).flatMap((cluster) => {
    const hosts = list(cluster.hostStatuses).filter(
      (host) =>
        filterEndpoints(endpointRows({ clusterStatuses: [{ ...cluster, hostStatuses: [host] }] }), filter).length > 0,
    );
    return hosts.length === 0 ? [] : [{ ...cluster, hostStatuses: hosts }];
  });
  return print(session, flags, wanted, () => endpointTable(rows));
}

async function clustersDocument(session: Session, flags: ProxyConfigFlags, target: string | undefined): Promise<Json> {
  if (flags.file !== undefined && target !== undefined)
    throw new CliError('give either a pod or a dump with --file, not both');
  if (flags.file !== undefined) {
    const document = parseDocument(readInput(flags.file), flags.file, "an answer of Envoy's /clusters?format=json");
    if (!Array.isArray(document.configs) && !Array.isArray(document.clusterStatuses))
      throw new CliError(
        `${flags.file} has no endpoints: it must be the answer of /clusters?format=json or of /config_dump?include_eds`,
      );
    return document;
  }
  if (target === undefined) throw new CliError(noTarget);
  const pod = await findPod(session.client(), target, session.namespace());
  const answer = await podHttp(session.client(), pod, adminPort(flags), '/clusters?format=json');
  return parseDocument(answer, `the answer of ${pod.name}.${pod.namespace}`, 'JSON');
}

/** `istioctl proxy-config secret POD`. */
export async function runProxyConfigSecret(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const dump = await dumpOf(session, flags, target);
  return print(session, flags, section(dump, 'SecretsConfigDump') ?? {}, () =>
    secretTable(secretRows(dump), new Date()),
  );
}

/** `istioctl proxy-config bootstrap POD`: JSON unless something else is asked for; `short` tells node and versions. */
export async function runProxyConfigBootstrap(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const bootstrap = section(await dumpOf(session, flags, target), 'BootstrapConfigDump');
  if (!bootstrap) throw new CliError('the dump has no bootstrap in it');
  return print(session, flags, bootstrap, () => bootstrapTable(bootstrap));
}

/**
 * `istioctl proxy-config all POD`: the tables one after the other, or the whole dump. A filter narrows every part that has such a property: `--port`
 * clusters, listeners and endpoints, `--name` route configurations.
 */
export async function runProxyConfigAll(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const filter = filterOf(flags);
  const dump = filterDump(await dumpOf(session, flags, target), filter);
  const { address, port } = filter;
  const endpointFilter = { ...(address !== undefined && { address }), ...(port !== undefined && { port }) };
  const verbose = flags.verbose !== false;
  return print(session, flags, dump, () => {
    const parts: readonly (readonly [string, string])[] = [
      ['BOOTSTRAP', bootstrapTable(section(dump, 'BootstrapConfigDump') ?? {})],
      ['CLUSTERS', clusterTable(clustersOf(dump))],
      ['LISTENERS', listenerTable(listenersOf(dump), verbose)],
      ['ROUTES', routeTable(routesOf(dump), verbose)],
      ['SECRETS', secretTable(secretRows(dump), new Date())],
      ['ENDPOINTS', endpointTable(filterEndpoints(assignedEndpoints(assignmentsOf(dump)), endpointFilter))],
      ...(extensionsOf(dump).length > 0 ? [['EXTENSIONS', extensionTable(extensionsOf(dump))] as const] : []),
    ];
    return parts.map(([title, shown]) => (flags.withHeaders ? `${title}\n${shown}` : shown)).join('\n');
  });
}

/** `istioctl proxy-config ecds POD`. */
export async function runProxyConfigEcds(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const extensions = extensionsOf(await dumpOf(session, flags, target));
  return print(session, flags, extensions, () => extensionTable(extensions));
}

/** `istioctl proxy-config rootca-compare POD1 POD2`: do both trust the same roots? Ends with 1 when they do not. */
export async function runRootCompare(
  session: Session,
  flags: { readonly proxyAdminPort: string },
  first?: string,
  second?: string,
): Promise<number> {
  if (first === undefined || second === undefined)
    throw new CliError('name two pods: istioctl proxy-config rootca-compare POD[.NAMESPACE] POD[.NAMESPACE]');
  const [a, b] = await Promise.all(
    [first, second].map(async (target) => {
      const pod = await findPod(session.client(), target, session.namespace());
      const name = `${pod.name}.${pod.namespace}`;
      const roots = rootFingerprints(await fetchConfigDump(session.client(), pod, adminPort(flags)));
      if (roots.length === 0) throw new CliError(`${name} has no root certificate (ROOTCA): is it in the mesh?`);
      return { name, roots };
    }),
  );
  if (!a || !b) return 1;
  const common = a.roots.filter((root) => b.roots.includes(root));
  const shown = (roots: readonly string[]) => roots.map((root) => `    ${root}\n`).join('');
  if (common.length === a.roots.length && common.length === b.roots.length) {
    session.out(
      `${a.name} and ${b.name} have the identical ROOTCA: mutual TLS between them can work.\n  SHA-256:\n${shown(a.roots)}`,
    );
    return 0;
  }
  const verdict =
    common.length > 0
      ? `share ${common.length} of their roots (${a.roots.length} and ${b.roots.length}): mutual TLS works where the certificates come from a shared one`
      : 'have different ROOTCAs: mutual TLS between them cannot work';
  session.err(`${a.name} and ${b.name} ${verdict}.\n  ${a.name}:\n${shown(a.roots)}  ${b.name}:\n${shown(b.roots)}`);
  return 1;
}
