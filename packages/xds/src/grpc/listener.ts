import type { FilterChain, HttpFilter, Listener } from '@istio-ts/envoy';
import type { Origin, ProxyScope, Service } from '@istio-ts/mesh/model';
import { encodeResource } from '../engine/resource.ts';
import { listenerType } from '../engine/type-urls.ts';
import { inboundPolicies, type InboundPolicies } from '../filter/policies.ts';
import { uniqueOrigins } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { inboundCluster } from '../names.ts';
import { alternateNames } from '../route/domains.ts';
import type { XdsResource } from '../source.ts';
import { typed } from '../typed.ts';
import { MESH_ROOTS, OWN_CERTIFICATE } from './cluster.ts';
import { grpcRouteName } from './route.ts';

/** Names of the listeners of gRPC servers: this and the address that they are bound to. */
export const SERVER_LISTENERS = 'xds.istio.io/grpc/lds/inbound/';

const ROUTER: HttpFilter = {
  name: 'envoy.filters.http.router',
  typedConfig: typed('envoy.extensions.filters.http.router.v3.Router', {}),
};
const FAULT: HttpFilter = {
  name: 'envoy.filters.http.fault',
  typedConfig: typed('envoy.extensions.filters.http.fault.v3.HTTPFault', {}),
};

interface ClientInput {
  readonly service: Service;
  readonly port: number;
  readonly name: string;
}

/** What a client gets that dials `xds:///NAME`: where the routes of the service are. */
const clientListener = memoByInputs(
  ({ service, port, name }: ClientInput) => [service, port, name],
  ({ service, port, name }): XdsResource => {
    const resource: Listener = {
      name,
      apiListener: {
        apiListener: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
          httpFilters: [FAULT, ROUTER],
          rds: {
            configSource: { ads: {}, resourceApiVersion: 'V3' },
            routeConfigName: grpcRouteName(service, port),
          },
        }),
      },
    };
    return encodeResource(listenerType, name, { resource, origins: [service.origin] });
  },
);

/** Listeners for the services that a client may see, by all names under which they are dialled: `HOST:PORT`, where HOST may be short. */
export const clientListeners = memoByInputs(
  ({
    services,
    namespace,
    dnsDomain,
  }: {
    readonly services: ProxyScope['services'];
    readonly namespace: string;
    readonly dnsDomain: string;
  }) => [services, namespace, dnsDomain] as const,
  ({ services, namespace, dnsDomain }): ReadonlyMap<string, XdsResource> => {
    const result = new Map<string, XdsResource>();
    for (const service of services)
      for (const { number: port, protocol } of service.ports) {
        if (protocol === 'UDP') continue;
        const hosts = [
          service.hostname,
          ...alternateNames(service.hostname, namespace, dnsDomain),
          ...service.addresses,
        ];
        for (const host of hosts) {
          const name = `${host.includes(':') ? `[${host}]` : host}:${port}`;
          if (!result.has(name)) result.set(name, clientListener({ service, port, name }));
        }
      }
    return result;
  },
);

interface ServerInput {
  readonly address: string;
  readonly port: number;
  readonly strict: boolean;
  readonly policies: InboundPolicies;
  readonly origins: readonly Origin[];
}

/**
 * The listener of a gRPC server's port: its policies, and mutual TLS where it is STRICT. gRPC servers cannot tell plain text from TLS, so PERMISSIVE is
 * plain text as in Istio.
 */
function serverListener({ address, port, strict, policies, origins }: ServerInput): XdsResource {
  const host = address.includes(':') ? `[${address}]` : address;
  const name = `${SERVER_LISTENERS}${host}:${port}`;
  const chain: FilterChain = {
    name: strict ? 'mtls' : 'plaintext',
    filters: [
      {
        name: 'inbound-hcm',
        typedConfig: typed('envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
          routeConfig: {
            name: inboundCluster(port),
            virtualHosts: [
              {
                name: inboundCluster(port),
                domains: ['*'],
                routes: [{ match: { prefix: '/' }, nonForwardingAction: {} }],
              },
            ],
          },
          // gRPC servers know no filter for tokens, and refuse a listener with one; what asks for a token's claims then matches nothing.
          httpFilters: [...policies.grpc, ROUTER],
        }),
      },
    ],
    ...(strict && {
      transportSocket: {
        name: 'envoy.transport_sockets.tls',
        typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
          requireClientCertificate: true,
          commonTlsContext: {
            tlsCertificateProviderInstance: OWN_CERTIFICATE,
            validationContext: { caCertificateProviderInstance: MESH_ROOTS },
          },
        }),
      },
    }),
  };
  const resource: Listener = {
    name,
    address: { socketAddress: { address, portValue: port } },
    filterChains: [chain],
    trafficDirection: 'INBOUND',
  };
  return encodeResource(listenerType, name, { resource, origins });
}

/** Listeners of the ports that the workload serves, for each address that its server may be bound to. */
export const serverListeners = memoByInputs(
  ({ scope, address }: { readonly scope: ProxyScope; readonly address: string }) =>
    [scope.inbound, scope.peerAuthentication, inboundPolicies(scope), address] as const,
  ({ scope, address }): ReadonlyMap<string, XdsResource> => {
    const { peerAuthentication } = scope;
    const policies = inboundPolicies(scope);
    const result = new Map<string, XdsResource>();
    for (const { targetPort: port, service } of scope.inbound)
      for (const at of new Set(['0.0.0.0', '::', '127.0.0.1', '::1', address])) {
        const strict = (peerAuthentication.portModes.get(port) ?? peerAuthentication.mode) === 'STRICT';
        const origins = uniqueOrigins([service.origin, ...peerAuthentication.origins, ...policies.origins]);
        const resource = serverListener({ address: at, port, strict, policies, origins });
        if (!result.has(resource.name)) result.set(resource.name, resource);
      }
    return result;
  },
);
