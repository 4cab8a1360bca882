import { join } from 'node:path';
import { pluginEntry } from '../config/plugin-settings.ts';

/** Any JSON object. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** The plugin's entry of a chain whose files lie below `root`. */
export function pluginEntryWith(root: string): JsonObject {
  return pluginEntry({
    logLevel: 'info',
    kubeconfig: join(root, 'kubeconfig'),
    binDir: join(root, 'bin'),
    excludeNamespaces: ['kube-system'],
    agentRunDir: join(root, 'run'),
  });
}
