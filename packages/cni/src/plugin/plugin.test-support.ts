import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';
import { pluginEntry } from '../config/plugin-settings.ts';
import { installPrograms } from '../install/programs.ts';

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

/** Puts the plugin into a folder as on a node: the bundle, the runtime that comes with it, and the launcher. */
export async function installPlugin(root: string): Promise<string> {
  const bin = join(root, 'bin');
  await mkdir(bin);
  const bundle = join(root, 'istio-cni.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, '../bin/istio-cni.ts')],
    outfile: bundle,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
  });
  await installPrograms({ bundle, runtime: process.execPath, nodeRuntime: undefined }, bin);
  return bin;
}
