import { tryParseDuration } from '@istio-ts/api/duration';
import type { TrafficSwitches } from '@istio-ts/mesh/model';
import { type Environment, type VariableName, variables } from './environment.ts';

/** A variable that cannot be used; the message names it and says what is expected. */
export class TrafficSwitchError extends Error {
  constructor(name: VariableName, value: string, expected: string) {
    super(`${name}: '${value}' is not ${expected}`);
    this.name = 'TrafficSwitchError';
  }
}

/** Reads the variables that change what all proxies get. Raises {@link TrafficSwitchError}. */
export function readTrafficSwitches(env: Environment): TrafficSwitches {
  const number = (name: VariableName, greatest: number, what: string, isWhole = true): number => {
    const text = env[name] || variables[name].default;
    const value = Number(text);
    if (!(value >= 0 && value <= greatest) || (isWhole && !Number.isInteger(value)))
      throw new TrafficSwitchError(name, text, what);
    return value;
  };
  const milliseconds = (name: VariableName): number => {
    const text = env[name] || variables[name].default;
    const value = tryParseDuration(text);
    if (value === undefined || value < 0) throw new TrafficSwitchError(name, text, 'a duration such as 15s');
    return value;
  };
  const dynamicHosts = number('PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS', 4_294_967_295, 'a number of hosts');
  if (dynamicHosts < 1) throw new TrafficSwitchError('PILOT_ALLOW_ANY_DYNAMIC_DNS_MAX_HOSTS', '0', 'a number of hosts');
  return {
    useRemoteAddress: env.PILOT_SIDECAR_USE_REMOTE_ADDRESS === 'true',
    alpnFilter: env.PILOT_ENABLE_ALPN_FILTER !== 'false',
    ...(env.DISABLE_SHADOW_HOST_SUFFIX === 'false' && { shadowSuffix: true }),
    dynamicHosts,
    continueHeaders: env.ENABLE_100_CONTINUE_HEADERS !== 'false',
    acceptsAtOnce: number('MAX_CONNECTIONS_PER_SOCKET_EVENT_LOOP', 4_294_967_295, 'a number of connections'),
    handshakeMs: milliseconds('PILOT_GATEWAY_TRANSPORT_SOCKET_CONNECT_TIMEOUT'),
    unhealthyEndpoints: env.PILOT_SEND_UNHEALTHY_ENDPOINTS === 'true',
    headlessEndpoints: env.PILOT_ENABLE_EDS_FOR_HEADLESS_SERVICES === 'true',
    filterGatewayClusters: env.PILOT_FILTER_GATEWAY_CLUSTER_CONFIG === 'true',
    externalRuleTls: env.PREFER_DESTINATIONRULE_TLS_FOR_EXTERNAL_SERVICES !== 'false',
    traceSampling: number('PILOT_TRACE_SAMPLING', 100, 'a percentage', false),
  };
}
