import type { VirtualService } from '@istio-ts/mesh/model';
import { isWildcard, mostSpecific } from './host-name.ts';

/** VirtualServices by host. On the same host the oldest one wins (lists come ordered by age). */
export type VirtualServiceIndex = ReadonlyMap<string, VirtualService>;

const appliesTo = (virtualService: VirtualService, gateway: string): boolean => {
  const gateways = virtualService.spec.gateways;
  return gateways === undefined || gateways.length === 0 ? gateway === 'mesh' : gateways.includes(gateway);
};

/** Indexes those VirtualServices that are bound to `gateway` (`mesh` or `namespace/name`) and pass `keep`. */
export function indexVirtualServices(
  virtualServices: readonly VirtualService[],
  gateway: string,
  keep: (virtualService: VirtualService) => boolean,
): VirtualServiceIndex {
  const byHost = new Map<string, VirtualService>();
  for (const virtualService of virtualServices) {
    if (!appliesTo(virtualService, gateway) || !keep(virtualService)) {
      continue;
    }
    for (const host of virtualService.spec.hosts ?? []) {
      const name = host.toLowerCase();
      if (!byHost.has(name)) {
        byHost.set(name, virtualService);
      }
    }
  }
  return byHost;
}

/** The VirtualService for a host: the one with the most specific host that covers it. */
export const virtualServiceFor = (index: VirtualServiceIndex, host: string): VirtualService | undefined =>
  isWildcard(host) ? (index.get(host) ?? mostSpecific(index, host)) : mostSpecific(index, host);
