import type { Informer } from '../controllers/informer.ts';
import { type EndpointSlice, keyOf, namespaceOf, type Service } from '../controllers/kinds.ts';
import { NODE_ADDRESS } from './addresses.ts';
import type { PacketFilter } from './packet-filter.ts';
import { serviceRules } from './service-rules.ts';

/** Slices of each service, by `namespace/name` of the service. */
export function indexSlices(slices: Informer<EndpointSlice>, onService: (key: string) => void) {
  const byService = new Map<string, Map<string, EndpointSlice>>();
  slices.onChange(({ type, object }) => {
    const service = object.metadata.labels?.['kubernetes.io/service-name'];
    if (service === undefined) return;
    const key = `${namespaceOf(object)}/${service}`;
    const list = byService.get(key) ?? new Map<string, EndpointSlice>();
    if (type === 'DELETED') list.delete(keyOf(object));
    else list.set(keyOf(object), object);
    if (list.size === 0) byService.delete(key);
    else byService.set(key, list);
    onService(key);
  });
  return (key: string): EndpointSlice[] => [...(byService.get(key)?.values() ?? [])];
}

/** Keeps the packet filter in step with services and their endpoints; changes that come together are applied together. */
export function startServiceProxy(
  services: Informer<Service>,
  slices: Informer<EndpointSlice>,
  filter: PacketFilter,
  onError: (error: Error) => void,
): { readonly flush: () => Promise<void> } {
  const dirty = new Set<string>();
  let scheduled = false;
  let ready = false;
  const flush = async () => {
    for (const key of dirty) {
      const service = services.byKey(key);
      filter.set(key, service === undefined ? [] : serviceRules(service, slicesOf(key), NODE_ADDRESS));
    }
    dirty.clear();
    await filter.flush();
  };
  const touch = (key: string) => {
    dirty.add(key);
    if (scheduled || !ready) return;
    scheduled = true;
    setTimeout(() => {
      scheduled = false;
      flush().catch((error: Error) => {
        onError(error);
        setTimeout(() => touch(key), 1000).unref();
      });
    }, 2);
  };
  const slicesOf = indexSlices(slices, touch);
  services.onChange(({ object }) => touch(keyOf(object)));
  return {
    flush() {
      ready = true;
      return flush();
    },
  };
}
