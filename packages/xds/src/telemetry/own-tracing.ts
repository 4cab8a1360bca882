import type { ProxyConfig } from '@istio-ts/api';
import type { Cluster, Tracing_Http, TransportSocket } from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { connectTimeout } from '../cluster/connection-pool.ts';
import { meshTls, originatedTls } from '../cluster/tls.ts';
import type { Generated } from '../generated.ts';
import { proxySettings } from '../proxy-settings/settings.ts';
import { typed } from '../typed.ts';
import { tracedServiceName } from './tracing-service.ts';

/** The older way to set tracing: `defaultConfig.tracing` of the mesh, or `tracing` of the proxy's own settings, by the address of a collector. */
type OwnTracing = NonNullable<ProxyConfig['tracing']>;

/** The collector's cluster, by the name that it has in Istio's bootstrap. */
const CLUSTERS = { zipkin: 'zipkin', datadog: 'datadog_agent', lightstep: 'lightstep' } as const;
type OwnTracer = keyof typeof CLUSTERS;

interface Collector {
  readonly kind: OwnTracer;
  readonly host: string;
  readonly port: number;
}

const DEFAULT_PORTS = { zipkin: 9411, datadog: 8126, lightstep: 443 } as const;

function parseAddress(kind: OwnTracer, written: string | undefined): Collector | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(written ?? '');
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) return undefined;
  return { kind, host, port: match?.[3] === undefined ? DEFAULT_PORTS[kind] : Number(match[3]) };
}

type Place = Pick<ProxyScope, 'mesh' | 'proxy'>;
/** The place of a proxy, as far as its settings depend on it. */
interface SettingsPlace {
  readonly mesh: ProxyScope['mesh'];
  readonly proxy: Pick<ProxyScope['proxy'], 'type' | 'metadata'>;
}

function collectorOf(place: SettingsPlace): Collector | undefined {
  if (place.mesh.enableTracing === false) return undefined;
  const { tracing, zipkinAddress } = proxySettings(place);
  if (tracing?.datadog !== undefined) return parseAddress('datadog', expanded(place, tracing.datadog.address));
  if (tracing?.lightstep !== undefined) return parseAddress('lightstep', tracing.lightstep.address);
  return parseAddress('zipkin', tracing?.zipkin?.address || (tracing === undefined ? zipkinAddress : undefined));
}

/** `$(HOST_IP):8126`: an agent on the proxy's own node. */
const expanded = ({ proxy }: SettingsPlace, address: string | undefined): string | undefined =>
  address?.replace(/\$\(HOST_IP\)/g, typeof proxy.metadata.HOST_IP === 'string' ? proxy.metadata.HOST_IP : '');

/** Whether the proxy's own settings name a collector that stock Envoy can send to. */
export const tracesByAddress = (place: SettingsPlace): boolean => collectorOf(place) !== undefined;

/** Tracer of the proxy's own settings; undefined without a collector. */
export function ownTracer(place: Place): Tracing_Http | undefined {
  const collector = collectorOf(place);
  const settings = proxySettings(place);
  const serviceName = tracedServiceName(place.proxy, settings);
  switch (collector?.kind) {
    case undefined:
      return undefined;
    case 'zipkin':
      return {
        name: 'envoy.tracers.zipkin',
        typedConfig: typed('envoy.config.trace.v3.ZipkinConfig', {
          collectorCluster: CLUSTERS.zipkin,
          collectorEndpoint: '/api/v2/spans',
          collectorEndpointVersion: 'HTTP_JSON',
          collectorHostname: `${collector.host}:${collector.port}`,
          traceId128bit: true,
          sharedSpanContext: false,
        }),
      };
    case 'datadog':
      return {
        name: 'envoy.tracers.datadog',
        typedConfig: typed('envoy.config.trace.v3.DatadogConfig', {
          collectorCluster: CLUSTERS.datadog,
          collectorHostname: collector.host,
          serviceName,
        }),
      };
    case 'lightstep':
      return {
        name: 'envoy.tracers.opentelemetry',
        typedConfig: typed('envoy.config.trace.v3.OpenTelemetryConfig', {
          grpcService: {
            envoyGrpc: { clusterName: CLUSTERS.lightstep, authority: collector.host },
            initialMetadata: [{ key: 'lightstep-access-token', value: settings.tracing?.lightstep?.accessToken ?? '' }],
          },
          serviceName,
        }),
      };
  }
}

/**
 * Name of the Secret, in the proxy's own namespace, that TLS to the collector takes. Only where the mesh names it: what a proxy says of itself must not
 * open Secrets to it.
 */
export function collectorCredential(place: SettingsPlace): string | undefined {
  const wanted = proxySettings(place).tracing?.tlsSettings?.credentialName;
  const ofMesh = place.mesh.defaultConfig?.tracing?.tlsSettings?.credentialName;
  return collectorOf(place) !== undefined && wanted !== '' && wanted === ofMesh ? wanted : undefined;
}

/** TLS towards the collector as `tracing.tlsSettings` has it; undefined for plain text. */
function transportSocket(place: SettingsPlace, { kind, host }: Collector): TransportSocket | undefined {
  const tls = proxySettings(place).tracing?.tlsSettings;
  const isHttp2 = kind === 'lightstep';
  const sni = tls?.sni || host;
  switch (tls?.mode) {
    case 'ISTIO_MUTUAL':
      // The collector may have a sidecar, or take the mesh's certificates by itself.
      return meshTls(
        place.mesh,
        sni,
        tls.subjectAltNames ?? [],
        isHttp2 ? ['istio-h2', 'istio', 'h2'] : ['istio-http/1.1', 'istio', 'http/1.1'],
        undefined,
      );
    case 'SIMPLE':
    case 'MUTUAL':
      return originatedTls(
        { ...tls, sni, credentialName: collectorCredential(place) ?? '' },
        place.mesh,
        isHttp2 ? ['h2'] : [],
        undefined,
      );
    default:
      return undefined;
  }
}

/** Cluster of the collector that the proxy's own settings name, reached by name, over TLS where `tlsSettings` say so. */
export function collectorClusters(place: Place): readonly Generated<Cluster>[] {
  const collector = collectorOf(place);
  if (collector === undefined) return [];
  const { kind, host, port } = collector;
  const name = CLUSTERS[kind];
  const socket = transportSocket(place, collector);
  const endpoint = { address: { socketAddress: { address: host, portValue: port } } };
  return [
    {
      resource: {
        name,
        type: 'STRICT_DNS',
        connectTimeout: connectTimeout(undefined, place.mesh),
        dnsLookupFamily: 'AUTO',
        respectDnsTtl: true,
        loadAssignment: { clusterName: name, endpoints: [{ lbEndpoints: [{ endpoint }] }] },
        ...(kind === 'lightstep' && {
          typedExtensionProtocolOptions: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
              'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              { explicitHttpConfig: { http2ProtocolOptions: {} } },
            ),
          },
        }),
        ...(socket && { transportSocket: socket }),
      },
      origins: [],
    },
  ];
}

/** Sampling in percent by the proxy's own settings; 0 is as good as absent, as in Istio, where the field has no presence. */
export const ownSampling = ({ sampling }: Partial<OwnTracing>): number | undefined => sampling || undefined;
