import type { MeshConfig } from '@istio-ts/api';
import { memoByInputs } from '../memo.ts';
import { mostSpecific } from '../route/host-name.ts';

const settingsByHost = memoByInputs(
  (mesh: MeshConfig) => [mesh],
  (mesh): ReadonlyMap<string, boolean> =>
    new Map(
      (mesh.serviceSettings ?? []).flatMap(({ hosts = [], settings }) =>
        hosts.map((host) => [host.toLowerCase(), settings?.clusterLocal === true] as const),
      ),
    ),
);

/** What every cluster has of its own: its system services and its API server. */
const isOfTheCluster = (hostname: string): boolean =>
  /^[^.]+\.kube-system\.svc\./.test(hostname) || hostname.startsWith('kubernetes.default.svc.');

/**
 * Whether traffic to a service stays in the client's cluster (MeshConfig, `serviceSettings`: the most specific host decides). Unless the mesh says
 * otherwise that is so for what every cluster has of its own.
 */
export const isClusterLocal = (hostname: string, mesh: MeshConfig): boolean =>
  mostSpecific(settingsByHost(mesh), hostname) ?? isOfTheCluster(hostname);
