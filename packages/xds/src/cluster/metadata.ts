import type { Metadata } from '@istio-ts/envoy';
import type { MergedDestinationRule, Service } from '@istio-ts/mesh/model';
import { ALPN_METADATA, type AlpnChoice } from '../filter/alpn.ts';

/**
 * Metadata of a cluster: `istio` as Istio's tools and EnvoyFilters know it (which services, which configuration object, which subset), and
 * `istio.svc` with flat keys for access log operators, which cannot look into lists.
 */
export function clusterMetadata(options: {
  readonly services: readonly Service[];
  readonly rule?: MergedDestinationRule | undefined;
  readonly subset?: string;
  /** What the filter `istio.alpn` has to offer for requests to a sniffed port over mutual TLS. */
  readonly alpn?: AlpnChoice | undefined;
}): Metadata {
  const [first] = options.services;
  const [origin] = options.rule?.origins ?? [];
  return {
    filterMetadata: {
      istio: {
        ...(origin && {
          config: `/apis/networking.istio.io/v1/namespaces/${origin.namespace}/destination-rule/${origin.name}`,
        }),
        ...(options.services.length > 0 && {
          services: options.services.map((service) => ({
            host: service.hostname,
            name: serviceName(service),
            namespace: service.namespace,
          })),
        }),
        ...(options.subset && { subset: options.subset }),
      },
      ...(first && {
        'istio.svc': {
          host: first.hostname,
          name: serviceName(first),
          namespace: first.namespace,
          ...(options.alpn && { [ALPN_METADATA.key]: options.alpn }),
        },
      }),
    },
  };
}

/** For telemetry a host of a ServiceEntry is known by itself, as one ServiceEntry may have several. */
export const serviceName = (service: Service): string =>
  service.registry === 'External' ? service.hostname : service.name;
