import type { Counter, Gauge, MetricsRegistry } from '@istio-ts/metrics';

/** What the installer, the plugin and the repair of a node count, by Istio's names. */
export interface CniMetrics {
  readonly ready: Gauge;
  readonly installs: Counter;
  readonly requests: Counter;
  readonly repairs: Counter;
}

export function createCniMetrics(registry: MetricsRegistry): CniMetrics {
  const ready = registry.gauge('istio_cni_install_ready', 'Whether the plugin is installed on this node.');
  ready.set(0);
  return {
    ready,
    installs: registry.counter('istio_cni_installs_total', 'Installations of the plugin, by result.'),
    requests: registry.counter('istio_cni_plugin_requests_total', 'Pod networks the plugin was called for.'),
    repairs: registry.counter(
      'istio_cni_repair_pods_repaired_total',
      'Pods that started without rules, by what was done.',
    ),
  };
}
