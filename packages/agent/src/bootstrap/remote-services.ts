import type { Any, Bootstrap, Cluster } from '@istio-ts/envoy';
import { parseDuration } from '../duration.ts';
import { type AgentSettings, EnvironmentError, hostOf, portOf } from '../environment.ts';
import { asObject, field, type Json, textField } from '../json.ts';
import { ROOT_SECRET, sdsSource, WORKLOAD_SECRET } from './clusters.ts';

/** The clusters of services of Envoy's own protocols, by the field of ProxyConfig that names the service. */
const SERVICES = {
  envoyMetricsService: 'envoy_metrics_service',
  envoyAccessLogService: 'envoy_accesslog_service',
} as const;

type Fields = Readonly<Record<string, Json>>;

const HTTP_OPTIONS = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';
const source = (file: string) => ({ filename: file });

const texts = (value: Json | undefined): readonly string[] =>
  Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];

/** TLS towards a service as `tlsSettings` has it; undefined for plain text. Raises EnvironmentError for a mode without what it needs. */
function transportSocket(tls: Fields, name: string): Cluster['transportSocket'] {
  const file = (of: string): string => textField(tls, of);
  const names = texts(field(tls, 'subjectAltNames')).map((exact) => ({ sanType: 'DNS' as const, matcher: { exact } }));
  const mode = textField(tls, 'mode') || 'DISABLE';
  const socket = (commonTlsContext: object): Cluster['transportSocket'] => ({
    name: 'envoy.transport_sockets.tls',
    typedConfig: {
      '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext',
      ...(file('sni') !== '' && { sni: file('sni') }),
      commonTlsContext: { alpnProtocols: ['h2'], ...commonTlsContext },
    } as Any,
  });
  switch (mode) {
    case 'DISABLE':
      return undefined;
    case 'ISTIO_MUTUAL':
      return socket({
        tlsCertificateSdsSecretConfigs: [{ name: WORKLOAD_SECRET, sdsConfig: sdsSource() }],
        combinedValidationContext: {
          defaultValidationContext: names.length > 0 ? { matchTypedSubjectAltNames: names } : {},
          validationContextSdsSecretConfig: { name: ROOT_SECRET, sdsConfig: sdsSource() },
        },
      });
    case 'SIMPLE':
    case 'MUTUAL': {
      if (mode === 'MUTUAL' && (file('clientCertificate') === '' || file('privateKey') === ''))
        throw new EnvironmentError(`${name}.tlsSettings`, 'MUTUAL needs the files clientCertificate and privateKey');
      const verified = field(tls, 'insecureSkipVerify') !== true;
      return socket({
        ...(mode === 'MUTUAL' && {
          tlsCertificates: [
            { certificateChain: source(file('clientCertificate')), privateKey: source(file('privateKey')) },
          ],
        }),
        ...(verified && {
          validationContext: {
            ...(file('caCertificates') === ''
              ? { systemRootCerts: {} }
              : { trustedCa: source(file('caCertificates')) }),
            ...(names.length > 0 && { matchTypedSubjectAltNames: names }),
            ...(file('caCrl') !== '' && { crl: source(file('caCrl')) }),
          },
        }),
      });
    }
    default:
      throw new EnvironmentError(
        `${name}.tlsSettings.mode`,
        `${JSON.stringify(mode)} is none of DISABLE, SIMPLE, MUTUAL, ISTIO_MUTUAL`,
      );
  }
}

function keepalive(settings: Fields, name: string): Cluster['upstreamConnectionOptions'] {
  const probes = Number(field(settings, 'probes') ?? 0);
  const seconds = (of: string): number =>
    Math.round(parseDuration(textField(settings, of) || '0s', `${name}.tcpKeepalive.${of}`) / 1000);
  return {
    tcpKeepalive: {
      ...(probes > 0 && { keepaliveProbes: probes }),
      ...(seconds('time') > 0 && { keepaliveTime: seconds('time') }),
      ...(seconds('interval') > 0 && { keepaliveInterval: seconds('interval') }),
    },
  };
}

/** What ProxyConfig says of a service; undefined where it names none. */
function serviceOf(settings: AgentSettings, name: keyof typeof SERVICES): Fields | undefined {
  const service = asObject(field(settings.proxyConfig.raw, name));
  if (textField(service, 'address') !== '') return service;
  const older = name === 'envoyMetricsService' ? textField(settings.proxyConfig.raw, 'envoyMetricsServiceAddress') : '';
  return older === '' ? undefined : { address: older };
}

function remoteCluster(name: keyof typeof SERVICES, service: Fields): Cluster {
  const address = textField(service, 'address');
  const host = hostOf(address);
  const port = portOf(address, 0);
  if (port === 0) throw new EnvironmentError(`${name}.address`, `"${address}" is no address with a port`);
  const socket = transportSocket(asObject(field(service, 'tlsSettings')), name);
  const tcpKeepalive = field(service, 'tcpKeepalive');
  return {
    name: SERVICES[name],
    type: /^[\d.]+$|:/.test(host) ? 'STATIC' : 'STRICT_DNS',
    ...(/^[\d.]+$|:/.test(host) ? {} : { dnsRefreshRate: '30s', respectDnsTtl: true }),
    connectTimeout: '1s',
    typedExtensionProtocolOptions: {
      [HTTP_OPTIONS]: {
        '@type': `type.googleapis.com/${HTTP_OPTIONS}`,
        explicitHttpConfig: { http2ProtocolOptions: {} },
      } as Any,
    },
    ...(tcpKeepalive !== undefined && { upstreamConnectionOptions: keepalive(asObject(tcpKeepalive), name) }),
    ...(socket && { transportSocket: socket }),
    loadAssignment: {
      clusterName: SERVICES[name],
      endpoints: [{ lbEndpoints: [{ endpoint: { address: { socketAddress: { address: host, portValue: port } } } }] }],
    },
  };
}

/**
 * Services that Envoy itself talks to (ProxyConfig `envoyMetricsService`, `envoyAccessLogService`, `statsdUdpAddress`): their clusters, and where it sends its
 * statistics. Raises EnvironmentError for what cannot be read.
 */
export function renderRemoteServices(settings: AgentSettings): {
  readonly clusters: readonly Cluster[];
  readonly sinks: Pick<Bootstrap, 'statsSinks'>;
} {
  const clusters = (['envoyMetricsService', 'envoyAccessLogService'] as const).flatMap((name) => {
    const service = serviceOf(settings, name);
    return service === undefined ? [] : [remoteCluster(name, service)];
  });
  const statsd = textField(settings.proxyConfig.raw, 'statsdUdpAddress');
  const statsSinks = [
    ...(clusters.some(({ name }) => name === SERVICES.envoyMetricsService)
      ? [
          {
            name: 'envoy.stat_sinks.metrics_service',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.config.metrics.v3.MetricsServiceConfig',
              transportApiVersion: 'V3',
              // Names and labels as on /stats/prometheus; else a receiver could not tell a label from a part of the name.
              emitTagsAsLabels: true,
              grpcService: { envoyGrpc: { clusterName: SERVICES.envoyMetricsService } },
            } as Any,
          },
        ]
      : []),
    ...(statsd === ''
      ? []
      : [
          {
            name: 'envoy.stat_sinks.statsd',
            typedConfig: {
              '@type': 'type.googleapis.com/envoy.config.metrics.v3.StatsdSink',
              address: { socketAddress: { protocol: 'UDP', ...statsdAddress(statsd) } },
            } as Any,
          },
        ]),
  ];
  return { clusters, sinks: statsSinks.length > 0 ? { statsSinks } : {} };
}

/** Envoy resolves no names here, see `withResolvedStatsd`. */
const statsdAddress = (address: string): { readonly address: string; readonly portValue: number } => ({
  address: hostOf(address),
  portValue: portOf(address, 9125),
});

/** The settings with the address of statsd in place of its name. Rejects where it has none. */
export async function withResolvedStatsd(
  settings: AgentSettings,
  resolve: (host: string) => Promise<string>,
): Promise<AgentSettings> {
  const { raw } = settings.proxyConfig;
  const address = textField(raw, 'statsdUdpAddress');
  const host = hostOf(address);
  if (address === '' || /^[\d.]+$|:/.test(host)) return settings;
  const found = await resolve(host).catch((error: unknown) => {
    throw new EnvironmentError('statsdUdpAddress', error instanceof Error ? error.message : String(error));
  });
  const at = found.includes(':') ? `[${found}]` : found;
  return {
    ...settings,
    proxyConfig: {
      ...settings.proxyConfig,
      raw: { ...raw, statsdUdpAddress: `${at}:${portOf(address, 9125)}` },
    },
  };
}
