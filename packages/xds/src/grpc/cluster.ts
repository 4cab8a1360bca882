import type { CertificateValidationContext, Cluster, TransportSocket, UpstreamTlsContext } from '@istio-ts/envoy';
import { encodeResource } from '../engine/resource.ts';
import { clusterType } from '../engine/type-urls.ts';
import { memoByInputs } from '../memo.ts';
import type { XdsResource } from '../source.ts';
import { typed } from '../typed.ts';

/** The certificates of the agent, by the name that the gRPC bootstrap gives them (gRPC proposal A29). */
const PROVIDER = 'default';
export const OWN_CERTIFICATE = { instanceName: PROVIDER, certificateName: 'default' };
export const MESH_ROOTS = { instanceName: PROVIDER, certificateName: 'ROOTCA' };

const UPSTREAM_TLS = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext';

/** gRPC spreads requests in turn or by a hash; every other way of Envoy becomes in turn. */
function balancing({ lbPolicy, ringHashLbConfig }: Cluster): Partial<Cluster> {
  if (lbPolicy !== 'RING_HASH') return { lbPolicy: 'ROUND_ROBIN' };
  const { minimumRingSize, maximumRingSize } = ringHashLbConfig ?? {};
  return {
    lbPolicy,
    ringHashLbConfig: {
      ...(minimumRingSize !== undefined && { minimumRingSize }),
      ...(maximumRingSize !== undefined && { maximumRingSize }),
    },
  };
}

/** Where a cluster's endpoints come from, as gRPC knows it; undefined where it cannot. */
function discovery(cluster: Cluster): Partial<Cluster> | undefined {
  const { name = '', type, loadAssignment } = cluster;
  if (type === 'EDS')
    return { type, edsClusterConfig: { edsConfig: { ads: {}, resourceApiVersion: 'V3' }, serviceName: name } };
  const endpoints = (loadAssignment?.endpoints ?? []).flatMap(({ lbEndpoints }) => lbEndpoints ?? []);
  const resolved = type === 'STRICT_DNS' || type === 'LOGICAL_DNS';
  const [only] = endpoints;
  // One name, resolved by the client (gRPC proposal A37).
  if (!resolved || only === undefined || endpoints.length !== 1) return undefined;
  return { type: 'LOGICAL_DNS', loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [only] }] } };
}

/**
 * Mutual TLS where a DestinationRule asks for it (ISTIO_MUTUAL): gRPC clients have one socket for all endpoints of a cluster and so cannot choose by
 * endpoint as Envoy does. The certificates are those of the agent.
 */
function security({ transportSocket }: Cluster): { readonly transportSocket?: TransportSocket } {
  const context = transportSocket?.typedConfig;
  if (context?.['@type'] !== UPSTREAM_TLS) return {};
  const { commonTlsContext } = context as UpstreamTlsContext;
  const agents = commonTlsContext?.tlsCertificateSdsSecretConfigs?.some(({ name }) => name === 'default') === true;
  if (!agents) return {};
  const validation = commonTlsContext?.combinedValidationContext?.defaultValidationContext;
  const names = (validation?.matchTypedSubjectAltNames ?? []).flatMap(({ matcher }) => matcher ?? []);
  const roots: CertificateValidationContext = {
    caCertificateProviderInstance: MESH_ROOTS,
    ...(names.length > 0 && { matchSubjectAltNames: names }),
  };
  return {
    transportSocket: {
      name: 'envoy.transport_sockets.tls',
      typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', {
        commonTlsContext: { tlsCertificateProviderInstance: OWN_CERTIFICATE, validationContext: roots },
      }),
    },
  };
}

/** A cluster with nothing but what gRPC clients know; undefined for those that they have no use for. */
export const grpcCluster = memoByInputs(
  (resource: XdsResource) => [resource],
  (resource): XdsResource | undefined => {
    if (!resource.name.startsWith('outbound|')) return undefined;
    const cluster = resource.json() as Cluster;
    const found = discovery(cluster);
    if (found === undefined) return undefined;
    const limit = cluster.circuitBreakers?.thresholds?.find(
      ({ maxRequests }) => maxRequests !== undefined,
    )?.maxRequests;
    const { outlierDetection } = cluster;
    const converted: Cluster = {
      name: resource.name,
      ...(cluster.connectTimeout !== undefined && { connectTimeout: cluster.connectTimeout }),
      ...found,
      ...balancing(cluster),
      ...(limit !== undefined && { circuitBreakers: { thresholds: [{ maxRequests: limit }] } }),
      ...(outlierDetection && { outlierDetection }),
      ...security(cluster),
    };
    return encodeResource(clusterType, resource.name, { resource: converted, origins: resource.origins });
  },
);
