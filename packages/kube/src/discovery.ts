import { isNotFound, KubeApiError } from './client.ts';
import { splitApiVersion } from './describe.ts';
import type { ResourceType } from './object.ts';
import type { Transport } from './transport.ts';

/** Finds the resource that serves a kind, and remembers what the server said about each group and version. */
export interface Discovery {
  resolve(apiVersion: string, kind: string): Promise<ResourceType>;
  /** Forgets a group and version, because an answer showed that it has changed. */
  invalidate(type: ResourceType): void;
}

interface ApiResource {
  readonly name: string;
  readonly kind: string;
  readonly namespaced: boolean;
  readonly group?: string;
  readonly version?: string;
}

export function createDiscovery(transport: Transport): Discovery {
  const groups = new Map<string, Promise<ReadonlyMap<string, ResourceType>>>();

  const read = async (apiVersion: string): Promise<ReadonlyMap<string, ResourceType>> => {
    const { group, version } = splitApiVersion(apiVersion);
    const path = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
    const { text } = await transport.text({ method: 'GET', path });
    const body = JSON.parse(text) as { readonly resources?: readonly ApiResource[] };
    const kinds = new Map<string, ResourceType>();
    for (const resource of body.resources ?? []) {
      // Subresources (pods/log) and kinds of other groups (deployments/scale) are not where the kind lives.
      if (resource.name.includes('/') || kinds.has(resource.kind)) continue;
      kinds.set(resource.kind, {
        group,
        version,
        resource: resource.name,
        kind: resource.kind,
        namespaced: resource.namespaced,
      });
    }
    return kinds;
  };

  const cached = (apiVersion: string): Promise<ReadonlyMap<string, ResourceType>> => {
    let kinds = groups.get(apiVersion);
    if (!kinds) {
      kinds = read(apiVersion);
      groups.set(apiVersion, kinds);
      kinds.catch(() => {
        if (groups.get(apiVersion) === kinds) groups.delete(apiVersion);
      });
    }
    return kinds;
  };

  const unknown = (apiVersion: string, kind: string): KubeApiError =>
    new KubeApiError(
      404,
      'NotFound',
      `The API server does not serve kind ${kind} of ${apiVersion}. Is its CustomResourceDefinition installed?`,
    );

  return {
    resolve: async (apiVersion, kind) => {
      try {
        const remembered = groups.has(apiVersion);
        const found = (await cached(apiVersion)).get(kind);
        if (found) return found;
        if (remembered) {
          // A CRD may have been added since.
          groups.delete(apiVersion);
          const fresh = (await cached(apiVersion)).get(kind);
          if (fresh) return fresh;
        }
      } catch (error) {
        if (isNotFound(error)) throw unknown(apiVersion, kind);
        throw error;
      }
      // The next question may come after the CRD does.
      groups.delete(apiVersion);
      throw unknown(apiVersion, kind);
    },
    invalidate: ({ group, version }) => {
      groups.delete(group === '' ? version : `${group}/${version}`);
    },
  };
}
