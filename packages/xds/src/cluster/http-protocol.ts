import type {
  Any,
  Http2ProtocolOptions,
  HttpHttpProtocolOptions,
  HttpProtocolOptions,
  MatcherMatchPredicate,
  RouteRetryPolicy,
} from '@istio-ts/envoy';
import { protoDuration } from '../duration.ts';
import { typed } from '../typed.ts';
import type { ConnectionPool } from './traffic-policy.ts';

/** Protocol that a cluster speaks to its endpoints; 'downstream': the client's. */
export type UpstreamProtocol = 'http1' | 'http2' | 'downstream' | 'none';

/** Name under which the options stand in `typedExtensionProtocolOptions`. */
const extension = 'envoy.extensions.upstreams.http.v3.HttpProtocolOptions';

/** What a cluster's HTTP depends on beside its protocol. */
export interface HttpSettings {
  readonly pool?: ConnectionPool | undefined;
  /** The name for SNI comes from each request's host; 'checked': the certificate has to be for that name too. */
  readonly autoSni?: 'checked' | 'unchecked' | undefined;
  /** Which answers count as errors of an endpoint; undefined: all 5xx. */
  readonly errors?: MatcherMatchPredicate | undefined;
  /** Of all requests to the cluster: Envoy takes it whatever their routes say. */
  readonly retries?: RouteRetryPolicy | undefined;
}

/** How a cluster speaks HTTP, or undefined where it has nothing to say: HTTP/1.1 with Envoy's defaults. */
export function httpProtocol(
  protocol: UpstreamProtocol,
  { pool, autoSni, errors, retries }: HttpSettings,
): Readonly<Record<string, Any>> | undefined {
  const common = commonOptions(pool);
  if (protocol === 'none' || (protocol === 'http1' && !common && !autoSni && !errors && !retries)) return undefined;
  const http2 = http2Options(pool);
  const options: HttpHttpProtocolOptions = {
    ...(common && { commonHttpProtocolOptions: common }),
    ...(autoSni && {
      upstreamHttpProtocolOptions: { autoSni: true, ...(autoSni === 'checked' && { autoSanValidation: true }) },
    }),
    ...(errors && { outlierDetection: { errorMatcher: errors } }),
    ...(retries && { retryPolicy: retries }),
    ...(protocol === 'downstream'
      ? { useDownstreamProtocolConfig: { httpProtocolOptions: {}, http2ProtocolOptions: http2 } }
      : { explicitHttpConfig: protocol === 'http2' ? { http2ProtocolOptions: http2 } : { httpProtocolOptions: {} } }),
  };
  return { [extension]: typed(extension, options) };
}

function commonOptions(pool: ConnectionPool | undefined): HttpProtocolOptions | undefined {
  const idle = protoDuration(pool?.http?.idleTimeout);
  const longest = protoDuration(pool?.tcp?.maxConnectionDuration);
  const requests = pool?.http?.maxRequestsPerConnection;
  if (idle === undefined && longest === undefined && !requests) return undefined;
  return {
    ...(idle !== undefined && { idleTimeout: idle }),
    ...(longest !== undefined && { maxConnectionDuration: longest }),
    ...(requests && { maxRequestsPerConnection: requests }),
  };
}

function http2Options(pool: ConnectionPool | undefined): Http2ProtocolOptions {
  const keepalive = pool?.http?.http2KeepAlive;
  const interval = protoDuration(keepalive?.interval);
  const timeout = protoDuration(keepalive?.timeout);
  return {
    ...(pool?.http?.maxConcurrentStreams && { maxConcurrentStreams: pool.http.maxConcurrentStreams }),
    ...((interval !== undefined || timeout !== undefined) && {
      connectionKeepalive: { ...(interval !== undefined && { interval }), timeout: timeout ?? '5s' },
    }),
  };
}
