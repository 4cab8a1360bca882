import { syncState, syncStatuses, type SyncStatus } from '@istio-ts/envoy-dump/sync-status';
import { askControlPlane, controlPlanePods, debugPort } from '@istio-ts/envoy-dump/ask/control-plane';
import { podName } from '@istio-ts/envoy-dump/ask/pods';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { type ConfigDump, parseConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { fetchConfigDump } from '@istio-ts/envoy-dump/ask/config-dump';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { ProxyDetail, ProxyState } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { certificatesOf, proxyRows } from './rows.ts';

/** Port of Envoy's administration, on the loopback of its pod. */
const adminPort = 15000;

type Sync = ProxyState['sync'];

const types = {
  CDS: 'cluster',
  LDS: 'listener',
  EDS: 'endpoint',
  RDS: 'route',
  ECDS: 'extensionconfig',
} as const;

interface Rejection {
  readonly type: string;
  readonly message: string;
}

/** Reads istiod's `adsz`: what proxies have rejected, by the name of the proxy. */
export function rejectionsOf(body: string): ReadonlyMap<string, readonly Rejection[]> {
  const { connectedClients = [] } = JSON.parse(body) as {
    readonly connectedClients?: readonly {
      readonly connectionId?: string;
      readonly rejections?: readonly Partial<Rejection>[];
    }[];
  };
  return new Map(
    connectedClients.map(({ connectionId = '', rejections = [] }) => {
      // Connections are numbered after the name of their proxy: `pod.namespace-12`, or name the whole node.
      const name = connectionId.split('~')[2] ?? connectionId.replace(/-\d+$/, '');
      return [name, rejections.map(({ type = '', message = '' }) => ({ type, message }))];
    }),
  );
}

/** Short name of a type of Envoy's resources. */
const shortType = (type: string): string =>
  Object.hasOwn(types, type)
    ? type
    : /Cluster$/.test(type)
      ? 'CDS'
      : /Listener$/.test(type)
        ? 'LDS'
        : /ClusterLoadAssignment$/.test(type)
          ? 'EDS'
          : /RouteConfiguration$|VirtualHost$/.test(type)
            ? 'RDS'
            : /TypedExtensionConfig$/.test(type)
              ? 'ECDS'
              : type;

/** What istiod says of a proxy. Pure. */
export function proxyState(istiod: string, status: SyncStatus, rejections: readonly Rejection[]): ProxyState {
  const rejected = new Set(rejections.map(({ type }) => shortType(type)));
  const sync = Object.fromEntries(
    Object.entries(types).map(([type, field]) => [
      type,
      rejected.has(type)
        ? 'ERROR'
        : syncState(status[`${field}_sent` as keyof SyncStatus], status[`${field}_acked` as keyof SyncStatus]),
    ]),
  ) as Sync;
  const dot = status.proxy.lastIndexOf('.');
  const type = status.proxy_type;
  return {
    namespace: status.proxy.slice(dot + 1),
    pod: status.proxy.slice(0, dot),
    type: type === 'router' || type === 'waypoint' || type === 'ztunnel' ? type : 'sidecar',
    version: status.istio_version ?? '',
    istiod,
    sync,
    ...(rejections.length > 0 && {
      message: rejections.map(({ type: kind, message }) => `${shortType(kind)} rejected: ${message}`).join('; '),
    }),
  };
}

/** All proxies that are connected to the control plane. Raises ApiFailure when there is none, KubeApiError when the user may not ask it. */
export async function listProxies(client: KubeClient, istioNamespace: string): Promise<readonly ProxyState[]> {
  const pods = await controlPlanePods(client, istioNamespace);
  if (pods.length === 0)
    throw new ApiFailure(
      503,
      `no istiod runs in namespace ${istioNamespace}: install the mesh, or start the console with --istio-namespace`,
    );
  const [sync, ads] = await Promise.all([
    askControlPlane(client, pods, debugPort, '/debug/syncz'),
    askControlPlane(client, pods, debugPort, '/debug/adsz').catch(() => []),
  ]);
  const rejections = new Map(ads.flatMap(({ body }) => [...rejectionsOf(body)]));
  return sync
    .flatMap(({ pod, body }) =>
      syncStatuses(body).map((status) => proxyState(pod, status, rejections.get(status.proxy) ?? [])),
    )
    .sort((a, b) => (`${a.namespace}/${a.pod}` < `${b.namespace}/${b.pod}` ? -1 : 1));
}

/** Reads the answer of Envoy's `/logging`: `  admin: warning`. */
export const logLevelsOf = (body: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    body.split('\n').flatMap((line) => {
      const [, name, level] = /^\s+([\w.]+): (\w+)$/.exec(line) ?? [];
      return name !== undefined && level !== undefined ? [[name, level]] : [];
    }),
  );

/** A proxy's configuration, and who told it. */
export interface ProxyDump {
  readonly dump: ConfigDump;
  /** Undefined: the proxy itself; else why istiod was asked instead, which knows what it sends. */
  readonly insteadBecause: string | undefined;
}

/**
 * The configuration of one pod's Envoy: of itself, or, for those who may not reach it, what istiod sends it. Raises KubeApiError for who may reach
 * neither, and CliError when Envoy does not answer.
 */
export async function proxyDump(
  client: KubeClient,
  istioNamespace: string,
  namespace: string,
  pod: string,
): Promise<ProxyDump> {
  try {
    return { dump: await fetchConfigDump(client, { namespace, name: pod }, adminPort), insteadBecause: undefined };
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 403) throw error;
    const istiods = await controlPlanePods(client, istioNamespace);
    // Each istiod knows the proxies that are connected to it.
    for (const istiod of istiods.map(podName)) {
      const path = `/debug/config_dump?proxyID=${encodeURIComponent(`${pod}.${namespace}`)}`;
      const body = await podHttp(client, istiod, debugPort, path).catch((failure: unknown) => {
        if (failure instanceof KubeApiError) throw error;
        return undefined;
      });
      if (body !== undefined)
        return {
          dump: parseConfigDump(body, `istiod's answer about ${pod}.${namespace}`),
          insteadBecause: `This is what istiod sends the proxy. The proxy itself was not asked: ${error.message}`,
        };
    }
    throw error;
  }
}

/** Everything about one proxy. Raises as `listProxies`, and CliError when the pod's Envoy does not answer. */
export async function proxyDetail(
  client: KubeClient,
  istioNamespace: string,
  namespace: string,
  pod: string,
  now: number,
): Promise<ProxyDetail> {
  const [states, { dump, insteadBecause }, levels] = await Promise.all([
    listProxies(client, istioNamespace).catch((error: Error) => error),
    proxyDump(client, istioNamespace, namespace, pod),
    podHttp(client, { namespace, name: pod }, adminPort, '/logging', 'POST').catch(() => ''),
  ]);
  const known = Array.isArray(states)
    ? states.find((state) => state.pod === pod && state.namespace === namespace)
    : undefined;
  const state: ProxyState = known ?? {
    namespace,
    pod,
    type: 'sidecar',
    version: '',
    istiod: '',
    sync: {},
    message:
      states instanceof Error ? states.message : 'It is connected to no istiod: its istio-proxy container logs why',
  };
  const message = [state.message, insteadBecause].filter((each) => each !== undefined).join('. ');
  return {
    ...state,
    ...(message !== '' && { message }),
    ...proxyRows(dump),
    certificates: certificatesOf(dump, now),
    logLevels: logLevelsOf(levels),
  };
}
