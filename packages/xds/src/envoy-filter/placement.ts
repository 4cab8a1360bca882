import type { Message } from './merge.ts';
import { isNamed } from './names.ts';
import type { Patch } from './patch.ts';

/** Filters by which a class of filters (EnvoyFilter reference, FilterClass) finds its place. */
const AUTHENTICATION = ['envoy.filters.http.jwt_authn', 'envoy.filters.network.set_filter_state', 'istio_authn'];
const AUTHORIZATION = ['envoy.filters.http.rbac', 'envoy.filters.http.ext_authz', 'envoy.filters.network.rbac'];
const STATISTICS = {
  http: [
    'istio.stats',
    'envoy.filters.http.grpc_stats',
    'istio.alpn',
    'envoy.filters.http.fault',
    'envoy.filters.http.router',
  ],
  network: ['istio.stats', 'envoy.filters.network.tcp_proxy', 'envoy.filters.network.http_connection_manager'],
};

const isOneOf = (names: readonly string[]) => (filter: Message) => names.some((name) => isNamed(filter, name));

/** Where the class of an added filter puts it; undefined for a patch without a class. Filters of a class stay in the order of their patches. */
export function byClass(patch: Patch, kind: 'http' | 'network'): ((items: readonly Message[]) => number) | undefined {
  const after =
    (names: readonly string[], classes: readonly string[]) =>
    (items: readonly Message[]): number =>
      items.findLastIndex((item) => isOneOf(names)(item) || classes.includes(placedClass.get(item) ?? '')) + 1;
  const noted =
    (place: (items: readonly Message[]) => number) =>
    (items: readonly Message[]): number => {
      placedClass.set(patch.value, patch.filterClass);
      return place(items);
    };
  switch (patch.filterClass) {
    case 'UNSPECIFIED':
      return undefined;
    case 'AUTHN':
      return noted(after(AUTHENTICATION, ['AUTHN']));
    case 'AUTHZ':
      return noted(after([...AUTHENTICATION, ...AUTHORIZATION], ['AUTHN', 'AUTHZ']));
    case 'STATS':
      return noted((items) => {
        const at = items.findIndex(isOneOf(STATISTICS[kind]));
        return at < 0 ? items.length : at;
      });
    default: {
      const unknown: never = patch.filterClass;
      return unknown;
    }
  }
}

/** Classes of filters that patches have put into a list; a filter is its patch's value. */
const placedClass = new WeakMap<Message, string>();
