import { KubeApiError } from '@istio-ts/kube';
import type { Pod } from '../controllers/kinds.ts';
import { ConfigError } from './environment.ts';
import type { PodPaths } from './paths.ts';
import type { NodeContext } from './pod-worker.ts';
import { type MountedVolume, mountVolume, type VolumeContext } from './volumes.ts';

/** Milliseconds until a volume that could not be made is tried again. */
const MOUNT_RETRY = 1000;

/** The volumes of one pod on the node. */
export interface PodVolumes {
  /** Makes what is missing and brings up to date what has changed. False when the pod cannot start yet. */
  ensure(): Promise<boolean>;
  /** Something that a volume comes from may have changed. */
  touch(): void;
  readonly stale: () => boolean;
  /** Folders by name of the volume. */
  folders(): ReadonlyMap<string, string>;
  unmount(): Promise<void>;
}

/** What the volumes need to know of their pod. */
export interface VolumeOwner {
  readonly context: NodeContext;
  readonly paths: PodPaths;
  readonly pod: () => Pod;
  readonly podIP: () => string;
  /** The object is gone from the API server. */
  readonly gone: () => boolean;
  readonly wakeIn: (milliseconds: number) => void;
}

export function createPodVolumes({ context, paths, pod, podIP, gone, wakeIn }: VolumeOwner): PodVolumes {
  const mounted = new Map<string, MountedVolume>();
  let stale = true;
  return {
    async ensure() {
      const volumes = pod().spec.volumes ?? [];
      const due = [...mounted.values()].some(({ refreshAt }) => refreshAt !== undefined && refreshAt <= Date.now());
      if (!stale && !due) return true;
      const first = mounted.size < volumes.length;
      stale = false;
      const volumeContext: VolumeContext = { ...context.volumes, facts: { ...context.facts, podIP: podIP() } };
      for (const volume of volumes) {
        try {
          const earlier = mounted.get(volume.name)?.refreshAt;
          mounted.set(volume.name, await mountVolume(volumeContext, pod(), volume, paths.volume(volume.name), earlier));
        } catch (error) {
          const message = error instanceof Error ? error.message : String(error);
          stale = true;
          wakeIn(MOUNT_RETRY);
          // A running pod keeps the old content when something it came from has gone.
          if (!first) continue;
          if (gone()) return false;
          const text = `MountVolume.SetUp failed for volume "${volume.name}" : ${message}`;
          context.events.record(pod(), 'Warning', 'FailedMount', text);
          if (!(error instanceof ConfigError) && !(error instanceof KubeApiError)) context.log(String(error));
          return false;
        }
      }
      for (const { refreshAt } of mounted.values()) if (refreshAt !== undefined) wakeIn(refreshAt - Date.now());
      return true;
    },
    touch() {
      stale = true;
    },
    stale: () => stale,
    folders: () => new Map([...mounted].map(([name, { path }]) => [name, path])),
    async unmount() {
      for (const volume of pod().spec.volumes ?? [])
        if (volume.emptyDir?.medium === 'Memory')
          await context.volumes.run('umount', ['-l', paths.volume(volume.name)]).catch(() => {});
      mounted.clear();
      stale = true;
    },
  };
}
