/**
 * What istiod says of one connected proxy (a row of `/debug/syncz`): nonces that were sent and acknowledged by type, missing or empty where there was
 * nothing.
 */
export interface SyncStatus {
  readonly cluster_id?: string;
  /** `pod.namespace` */
  readonly proxy: string;
  readonly proxy_type?: string;
  readonly istio_version?: string;
  readonly cluster_sent?: string;
  readonly cluster_acked?: string;
  readonly listener_sent?: string;
  readonly listener_acked?: string;
  readonly route_sent?: string;
  readonly route_acked?: string;
  readonly endpoint_sent?: string;
  readonly endpoint_acked?: string;
  readonly extensionconfig_sent?: string;
  readonly extensionconfig_acked?: string;
}

/** Reads the answer of `/debug/syncz`; an empty mesh answers with null or an empty list. */
export function syncStatuses(body: string): readonly SyncStatus[] {
  const parsed: unknown = JSON.parse(body);
  return Array.isArray(parsed) ? (parsed as readonly SyncStatus[]) : [];
}

/** SYNCED: the proxy has what was sent. STALE: it has not confirmed it. NOT SENT: there was nothing to send. */
export function syncState(sent: string | undefined, acked: string | undefined): string {
  if (!sent) return 'NOT SENT';
  return sent === acked ? 'SYNCED' : 'STALE';
}
