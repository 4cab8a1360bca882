import { listed, type } from './message-type.ts';

/** About what is attached to workloads: policies of security and Telemetry. */
export const POLICY_MESSAGES = {
  NoMatchingWorkloadsFound: type<{ labels: string }>(
    'IST0127',
    'Warning',
    ({ labels }) => `No workload carries the labels ${labels}, so this has no effect.`,
  ),
  JwtClaimBasedRoutingWithoutRequestAuthN: type<{ key: string; gateway: string; pod: string }>(
    'IST0149',
    'Error',
    ({ key, gateway, pod }) =>
      `The match on ${key} needs verified tokens, but no RequestAuthentication applies to the pod ${pod} of the gateway ${gateway}: requests with any token are refused this route.`,
  ),
  InvalidTelemetryProvider: type<{ name: string; namespace: string }>(
    'IST0157',
    'Warning',
    ({ name, namespace }) =>
      `The Telemetry ${namespace}/${name} names no provider and the mesh has no default provider, so it has no effect.`,
  ),
  ConflictingTelemetryWorkloadSelectors: type<{
    conflictingTelemetries: readonly string[];
    namespace: string;
    workloadPod: string;
  }>(
    'IST0159',
    'Error',
    ({ conflictingTelemetries, namespace, workloadPod }) =>
      `Several Telemetries of namespace ${namespace} select the pod ${workloadPod}: ${listed(conflictingTelemetries)}. Only the oldest applies; make their selectors disjoint.`,
  ),
  MultipleTelemetriesWithoutWorkloadSelectors: type<{ conflictingTelemetries: readonly string[]; namespace: string }>(
    'IST0160',
    'Error',
    ({ conflictingTelemetries, namespace }) =>
      `Namespace ${namespace} has several Telemetries without a selector: ${listed(conflictingTelemetries)}. Only the oldest applies; merge them.`,
  ),
  IneffectiveSelector: type<{ gateway: string }>(
    'IST0166',
    'Warning',
    ({ gateway }) =>
      `The selector has no effect on the pods of the gateway ${gateway}, which is one of the Gateway API. Use targetRefs.`,
  ),
  IneffectivePolicy: type<{ reason: string }>(
    'IST0167',
    'Warning',
    ({ reason }) => `The policy has no effect: ${reason}.`,
  ),
  JwksUriFetchUnrestricted: type<{ count: number; names: string }>(
    'IST0175',
    'Warning',
    ({ count, names }) =>
      `${count} RequestAuthentication${count === 1 ? '' : 's'} (${names}) ${count === 1 ? 'lets' : 'let'} istiod fetch keys from a URL of the author's choice, and no list of blocked addresses restricts it.`,
  ),
  PolicyNeverRight: type<{ meanwhile: string }>(
    'IST9003',
    'Error',
    ({ meanwhile }) =>
      `The policy is wrong. Where istiod has had no right version of it, something stricter is in force instead: ${meanwhile}.`,
  ),
  TelemetryWithoutEffect: type<{ problem: string }>(
    'IST9010',
    'Warning',
    ({ problem }) => `Nothing comes of this part of the telemetry: ${problem}.`,
  ),
} as const;
