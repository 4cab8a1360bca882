import type { Json, JsonObject } from './network-list.ts';
import { PLUGIN_TYPE } from './network-list.ts';

/** What the installer tells the plugin through the CNI configuration; paths are the node's. */
export interface PluginSettings {
  readonly logLevel: string;
  readonly kubeconfig: string;
  readonly binDir: string;
  /** Namespaces whose pods are left alone. */
  readonly excludeNamespaces: readonly string[];
  /** Folder with the agent's sockets. */
  readonly agentRunDir: string;
  /** Namespace of the agent; its pods get their network without being asked about. */
  readonly agentNamespace?: string;
  /** Back-end of the rules; found out per pod when absent. */
  readonly backend?: 'nft' | 'legacy';
  /** Whose programs write the rules; when absent the node's, and the agent's where the node has none. */
  readonly rulesBy?: 'node' | 'agent';
}

/** The plugin's entry in the chain, with the field names that Istio's plugin has there. */
export function pluginEntry(settings: PluginSettings): JsonObject {
  return {
    type: PLUGIN_TYPE,
    log_level: settings.logLevel,
    cni_agent_run_dir: settings.agentRunDir,
    ...(settings.agentNamespace !== undefined && { pod_namespace: settings.agentNamespace }),
    ...(settings.backend !== undefined && { iptables_backend: settings.backend }),
    ...(settings.rulesBy !== undefined && { rules_by: settings.rulesBy }),
    kubernetes: {
      kubeconfig: settings.kubeconfig,
      cni_bin_dir: settings.binDir,
      exclude_namespaces: settings.excludeNamespaces,
    },
  };
}

const text = (value: Json | undefined): string | undefined =>
  typeof value === 'string' && value !== '' ? value : undefined;

/**
 * Reads the entry back. Newer names (`plugin_log_level`, `exclude_namespaces` beside `kubernetes`) are understood as well, as configurations
 * written by hand for Multus have them. Raises an Error that names the field.
 */
export function readPluginEntry(entry: JsonObject): PluginSettings {
  const nested = entry.kubernetes;
  const kubernetes: JsonObject =
    typeof nested === 'object' && nested !== null && !Array.isArray(nested) ? (nested as JsonObject) : {};
  const excluded = kubernetes.exclude_namespaces ?? entry.exclude_namespaces ?? [];
  if (!Array.isArray(excluded) || !excluded.every((name) => typeof name === 'string'))
    throw new Error('kubernetes.exclude_namespaces: a list of names is expected');
  const backend = text(entry.iptables_backend);
  if (backend !== undefined && backend !== 'nft' && backend !== 'legacy')
    throw new Error(`iptables_backend: "${backend}" is neither nft nor legacy`);
  const rulesBy = text(entry.rules_by);
  if (rulesBy !== undefined && rulesBy !== 'node' && rulesBy !== 'agent')
    throw new Error(`rules_by: "${rulesBy}" is neither node nor agent`);
  const agentNamespace = text(entry.pod_namespace);
  return {
    logLevel: text(entry.log_level) ?? text(entry.plugin_log_level) ?? 'info',
    kubeconfig: text(kubernetes.kubeconfig) ?? '/etc/cni/net.d/ZZZ-istio-cni-kubeconfig',
    binDir: text(kubernetes.cni_bin_dir) ?? '/opt/cni/bin',
    excludeNamespaces: excluded,
    agentRunDir: text(entry.cni_agent_run_dir) ?? '/var/run/istio-cni',
    ...(agentNamespace !== undefined && { agentNamespace }),
    ...(backend !== undefined && { backend }),
    ...(rulesBy !== undefined && { rulesBy }),
  };
}
