/** Kubernetes of this minor version and later has init containers that keep running as a stable feature (Kubernetes' documentation, "Sidecar Containers"). */
const STABLE_MINOR = 33;

export type NativeSidecarSetting = 'auto' | 'true' | 'false';

/** Reads ENABLE_NATIVE_SIDECARS; undefined for a text that is none of its values. Not given means `auto`. */
export function parseNativeSidecars(text: string | undefined): NativeSidecarSetting | undefined {
  if (text === undefined || text === '') return 'auto';
  const word = text.toLowerCase();
  return word === 'auto' || word === 'true' || word === 'false' ? word : undefined;
}

/** Whether proxies become native sidecars: as it is set, else when the kubelets of all nodes (`v1.34.1`) are new enough. */
export function usesNativeSidecars(setting: NativeSidecarSetting, kubelets: readonly string[]): boolean {
  if (setting !== 'auto') return setting === 'true';
  const minors = kubelets.map((version) => Number(/^v?1\.(\d+)/.exec(version)?.[1] ?? 0));
  return minors.length > 0 && minors.every((minor) => minor >= STABLE_MINOR);
}
