import type { StatusClientConfig } from '@istio-ts/envoy';
import type { SyncStatus } from '@istio-ts/envoy-dump/sync-status';
import type { ConnectedProxy } from './connections.ts';
import { TypeUrl } from './resource-kinds.ts';

const COLUMNS = [
  ['cluster', TypeUrl.cluster],
  ['listener', TypeUrl.listener],
  ['route', TypeUrl.route],
  ['endpoint', TypeUrl.endpoint],
  ['extensionconfig', TypeUrl.extension],
] as const;

/** One row of `/debug/syncz` as stock tools read it. */
export function syncStatus(proxy: ConnectedProxy): SyncStatus {
  const statuses = new Map(proxy.statuses().map((status) => [status.typeUrl, status]));
  const row: Record<string, string> = {};
  for (const [name, typeUrl] of COLUMNS) {
    const status = statuses.get(typeUrl);
    if (status === undefined) continue;
    // Routes are in sync when their virtual hosts are.
    const hosts = typeUrl === TypeUrl.route ? statuses.get(TypeUrl.virtualHost) : undefined;
    const both = (routes: string, ofHosts: string | undefined): string =>
      routes === '' || ofHosts === undefined || hosts?.nonceSent === '' ? routes : `${routes}/${ofHosts}`;
    const sent = both(status.nonceSent, hosts?.nonceSent);
    const acked = both(status.nonceAcked, hosts?.nonceAcked);
    if (sent !== '') row[`${name}_sent`] = sent;
    if (acked !== '') row[`${name}_acked`] = acked;
  }
  return {
    ...textField('cluster_id', proxy.node.metadata.CLUSTER_ID),
    proxy: proxyName(proxy),
    proxy_type: proxy.node.type,
    ...textField('istio_version', proxy.node.metadata.ISTIO_VERSION),
    ...row,
  };
}

/** `pod.namespace`, as proxy-status prints it. */
export function proxyName(proxy: ConnectedProxy): string {
  return `${proxy.node.podName}.${proxy.node.namespace}`;
}

/** The same in the form of Envoy's client status discovery (envoy.service.status.v3), which newer tools ask for. */
export function clientConfig(proxy: ConnectedProxy): StatusClientConfig {
  const { node } = proxy;
  const metadata: Record<string, string> = {};
  for (const key of ['CLUSTER_ID', 'ISTIO_VERSION', 'NAMESPACE', 'PROXY_CONFIG', 'NODE_NAME']) {
    const value = node.metadata[key];
    if (typeof value === 'string') metadata[key] = value;
  }
  return {
    node: { id: node.id, cluster: node.cluster, metadata },
    genericXdsConfigs: proxy.statuses().map((status) => ({
      typeUrl: status.typeUrl,
      versionInfo: status.nonceAcked,
      configStatus: status.state,
      ...(status.sentAt === undefined ? {} : { lastUpdated: new Date(status.sentAt).toISOString() }),
      ...(status.rejection === undefined
        ? {}
        : {
            errorState: {
              details: status.rejection.message,
              versionInfo: status.rejection.nonce,
              lastUpdateAttempt: new Date(status.rejection.at).toISOString(),
            },
          }),
    })),
  };
}

function textField<K extends string>(key: K, value: unknown): { [key in K]?: string } {
  return typeof value === 'string' && value !== '' ? ({ [key]: value } as { [key in K]?: string }) : {};
}
