import type { KubeObject } from '@istio-ts/kube';
import { type ContainerFacts, deploymentOf, type PodFilter, selects } from './filter.ts';

/** A container whose log belongs into the report. */
export interface ContainerTarget extends ContainerFacts {
  /** It has been started again, so there is a log of its predecessor. */
  readonly restarted: boolean;
  readonly running: boolean;
}

/** A pod of the mesh: istiod, a gateway, or one with a sidecar. */
export interface PodTarget {
  readonly namespace: string;
  readonly name: string;
  readonly role: 'istiod' | 'proxy' | 'cni' | 'operator';
  readonly containers: readonly ContainerTarget[];
}

interface ContainerSpec {
  readonly name: string;
}
interface ContainerStatus {
  readonly name: string;
  readonly restartCount?: number;
  readonly state?: { readonly running?: object };
}

const proxyContainer = 'istio-proxy';

function roleOf(pod: KubeObject, containers: readonly string[], istioNamespace: string): PodTarget['role'] | undefined {
  const { namespace, labels = {} } = pod.metadata;
  if (containers.includes(proxyContainer)) return 'proxy';
  if (namespace === istioNamespace && labels.app === 'istiod') return 'istiod';
  if (labels['k8s-app'] === 'istio-cni-node') return 'cni';
  if (labels.name === 'istio-operator') return 'operator';
  return undefined;
}

/** The pods of the mesh that the filters select, with those of their containers that they select. The control plane always belongs to them. */
export function findTargets(
  pods: readonly KubeObject[],
  filters: { readonly include: readonly PodFilter[]; readonly exclude: readonly PodFilter[] },
  istioNamespace: string,
): readonly PodTarget[] {
  return pods.flatMap((pod): PodTarget[] => {
    const spec = pod.spec as
      | {
          readonly containers?: readonly ContainerSpec[];
          readonly initContainers?: readonly (ContainerSpec & { readonly restartPolicy?: string })[];
        }
      | undefined;
    // Native sidecars are init containers that go on running.
    const sidecars = (spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === 'Always');
    const containers = [...sidecars, ...(spec?.containers ?? [])].map(({ name }) => name);
    const role = roleOf(pod, containers, istioNamespace);
    if (!role) return [];
    const status = pod.status as
      | {
          readonly containerStatuses?: readonly ContainerStatus[];
          readonly initContainerStatuses?: readonly ContainerStatus[];
        }
      | undefined;
    const statuses = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
    const { name = '', namespace = '', labels = {}, annotations = {} } = pod.metadata;
    const targets = containers.map((container): ContainerTarget => {
      const state = statuses.find((each) => each.name === container);
      return {
        namespace,
        deployment: deploymentOf(pod),
        pod: name,
        labels,
        annotations,
        container,
        restarted: (state?.restartCount ?? 0) > 0,
        running: state?.state?.running !== undefined,
      };
    });
    const isControlPlane = role === 'istiod' || role === 'cni' || role === 'operator';
    // Applications' own logs are left out unless a filter names containers: they are the users' business.
    const namesContainers = filters.include.some((filter) => filter.containers.length > 0);
    const wanted = isControlPlane
      ? targets
      : targets.filter(
          (target) => selects(filters, target) && (namesContainers || target.container === proxyContainer),
        );
    return wanted.length === 0 ? [] : [{ namespace, name, role, containers: wanted }];
  });
}
