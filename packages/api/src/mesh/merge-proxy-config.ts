type Fields = Readonly<Record<string, unknown>>;

/** Fields whose own fields are laid over each other one by one: variables, and headers, each of which is a setting of its own. */
const ADDED_UP: ReadonlySet<string> = new Set(['proxyMetadata', 'proxyHeaders']);

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const camelCase = (name: string): string => name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());

/**
 * Lays the settings of a proxy (ProxyConfig, in ProtoJSON) over others: a field replaces the other's as a whole, so `tracing: {sampling: 5}` leaves nothing of
 * the tracing below it; only variables and headers add up (Istio's reference, MeshConfig, "ProxyConfig").
 */
export function mergeProxyConfig(base: Fields, over: Fields): Readonly<Record<string, unknown>> {
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const name = camelCase(key);
    const before = merged.get(name);
    merged.set(name, ADDED_UP.has(name) && isFields(before) && isFields(value) ? { ...before, ...value } : value);
    // Two ways to say the same: who says one means not the other.
    if (name === 'serviceCluster') merged.delete('tracingServiceName');
    if (name === 'tracingServiceName') merged.delete('serviceCluster');
  }
  return Object.fromEntries(merged);
}
