export interface ClusterName {
  readonly direction: string;
  readonly port: number | undefined;
  readonly subset: string;
  readonly fqdn: string;
}

export interface ClusterFilter {
  readonly fqdn?: string;
  readonly port?: number;
  readonly subset?: string;
  readonly direction?: string;
}

/** Takes `outbound|80|v1|host` apart; any other name is its own FQDN. */
export function parseClusterName(name: string): ClusterName {
  const parts = name.split('|');
  if (parts.length !== 4) return { direction: '', port: undefined, subset: '', fqdn: name };
  const [direction = '', port = '', subset = '', fqdn = ''] = parts;
  return { direction, port: Number(port), subset, fqdn };
}

/** Accepts `inbound`, `INBOUND`, `outbound` and so on. */
export function directionOf(text: string): string {
  return text.toLowerCase();
}
