import { DecodeError, decode, encode, type HealthCheckRequestOrEndpointHealthResponse } from '@istio-ts/envoy';
import { GrpcError, type MethodHandler, type ServerCall } from '@istio-ts/envoy/grpc';
import { isNotFound, type KubeObject } from '@istio-ts/kube';
import type { ProxyNode } from '@istio-ts/xds';
import { matchIdentity, parseNode } from '../ads/node.ts';
import { groupOf } from '../controllers/workload-registration.ts';
import { type Authentication, provedIdentities } from '../grpc/proved-identities.ts';
import type { Logger } from '../log.ts';
import { checksOf, type GroupProbe, type ReportedHealth, reportedHealth } from './health-checks.ts';

/** Path of the method that proxies call. */
export const HEALTH_CHECK_METHOD = '/envoy.service.health.v3.HealthDiscoveryService/StreamHealthCheck';
/** How often a group is read again: its probe may change while the stream lasts. */
const REFRESH_MS = 30_000;

export interface HealthDiscoveryOptions {
  readonly authentication: Authentication;
  /** Whether a proxy's identity must be of its namespace; default true. */
  readonly checkIdentity?: boolean;
  /** Reads a WorkloadGroup; rejects with NotFound. */
  readonly groups: (namespace: string, name: string) => Promise<KubeObject>;
  /** A proxy has found out how its workload is; called when that changes. */
  readonly onHealth: (node: ProxyNode, health: ReportedHealth) => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  readonly refreshMs?: number;
}

/**
 * Health discovery (`envoy.service.health.v3`): a proxy that is a member of a WorkloadGroup is told to check its workload as the group's `probe` says, and what it
 * reports becomes the workload's health. Proxies prove who they are as for their configuration; on the plain port nobody is believed.
 */
export function healthDiscovery(options: HealthDiscoveryOptions): Readonly<Record<string, MethodHandler>> {
  return { [HEALTH_CHECK_METHOD]: { kind: 'stream', handle: (call) => serve(call, options) } };
}

async function serve(call: ServerCall, options: HealthDiscoveryOptions): Promise<void> {
  const identities = await provedIdentities(call, options.authentication);
  if (identities === undefined) throw new GrpcError('UNAUTHENTICATED', 'health is taken on the encrypted port only');
  let node: ProxyNode | undefined;
  let told: ReportedHealth | undefined;
  let timer: NodeJS.Timeout | undefined;
  try {
    await call.receive((bytes) => {
      const { healthCheckRequest: request, endpointHealthResponse: report } = read(bytes);
      if (request?.node !== undefined && node === undefined) {
        const parsed = parseNode(request.node, undefined);
        const identity = (options.checkIdentity ?? true) ? matchIdentity(parsed, identities) : identities[0];
        node = { ...parsed, identity };
        const refresh = specify(call, node, options);
        timer = setInterval(refresh, options.refreshMs ?? REFRESH_MS);
        timer.unref();
        refresh();
      }
      if (report === undefined) return undefined;
      if (node === undefined)
        throw new GrpcError('INVALID_ARGUMENT', 'a report of somebody who has not said who it is');
      const health = reportedHealth(report);
      if (health === undefined || (told?.healthy === health.healthy && told.message === health.message))
        return undefined;
      told = health;
      options.onHealth(node, health);
      return undefined;
    });
  } finally {
    clearInterval(timer);
  }
}

function read(bytes: Buffer): HealthCheckRequestOrEndpointHealthResponse {
  try {
    return decode('envoy.service.health.v3.HealthCheckRequestOrEndpointHealthResponse', bytes);
  } catch (error) {
    if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
}

/** Gives what reads the proxy's group and tells the proxy what to check, when that has changed. */
function specify(call: ServerCall, node: ProxyNode, options: HealthDiscoveryOptions): () => void {
  let sent = '';
  let said = '';
  const say = (reason: string): void => {
    if (reason !== said) options.log.warn(`${node.id} checks nothing: ${reason}`);
    said = reason;
  };
  const look = async (): Promise<void> => {
    const name = groupOf(node);
    if (name === '') {
      say('it is no member of a WorkloadGroup');
      return;
    }
    const group = await options.groups(node.namespace, name).catch((error: unknown) => {
      if (isNotFound(error)) return undefined;
      throw error;
    });
    const probe = (group?.spec as { readonly probe?: GroupProbe } | undefined)?.probe;
    if (probe === undefined) {
      say(
        group === undefined ? `there is no WorkloadGroup ${node.namespace}/${name}` : `its group ${name} has no probe`,
      );
      return;
    }
    const checks = checksOf(probe, node.ipAddress);
    if (checks.kind === 'impossible') {
      say(checks.reason);
      return;
    }
    const text = JSON.stringify(checks.specifier);
    if (text === sent || call.signal.aborted) return;
    sent = text;
    said = '';
    options.log.info(`${node.id} checks its workload as WorkloadGroup ${name} says`);
    await call.write(encode('envoy.service.health.v3.HealthCheckSpecifier', checks.specifier));
  };
  return () => {
    look().catch((error: unknown) => say(error instanceof Error ? error.message : String(error)));
  };
}
