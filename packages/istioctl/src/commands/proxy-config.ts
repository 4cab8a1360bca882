import { readFileSync } from 'node:fs';
import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { findPod } from '../pods/find-pod.ts';
import { podHttp } from '../pods/pod-http.ts';
import { camelCaseKeys } from '../proxy-config/camel-case.ts';
import { clusterTable, filterClusters } from '../proxy-config/cluster-table.ts';
import {
  type ConfigDump,
  clustersOf,
  fetchConfigDump,
  listenersOf,
  parseConfigDump,
  routesOf,
  section,
} from '../proxy-config/config-dump.ts';
import { endpointRows, endpointTable, filterEndpoints } from '../proxy-config/endpoint-table.ts';
import { filterListeners, listenerTable } from '../proxy-config/listener-table.ts';
import { routeTable } from '../proxy-config/route-table.ts';
import { secretRows, secretTable } from '../proxy-config/secret-table.ts';

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
  readonly level?: string;
  readonly reset?: boolean;
}

type Json = Readonly<Record<string, unknown>>;

function numberFlag(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0 || number > 65535)
    throw new CliError(`--${name}: "${value}" is not a port`);
  return number;
}

async function fetchFrom(
  session: Session,
  flags: ProxyConfigFlags,
  target: string | undefined,
  path: string,
): Promise<string> {
  if (flags.file !== undefined) return readFileSync(flags.file === '-' ? 0 : flags.file, 'utf8');
  if (target === undefined)
    throw new CliError('name a pod (POD[.NAMESPACE], deployment/NAME[.NAMESPACE]) or a dump with --file');
  const pod = await findPod(session.client(), target, session.namespace());
  return podHttp(session.client(), pod, numberFlag('proxy-admin-port', flags.proxyAdminPort) ?? 15000, path);
}

async function dumpOf(session: Session, flags: ProxyConfigFlags, target: string | undefined): Promise<ConfigDump> {
  if (flags.file !== undefined)
    return parseConfigDump(readFileSync(flags.file === '-' ? 0 : flags.file, 'utf8'), flags.file);
  if (target === undefined)
    throw new CliError('name a pod (POD[.NAMESPACE], deployment/NAME[.NAMESPACE]) or a dump with --file');
  const pod = await findPod(session.client(), target, session.namespace());
  return fetchConfigDump(session.client(), pod, numberFlag('proxy-admin-port', flags.proxyAdminPort) ?? 15000);
}

function print(session: Session, flags: ProxyConfigFlags, resources: unknown, short: () => string): number {
  const format = formatFrom(flags.output);
  session.out(format === 'short' ? short() : structured(camelCaseKeys(resources), format));
  return 0;
}

/** `istioctl proxy-config cluster POD`. */
export async function runProxyConfigCluster(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const port = numberFlag('port', flags.port);
  const clusters = filterClusters(clustersOf(await dumpOf(session, flags, target)), {
    ...(flags.fqdn !== undefined && { fqdn: flags.fqdn }),
    ...(port !== undefined && { port }),
    ...(flags.subset !== undefined && { subset: flags.subset }),
    ...(flags.direction !== undefined && { direction: flags.direction }),
  });
  return print(session, flags, clusters, () => clusterTable(clusters));
}

/** `istioctl proxy-config listener POD`. */
export async function runProxyConfigListener(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const port = numberFlag('port', flags.port);
  const listeners = filterListeners(listenersOf(await dumpOf(session, flags, target)), {
    ...(flags.address !== undefined && { address: flags.address }),
    ...(port !== undefined && { port }),
    ...(flags.type !== undefined && { type: flags.type }),
  });
  return print(session, flags, listeners, () => listenerTable(listeners, flags.verbose !== false));
}

/** `istioctl proxy-config route POD`. */
export async function runProxyConfigRoute(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const routes = routesOf(await dumpOf(session, flags, target)).filter(
    (route) => flags.name === undefined || route.name === flags.name,
  );
  return print(session, flags, routes, () => routeTable(routes));
}

/** `istioctl proxy-config endpoint POD`. With `--file` the file is an answer of `/clusters?format=json`. */
export async function runProxyConfigEndpoint(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const clusters = JSON.parse(await fetchFrom(session, flags, target, '/clusters?format=json')) as Json;
  const port = numberFlag('port', flags.port);
  const filter = {
    ...(flags.address !== undefined && { address: flags.address }),
    ...(port !== undefined && { port }),
    ...(flags.cluster !== undefined && { cluster: flags.cluster }),
    ...(flags.status !== undefined && { status: flags.status }),
  };
  const rows = filterEndpoints(endpointRows(clusters), filter);
  const names = new Set(rows.map(({ cluster }) => cluster));
  const statuses = ((clusters.cluster_statuses ?? []) as readonly Json[]).filter(({ name }) => names.has(String(name)));
  return print(session, flags, statuses, () => endpointTable(rows));
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

/** `istioctl proxy-config bootstrap POD`: always structured, JSON unless YAML is asked for. */
export async function runProxyConfigBootstrap(
  session: Session,
  flags: ProxyConfigFlags,
  target?: string,
): Promise<number> {
  const bootstrap = section(await dumpOf(session, flags, target), 'BootstrapConfigDump');
  if (!bootstrap) throw new CliError('the dump has no bootstrap in it');
  const format = formatFrom(flags.output, ['json', 'yaml', 'short']);
  session.out(structured(camelCaseKeys(bootstrap), format === 'yaml' ? 'yaml' : 'json'));
  return 0;
}

/** `istioctl proxy-config all POD`: the tables one after the other, or the whole dump. */
export async function runProxyConfigAll(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const dump = await dumpOf(session, flags, target);
  return print(session, flags, dump, () =>
    [
      clusterTable(clustersOf(dump)),
      listenerTable(listenersOf(dump), flags.verbose !== false),
      routeTable(routesOf(dump)),
      secretTable(secretRows(dump), new Date()),
    ].join('\n'),
  );
}

/** `istioctl proxy-config ecds POD`. */
export async function runProxyConfigEcds(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  const part = section(await dumpOf(session, flags, target), 'EcdsConfigDump') ?? {};
  const filters = (part.ecds_filters ?? []) as readonly Json[];
  return print(session, flags, part, () =>
    filters.length === 0
      ? 'no extension configuration\n'
      : `${filters.map((filter) => String((filter.ecds_filter as Json | undefined)?.name)).join('\n')}\n`,
  );
}

/** `istioctl proxy-config log POD [--level scope:level,...]`: shows or sets Envoy's log levels. */
export async function runProxyConfigLog(session: Session, flags: ProxyConfigFlags, target?: string): Promise<number> {
  if (target === undefined) throw new CliError('name a pod: istioctl proxy-config log POD[.NAMESPACE]');
  const pod = await findPod(session.client(), target, session.namespace());
  const port = numberFlag('proxy-admin-port', flags.proxyAdminPort) ?? 15000;
  const ask = (query: string) => podHttp(session.client(), pod, port, `/logging${query}`, 'POST');
  const levels = flags.reset ? ['warning'] : (flags.level?.split(',') ?? []);
  let shown = '';
  for (const level of levels) {
    const [scope, value] = level.includes(':') ? level.split(':', 2) : [undefined, level];
    shown = await ask(
      scope && scope !== 'all'
        ? `?${encodeURIComponent(scope)}=${encodeURIComponent(value ?? '')}`
        : `?level=${encodeURIComponent(value ?? '')}`,
    );
  }
  session.out(`${pod.name}.${pod.namespace}:\n${shown || (await ask(''))}`);
  return 0;
}
