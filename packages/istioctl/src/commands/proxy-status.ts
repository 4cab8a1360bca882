import type { Session } from '../cli/session.ts';
import { CliError } from '../cli/failure.ts';
import { wholeNumber } from '../cli/duration.ts';
import { formatFrom, structured } from '../cli/output.ts';
import { table } from '../cli/table.ts';
import type { XdsFlags } from '../cli/xds-options.ts';
import { type AskIstiod, askIstiod } from '../control-plane/ask.ts';
import { findPod } from '../pods/find-pod.ts';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { compareDumps, comparisonText } from '../proxy-config/compare.ts';
import { type ConfigDump, parseConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { adminPort, readInput } from './proxy-config.ts';
import { type SyncStatus, syncState, syncStatuses } from '@istio-ts/envoy-dump/sync-status';

export interface ProxyStatusFlags extends XdsFlags {
  readonly output: string;
  readonly proxyAdminPort: string;
  readonly file?: string;
  readonly verbosity: string;
}

interface Row extends SyncStatus {
  readonly istiod: string;
}

/** The table of `istioctl proxy-status`: one row a proxy, sorted by name. With `detailed` it tells the kind of proxy too. */
export function proxyStatusTable(rows: readonly Row[], detailed = false): string {
  return table(
    ['NAME', 'CLUSTER', 'CDS', 'LDS', 'EDS', 'RDS', 'ECDS', 'ISTIOD', 'VERSION', ...(detailed ? ['PROXY TYPE'] : [])],
    [...rows]
      .sort((a, b) => a.proxy.localeCompare(b.proxy))
      .map((row) => [
        row.proxy,
        row.cluster_id ?? '',
        syncState(row.cluster_sent, row.cluster_acked),
        syncState(row.listener_sent, row.listener_acked),
        syncState(row.endpoint_sent, row.endpoint_acked),
        syncState(row.route_sent, row.route_acked),
        syncState(row.extensionconfig_sent, row.extensionconfig_acked),
        row.istiod,
        row.istio_version ?? '',
        ...(detailed ? [row.proxy_type ?? ''] : []),
      ]),
    3,
  );
}

/** Whether a proxy, in istiod's notation POD.NAMESPACE, is in a namespace; undefined stands for all. Names of pods may have dots. */
export const isProxyOf = (proxy: string, namespace: string | undefined): boolean =>
  !namespace || proxy.slice(proxy.lastIndexOf('.') + 1) === namespace;

interface Rejection {
  readonly type: string;
  readonly message: string;
}

/** What proxies (of one namespace, or all) have rejected, by the name of the proxy, out of istiod's `adsz`. */
function rejectionsOf(body: string, namespace: string | undefined): readonly string[] {
  const { connectedClients = [] } = JSON.parse(body) as {
    readonly connectedClients?: readonly {
      readonly connectionId?: string;
      readonly rejections?: readonly Rejection[];
    }[];
  };
  return connectedClients.flatMap(({ connectionId = '', rejections = [] }) => {
    const proxy = connectionId.split('~')[2] ?? connectionId;
    return isProxyOf(proxy, namespace)
      ? rejections.map(({ type, message }) => `${proxy}: rejected ${type}: ${message}\n`)
      : [];
  });
}

async function allProxies(session: Session, flags: ProxyStatusFlags, ask: AskIstiod): Promise<number> {
  const detailed = wholeNumber(flags.verbosity, '--verbosity') > 0;
  const { namespace } = session.flags;
  const rows = (await ask('syncz'))
    .flatMap(({ istiod, body }) => syncStatuses(body).map((status): Row => ({ ...status, istiod })))
    .filter(({ proxy }) => isProxyOf(proxy, namespace));
  const format = formatFrom(flags.output, ['table', 'json', 'yaml', 'short']);
  if (format !== 'short') {
    session.out(structured(rows, format));
    return 0;
  }
  if (rows.length === 0)
    session.out(`No proxy${namespace ? ` of namespace ${namespace}` : ''} is connected to istiod.\n`);
  else session.out(proxyStatusTable(rows, detailed));
  if (detailed) {
    const rejected = (await ask('adsz')).flatMap(({ body }) => rejectionsOf(body, namespace));
    session.out(rejected.length > 0 ? `\n${rejected.join('')}` : '\nNo proxy has rejected anything.\n');
  }
  return 0;
}

/** What one of the istiods would send to a proxy. Raises CliError when the proxy is connected to none of them. */
async function wantedBy(ask: AskIstiod, proxy: string): Promise<ConfigDump> {
  const connected = (await ask('syncz')).flatMap(({ istiod, body }) =>
    syncStatuses(body).map(({ proxy: id }) => ({ id, istiod })),
  );
  const found = connected.find(({ id }) => id === proxy);
  if (!found)
    throw new CliError(
      `no proxy ${proxy} is connected to istiod: see all with istioctl proxy-status, and the log of its istio-proxy container for why`,
    );
  const [answer] = await ask(`config_dump?proxyID=${encodeURIComponent(proxy)}`, { name: found.istiod });
  return parseConfigDump(answer?.body ?? '', `istiod's answer about ${proxy}`);
}

async function oneProxy(session: Session, flags: ProxyStatusFlags, ask: AskIstiod, target: string): Promise<number> {
  const format = formatFrom(flags.output, ['table', 'json', 'yaml', 'short']);
  const pod = await proxyName(session, flags, target);
  const wanted = await wantedBy(ask, `${pod.name}.${pod.namespace}`);
  const text =
    flags.file !== undefined
      ? readInput(flags.file)
      : await podHttp(session.client(), pod, adminPort(flags), '/config_dump?include_eds');
  const actual = parseConfigDump(text, flags.file ?? `${pod.name}.${pod.namespace}`);
  const comparisons = compareDumps(wanted, actual);
  const matches = comparisons.every(({ differences }) => differences.length === 0);
  if (format === 'short') session.out(comparisons.map(comparisonText).join(''));
  else session.out(structured({ proxy: `${pod.name}.${pod.namespace}`, matches, comparisons }, format));
  return matches ? 0 : 1;
}

/** The proxy that is meant. With a dump from a file there may be no pod to ask any more, so its name is taken as it is. */
async function proxyName(session: Session, flags: ProxyStatusFlags, target: string) {
  if (flags.file === undefined || target.includes('/')) return findPod(session.client(), target, session.namespace());
  const dot = target.lastIndexOf('.');
  return dot > 0
    ? { name: target.slice(0, dot), namespace: target.slice(dot + 1) }
    : { name: target, namespace: session.namespace() };
}

/**
 * `istioctl proxy-status [POD[.NAMESPACE]]`: all proxies (with `--namespace` those of one namespace), or the comparison of what one has with what istiod would send. Ends with 1 when they differ,
 * when there is no control plane, or no such proxy.
 */
export async function runProxyStatus(session: Session, flags: ProxyStatusFlags, target?: string): Promise<number> {
  const ask = askIstiod(session, flags);
  if (target !== undefined) return oneProxy(session, flags, ask, target);
  if (flags.file !== undefined)
    throw new CliError('--file compares one proxy: name it, as in istioctl proxy-status POD --file dump.json');
  return allProxies(session, flags, ask);
}
