import type { KubeObject } from '@istio-ts/kube';

/** One pod in the words of `kubectl get pods`. */
export interface PodProgress {
  readonly name: string;
  readonly ready: number;
  readonly containers: number;
  readonly done: boolean;
  /** Why it is not ready, when Kubernetes says: `CrashLoopBackOff`, `ErrImagePull`, ... */
  readonly reason: string | undefined;
  /** The container that the reason is about. */
  readonly container: string | undefined;
}

interface ContainerStatus {
  readonly name: string;
  readonly ready?: boolean;
  readonly state?: { readonly waiting?: { readonly reason?: string } };
}

interface PodSpec {
  readonly containers: readonly unknown[];
  readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[];
}

interface PodStatus {
  readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

/** Reasons that do not go away by waiting a little. */
const failures = new Set([
  'CrashLoopBackOff',
  'ErrImagePull',
  'ImagePullBackOff',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
]);

export function progressOf(pod: KubeObject): PodProgress {
  const status = (pod.status ?? {}) as PodStatus;
  const spec = pod.spec as PodSpec;
  // Proxies that are native sidecars count as kubectl counts them.
  const sidecars = (spec.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
  const isSidecar = ({ name }: ContainerStatus): boolean => sidecars.some((sidecar) => sidecar.name === name);
  const containers = [...(status.initContainerStatuses ?? []).filter(isSidecar), ...(status.containerStatuses ?? [])];
  const failing = [...(status.initContainerStatuses ?? []), ...containers].find(({ state }) =>
    failures.has(state?.waiting?.reason ?? ''),
  );
  return {
    name: pod.metadata.name ?? '',
    ready: containers.filter(({ ready }) => ready).length,
    containers: spec.containers.length + sidecars.length,
    done:
      pod.metadata.deletionTimestamp === undefined &&
      (status.conditions ?? []).some(({ type, status: is }) => type === 'Ready' && is === 'True'),
    reason: failing?.state?.waiting?.reason,
    container: failing?.name,
  };
}
