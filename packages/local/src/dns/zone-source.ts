import type { KubeObject } from '@istio-ts/kube';
import type { Informer } from '../controllers/informer.ts';
import { type EndpointSlice, keyOf, namespaceOf, type Service, type SliceEndpoint } from '../controllers/kinds.ts';
import { indexSlices } from '../network/service-proxy.ts';
import type { ZoneSource } from './zone.ts';

/** The zone as the API server's objects make it, with indexes by address. */
export function createZoneSource(
  services: Informer<Service>,
  slices: Informer<EndpointSlice>,
  namespaces: Informer<KubeObject>,
): ZoneSource {
  const byIP = new Map<string, string>();
  services.onChange(({ type, object, previous }) => {
    const old = previous?.spec.clusterIP;
    if (old !== undefined && byIP.get(old) === keyOf(object)) byIP.delete(old);
    const { clusterIP } = object.spec;
    if (type !== 'DELETED' && clusterIP !== undefined && clusterIP !== 'None' && clusterIP !== '') {
      byIP.set(clusterIP, keyOf(object));
    }
  });
  const endpoints = new Map<string, { namespace: string; service: string; endpoint: SliceEndpoint }>();
  slices.onChange(({ type, object, previous }) => {
    const service = object.metadata.labels?.['kubernetes.io/service-name'];
    for (const endpoint of previous?.endpoints ?? []) {
      for (const address of endpoint.addresses) {
        if (endpoints.get(address)?.service === service) endpoints.delete(address);
      }
    }
    if (type === 'DELETED' || service === undefined) return;
    for (const endpoint of object.endpoints ?? []) {
      for (const address of endpoint.addresses) {
        endpoints.set(address, { namespace: namespaceOf(object), service, endpoint });
      }
    }
  });
  const slicesOf = indexSlices(slices, () => {});
  return {
    service: (namespace, name) => services.get(namespace, name),
    slices: (namespace, service) => slicesOf(`${namespace}/${service}`),
    hasNamespace: (namespace) => namespaces.get('', namespace) !== undefined,
    serviceByIP(address) {
      const key = byIP.get(address);
      return key === undefined ? undefined : services.byKey(key);
    },
    endpointByIP(address) {
      const found = endpoints.get(address);
      if (found === undefined) return undefined;
      return services.get(found.namespace, found.service)?.spec.clusterIP === 'None' ? found : undefined;
    },
  };
}
