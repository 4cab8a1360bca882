import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import type { NativeSidecarSetting, Surroundings, TrustBundle } from '@istio-ts/injector';
import type { KubeClient, KubeObject, ResourceType } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

/** Follows one kind; `reduce` keeps of each object only what is needed. */
function follow(
  client: KubeClient,
  type: ResourceType,
  reduce: (object: KubeObject) => KubeObject,
  log: Logger,
): { readonly objects: Map<string, KubeObject>; readonly synced: Promise<void>; readonly close: () => void } {
  const objects = new Map<string, KubeObject>();
  const { promise: synced, resolve } = Promise.withResolvers<void>();
  const watch = client.watch(
    type,
    {},
    (event) => {
      if (event.type === 'SYNCED') return resolve();
      const { metadata } = event.object;
      const key = `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
      if (event.type === 'DELETED') objects.delete(key);
      else objects.set(key, reduce(event.object));
    },
    (error) => log.debug(`watch of ${type.resource}: ${error.message}`),
  );
  return { objects, synced, close: () => watch.close() };
}

const bare = ({ apiVersion, kind, metadata }: KubeObject, changes: Partial<KubeObject> = {}): KubeObject => ({
  apiVersion,
  kind,
  metadata: {
    ...(metadata.name !== undefined && { name: metadata.name }),
    ...(metadata.namespace !== undefined && { namespace: metadata.namespace }),
    ...(metadata.annotations !== undefined && { annotations: metadata.annotations }),
    ...(metadata.creationTimestamp !== undefined && { creationTimestamp: metadata.creationTimestamp }),
  },
  ...changes,
});

/** Follows what injection depends on beside its templates: ProxyConfigs, namespaces and nodes; `trustBundle` is asked for each pod. */
export function watchSurroundings(
  client: KubeClient,
  nativeSidecars: NativeSidecarSetting,
  log: Logger,
  trustBundle: () => TrustBundle = () => 'absent',
): { readonly of: (namespace: string) => Surroundings; readonly synced: Promise<unknown>; readonly close: () => void } {
  const configs = follow(client, istioTypes.ProxyConfig, (object) => object, log);
  const namespaces = follow(client, kubernetesTypes.Namespace, (object) => bare(object), log);
  const nodes = follow(
    client,
    kubernetesTypes.Node,
    (object) => {
      const { nodeInfo } = (object.status ?? {}) as { readonly nodeInfo?: { readonly kubeletVersion?: string } };
      return bare(object, { status: { nodeInfo: { kubeletVersion: nodeInfo?.kubeletVersion ?? '' } } });
    },
    log,
  );
  const all = [configs, namespaces, nodes];
  return {
    of: (namespace) => ({
      proxyConfigs: [...configs.objects.values()],
      nodes: [...nodes.objects.values()],
      namespace: namespaces.objects.get(`/${namespace}`),
      nativeSidecars,
      trustBundle: trustBundle(),
    }),
    synced: Promise.all(all.map(({ synced }) => synced)),
    close: () => {
      for (const { close } of all) close();
    },
  };
}
