import { type Collection, map } from '@istio-ts/collections';
import { type HeadlessPod, identitiesOf, mutualTlsPorts, podsOf } from '../endpoints.ts';
import type { Service, ServiceEndpoints } from '../model.ts';

/** What clients' configuration takes from a service's endpoints beside the endpoints themselves; all of it changes far less often. By `namespace/hostname`. */
export interface EndpointSummaries {
  /** Pods of headless services of Kubernetes: their addresses are what clients dial. */
  readonly headlessPods: Collection<readonly HeadlessPod[]>;
  /** Identities behind a service. */
  readonly identities: Collection<readonly string[]>;
  /** Names of the ports of a service whose endpoints all take mutual TLS. */
  readonly mutualTlsPorts: Collection<readonly string[]>;
  /** Endpoints of the services whose addresses the proxy itself resolves: they are part of a cluster. */
  readonly resolvedByProxy: Collection<ServiceEndpoints>;
}

export function createEndpointSummaries(
  services: Collection<Service>,
  endpoints: Collection<ServiceEndpoints>,
): EndpointSummaries {
  const headless = map(
    services,
    (service, key, fetch) => (service.headless ? podsOf(fetch.get(endpoints, key)?.endpoints ?? []) : undefined),
    { name: 'pods of headless services' },
  );
  const byService = map(
    services,
    (service, key, fetch) => {
      const found = identitiesOf(service, fetch.get(endpoints, key)?.endpoints ?? []);
      return found.length > 0 ? found : undefined;
    },
    { name: 'identities' },
  );
  const portsOfMutualTls = map(
    services,
    (_service, key, fetch) => {
      const ports = mutualTlsPorts(fetch.get(endpoints, key)?.endpoints ?? []);
      return ports.length > 0 ? ports : undefined;
    },
    { name: 'ports with mutual TLS' },
  );
  const resolvedByProxy = map(
    services,
    (service, key, fetch) =>
      service.resolution === 'dns' || service.resolution === 'dns-round-robin' ? fetch.get(endpoints, key) : undefined,
    { name: 'endpoints that proxies resolve' },
  );
  return { headlessPods: headless, identities: byService, mutualTlsPorts: portsOfMutualTls, resolvedByProxy };
}
