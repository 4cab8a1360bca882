import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import type { Connections } from '../ads/connections.ts';
import { proxyName } from '../ads/sync-status.ts';

interface Version {
  readonly generation: number;
  readonly resourceVersion: string;
}

/** What istiod knows of one object's way to its proxies. */
export interface Distribution {
  /** `KIND/NAMESPACE/NAME`. */
  readonly resource: string;
  /** The version that all proxies' configuration is made from; absent when istiod has not seen the object. */
  readonly inForce?: Version;
  /** Why istiod ignores the object. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  /** `delivered`: the proxy has confirmed everything that istiod has for it, `rejected`: it refused some of it. */
  readonly proxies: readonly { readonly proxy: string; readonly state: 'delivered' | 'pending' | 'rejected' }[];
}

export interface DistributionOptions {
  readonly connections: Connections;
  /** Problems of an object, by its key. */
  readonly problems: (resource: string) => Distribution['problems'];
  /** Runs work after what is scheduled now; `setImmediate`. */
  readonly soon: (work: () => void) => void;
}

const keyOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.namespace ?? ''}/${metadata.name ?? ''}`;

/**
 * Remembers which version of each object of Istio the proxies' configuration is made from, so that a user can wait until a change has arrived
 * (`istioctl experimental wait`).
 */
export function createConfigDistribution({ connections, problems, soon }: DistributionOptions): {
  /** Hears of each object as it is about to be applied to the model. */
  readonly observe: (object: KubeObject) => void;
  readonly of: (resource: string) => Distribution;
} {
  const inForce = new Map<string, Version>();
  return {
    observe: (object) => {
      if (!Object.hasOwn(istioTypes, object.kind)) return;
      const { generation = 0, resourceVersion = '' } = object.metadata;
      // The model applies the object in this turn and proxies' configuration changes in the next: then this version is in force.
      soon(() => soon(() => inForce.set(keyOf(object), { generation, resourceVersion })));
    },
    of: (resource) => {
      const version = inForce.get(resource);
      return {
        resource,
        ...(version && { inForce: version }),
        problems: problems(resource),
        proxies: connections.all().map((proxy) => {
          const statuses = proxy.statuses();
          return {
            proxy: proxyName(proxy),
            state: statuses.some(({ pending }) => pending)
              ? 'pending'
              : statuses.some(({ rejection }) => rejection !== undefined)
                ? 'rejected'
                : 'delivered',
          };
        }),
      };
    },
  };
}
