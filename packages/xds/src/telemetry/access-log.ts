import type { AccessLog, AccessLogFilter } from '@istio-ts/envoy';
import type { ProxyScope, ScopedProxy } from '@istio-ts/mesh/model';
import type { EffectiveAccessLogging } from '@istio-ts/mesh/telemetry';
import { memoByInputs } from '../memo.ts';
import type { ProxyRole } from '../proxy-settings/http-connection.ts';
import { typed } from '../typed.ts';
import { meshFileLog, type ProviderLogs, providerLogs, serviceOfProvider } from './access-log-provider.ts';
import { telemetryOf } from './effective.ts';
import { compileCondition } from './expression.ts';
import { type ProviderTarget, providerTarget } from './provider-service.ts';

type MeshConfig = ProxyScope['mesh'];

/** Access logs of one side of the traffic. */
interface SideLogs {
  readonly http: readonly AccessLog[];
  /** One line when a connection ends, though metrics also hear of its begin. */
  readonly tcp: readonly AccessLog[];
  /** Of listeners themselves: connections for which they have no filter chain. */
  readonly listener: readonly AccessLog[];
}

/** Access logs of a proxy, by the side of the traffic on which it stands. */
export interface AccessLogs {
  readonly client: SideLogs;
  readonly server: SideLogs;
}

/** Cluster in the bootstrap of proxies that are started with an `envoyAccessLogService`; Envoy refuses listeners that name one which is not there. */
const SERVICE_CLUSTER = 'envoy_accesslog_service';

function hasService(mesh: MeshConfig, proxy: Pick<ScopedProxy, 'metadata'>): boolean {
  if (mesh.enableEnvoyAccessLogService !== true) return false;
  const config = proxy.metadata.PROXY_CONFIG as { readonly envoyAccessLogService?: { readonly address?: unknown } };
  return Boolean(config?.envoyAccessLogService?.address);
}

/** Sends the log to the access log service (meshConfig.enableEnvoyAccessLogService). */
const serviceLog = (protocol: 'http' | 'tcp'): AccessLog => {
  const commonConfig = {
    logName: `${protocol}_envoy_accesslog`,
    transportApiVersion: 'V3',
    grpcService: { envoyGrpc: { clusterName: SERVICE_CLUSTER } },
  } as const;
  return {
    name: `envoy.access_loggers.${protocol}_grpc`,
    typedConfig:
      protocol === 'http'
        ? typed('envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig', { commonConfig })
        : typed('envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig', { commonConfig }),
  };
};
const SERVICE_LOGS: ProviderLogs = { http: serviceLog('http'), tcp: serviceLog('tcp') };

const ENDS: AccessLogFilter = { logTypeFilter: { types: ['TcpConnectionEnd'] } };
const NO_CHAIN: AccessLogFilter = { responseFlagFilter: { flags: ['NR'] } };

const celFilter = (expression: string): AccessLogFilter => ({
  extensionFilter: {
    name: 'envoy.access_loggers.extension_filters.cel',
    typedConfig: typed('envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter', { expression }),
  },
});

function filtered(log: AccessLog, ...filters: readonly (AccessLogFilter | undefined)[]): AccessLog {
  const [first, ...more] = filters.filter((one) => one !== undefined);
  if (first === undefined) return log;
  return { ...log, filter: more.length === 0 ? first : { andFilter: { filters: [first, ...more] } } };
}

/** A provider's loggers, and which requests and connections they write down. */
interface FilteredLogs extends ProviderLogs {
  readonly filter?: AccessLogFilter;
}

function sideLogs(logs: readonly FilteredLogs[], mesh: MeshConfig): SideLogs {
  const of = (kind: 'http' | 'tcp', own?: AccessLogFilter): readonly AccessLog[] =>
    logs.flatMap(({ [kind]: log, filter }) => (log === undefined ? [] : [filtered(log, own, filter)]));
  return {
    http: of('http'),
    tcp: of('tcp', ENDS),
    listener: mesh.disableEnvoyListenerLog === true ? [] : of('tcp', NO_CHAIN),
  };
}

type Targets = readonly (ProviderTarget | undefined)[];

/** Services of the logs of one side; an entry for each log. */
const targetsOf = (scope: Pick<ProxyScope, 'serviceByHost'>, logging: EffectiveAccessLogging): Targets =>
  logging.kind === 'mesh'
    ? []
    : logging.logs.map(({ provider }) => {
        const service = serviceOfProvider(provider);
        return service === undefined ? undefined : providerTarget(scope, service);
      });

interface Side {
  readonly mesh: MeshConfig;
  readonly proxy: ScopedProxy;
  readonly logging: EffectiveAccessLogging;
  readonly targets: Targets;
}

const logsOfSide = memoByInputs(
  ({ mesh, proxy, logging, targets }: Side) => [
    mesh,
    proxy,
    logging,
    ...targets.flatMap((target) => [target?.cluster, target?.hostname]),
  ],
  ({ mesh, proxy, logging, targets }): SideLogs => {
    if (logging.kind === 'mesh') {
      const path = mesh.accessLogFile ?? '';
      const file = path === '' ? undefined : meshFileLog(path, mesh);
      return sideLogs(
        [...(file ? [{ http: file, tcp: file }] : []), ...(hasService(mesh, proxy) ? [SERVICE_LOGS] : [])],
        mesh,
      );
    }
    return sideLogs(
      logging.logs.flatMap(({ provider, filter }, i) => {
        const logs = providerLogs(provider, targets[i], mesh);
        if (filter === undefined) return [logs];
        // Envoy would refuse the whole listener for an expression that it cannot compute; nobody knows what it was meant to keep out of the log.
        const condition = compileCondition(filter);
        return condition.kind === 'problem' ? [] : [{ ...logs, filter: celFilter(condition.cel) }];
      }),
      mesh,
    );
  },
);

const pair = memoByInputs(
  ({ client, server }: AccessLogs) => [client, server],
  (logs) => logs,
);

/**
 * The access logs of a proxy: those that Telemetries and `defaultProviders.accessLogging` name, else those of the mesh (`accessLogFile`,
 * `enableEnvoyAccessLogService`). The identical object as long as nothing that it is made of changed.
 */
export function accessLogs(scope: Pick<ProxyScope, 'mesh' | 'proxy' | 'telemetries' | 'serviceByHost'>): AccessLogs {
  const { mesh, proxy } = scope;
  const telemetry = telemetryOf(scope);
  const of = (logging: EffectiveAccessLogging): SideLogs =>
    logsOfSide({ mesh, proxy, logging, targets: targetsOf(scope, logging) });
  return pair({ client: of(telemetry.client.accessLogging), server: of(telemetry.server.accessLogging) });
}

interface Logged {
  readonly accessLogs: AccessLogs;
}

/** Only what arrives at a sidecar is the server's side; gateways are clients. */
const side = ({ accessLogs: logs }: Logged, role: ProxyRole): SideLogs =>
  role === 'inbound' ? logs.server : logs.client;

/** Access log of HTTP requests; empty when none is configured. */
export const httpAccessLog = (context: Logged, role: ProxyRole): readonly AccessLog[] => side(context, role).http;

/** Access log of TCP connections. */
export const tcpAccessLog = (context: Logged, role: ProxyRole): readonly AccessLog[] => side(context, role).tcp;

/** Access log of a listener itself. */
export const listenerAccessLog = (context: Logged, role: ProxyRole): readonly AccessLog[] =>
  side(context, role).listener;
