import type { HttpConnectionManager } from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';
import type { ConnectionSettings, ProxyHeaders, ProxySettings } from './settings.ts';

type Manager = Partial<HttpConnectionManager>;
export type ProxyRole = 'outbound' | 'inbound' | 'gateway';

/** Remembers how a header was spelled (ProxyHeaders.preserveHttp1HeaderCase). */
export const preservedHeaderCase = {
  statefulFormatter: {
    name: 'preserve_case',
    typedConfig: typed('envoy.extensions.http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig', {}),
  },
};

type ForwardDetails = NonNullable<HttpConnectionManager['forwardClientCertDetails']>;

/** What the next hop learns about the client's certificate. A gateway's topology says it for gateways, `proxyHeaders` for sidecars. */
function clientCertificate(role: ProxyRole, { proxyHeaders, gatewayTopology }: ProxySettings): Manager {
  if (role === 'outbound') return {};
  const asked = role === 'gateway' ? gatewayTopology?.forwardClientCertDetails : proxyHeaders?.forwardedClientCert;
  // The application sees who called, and what earlier proxies wrote stays; a gateway believes no client.
  const usual: ForwardDetails = role === 'gateway' ? 'SANITIZE_SET' : 'APPEND_FORWARD';
  const forwardClientCertDetails = asked === undefined || asked === 'UNDEFINED' ? usual : asked;
  if (forwardClientCertDetails !== 'SANITIZE_SET' && forwardClientCertDetails !== 'APPEND_FORWARD')
    return { forwardClientCertDetails };
  const {
    subject = true,
    cert = role === 'gateway',
    chain,
    dns = true,
    uri = true,
  } = proxyHeaders?.setCurrentClientCertDetails ?? {};
  return {
    forwardClientCertDetails,
    setCurrentClientCertDetails: { subject, ...(cert && { cert }), ...(chain && { chain }), dns, uri },
  };
}

/** The header `server` of answers: those of the workload itself name Istio, those that a client's own proxy forwards name Envoy. */
function serverHeader(role: ProxyRole, server: ProxyHeaders['server']): Manager {
  if (server?.disabled === true) return { serverHeaderTransformation: 'PASS_THROUGH' };
  const name = server?.value || (role === 'outbound' ? undefined : 'istio-envoy');
  return name === undefined ? {} : { serverName: name };
}

/** Headers that the proxy writes by itself. */
export function headerSettings(role: ProxyRole, settings: ProxySettings): Manager {
  const { requestId, server, xForwardedPort } = settings.proxyHeaders ?? {};
  const trusted = role === 'gateway' ? settings.gatewayTopology?.numTrustedProxies : undefined;
  return {
    ...serverHeader(role, server),
    useRemoteAddress: role === 'gateway',
    ...(trusted !== undefined && trusted > 0 ? { xffNumTrustedHops: trusted } : {}),
    ...clientCertificate(role, settings),
    generateRequestId: requestId?.disabled !== true,
    ...(xForwardedPort?.enabled === true && { appendXForwardedPort: true }),
  };
}

const underscores = {
  HEADERS_WITH_UNDERSCORES_UNSPECIFIED: undefined,
  HEADERS_WITH_UNDERSCORES_ALLOW: 'ALLOW',
  HEADERS_WITH_UNDERSCORES_REJECT_REQUEST: 'REJECT_REQUEST',
  HEADERS_WITH_UNDERSCORES_DROP_HEADER: 'DROP_HEADER',
} as const;

const defined = <T extends object>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };

const orNothing = <T extends object>(fields: T): T | undefined => (Object.keys(fields).length > 0 ? fields : undefined);

/**
 * Limits of connections and requests of clients (ProxyConfig.connectionSettings), and how names of headers are written. `idleTimeout` is what the proxy's own
 * metadata says of quiet connections.
 */
export function connectionOptions(
  { connectionSettings: limits = {}, proxyHeaders }: ProxySettings,
  { acceptHttp10, idleTimeout }: { readonly acceptHttp10: boolean; readonly idleTimeout: string | undefined },
): Manager {
  const http = defined({
    acceptHttp10: acceptHttp10 || undefined,
    headerKeyFormat: proxyHeaders?.preserveHttp1HeaderCase === true ? preservedHeaderCase : undefined,
  });
  const common = defined({
    idleTimeout: protoDuration(limits.httpIdleTimeout) ?? idleTimeout,
    maxConnectionDuration: protoDuration(limits.httpMaxConnectionDuration),
    maxStreamDuration: protoDuration(limits.httpMaxStreamDuration),
    headersWithUnderscoresAction:
      underscores[limits.httpHeadersWithUnderscoresAction ?? 'HEADERS_WITH_UNDERSCORES_UNSPECIFIED'],
  });
  const http2 = defined({
    maxConcurrentStreams: limits.httpMaxConcurrentStreams,
    initialStreamWindowSize: limits.http2InitialStreamWindowSize,
    initialConnectionWindowSize: limits.http2InitialConnectionWindowSize,
  });
  return defined({
    httpProtocolOptions: orNothing(http),
    commonHttpProtocolOptions: orNothing(common),
    http2ProtocolOptions: orNothing(http2),
    // Streams of gRPC may be quiet for long; limits are the routes' business unless somebody sets one here.
    streamIdleTimeout: protoDuration(limits.httpStreamIdleTimeout) ?? '0s',
    requestTimeout: protoDuration(limits.httpRequestTimeout),
    requestHeadersTimeout: protoDuration(limits.httpRequestHeadersTimeout),
    drainTimeout: protoDuration(limits.httpDrainTimeout),
  });
}

/** How paths are brought into one form; goes over the mesh's `pathNormalization`. */
export function pathSettings({
  httpMergeSlashes,
  httpPathWithEscapedSlashesAction: action,
}: ConnectionSettings): Manager {
  return defined({
    mergeSlashes: httpMergeSlashes,
    pathWithEscapedSlashesAction: action === 'PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED' ? undefined : action,
  });
}
