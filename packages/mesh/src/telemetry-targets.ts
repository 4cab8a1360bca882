import type { TelemetrySpec } from '@istio-ts/api';

/**
 * References that select no proxy: what a Service, a ServiceEntry or a class of Gateways names is reached through waypoints (Telemetry reference,
 * `targetRefs`).
 */
export function telemetryTargetProblems(
  spec: Pick<TelemetrySpec, 'targetRef' | 'targetRefs'>,
  namespace: string,
  rootNamespace: string,
): readonly { readonly path: string; readonly message: string }[] {
  const references = spec.targetRefs?.length
    ? spec.targetRefs.map((reference, i) => ({ reference, path: `spec.targetRefs[${i}]` }))
    : spec.targetRef
      ? [{ reference: spec.targetRef, path: 'spec.targetRef' }]
      : [];
  return references.flatMap(({ reference: { kind, name }, path }) => {
    if (kind === 'Gateway') return [];
    const message =
      kind === 'GatewayClass' && namespace !== rootNamespace
        ? `selects nothing: a GatewayClass counts in the root namespace ${rootNamespace} only`
        : `selects nothing: ${kind} ${name} is served by waypoint proxies, which are not built yet`;
    return [{ path, message }];
  });
}
