import type { PeerAuthenticationSpec } from '@istio-ts/api';
import type { Config, EffectivePeerAuthentication, MutualTlsMode } from './model.ts';
import { byAge } from './order.ts';
import { isEmptySelector, selectorMatches } from './selector.ts';

const modeOf = (mtls: { readonly mode?: string } | undefined): MutualTlsMode | undefined =>
  mtls?.mode === 'DISABLE' || mtls?.mode === 'PERMISSIVE' || mtls?.mode === 'STRICT' ? mtls.mode : undefined;

/**
 * What PeerAuthentications mean for a workload: its own policy before that of the namespace before that of the mesh; UNSET inherits, and without
 * any policy the mode is PERMISSIVE. Of several policies for the same scope the oldest counts (Istio documentation, PeerAuthentication).
 * `policies` are those of the workload's namespace and of the root namespace.
 */
export function effectivePeerAuthentication(
  policies: readonly Config<PeerAuthenticationSpec>[],
  workload: { readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  rootNamespace: string,
): EffectivePeerAuthentication {
  const sorted = [...policies].sort(byAge);
  const selectorOf = (policy: Config<PeerAuthenticationSpec>) => policy.spec.selector?.matchLabels;
  const mesh = sorted.find(
    (policy) => policy.origin.namespace === rootNamespace && isEmptySelector(selectorOf(policy)),
  );
  const namespace = sorted.find(
    (policy) =>
      policy !== mesh && policy.origin.namespace === workload.namespace && isEmptySelector(selectorOf(policy)),
  );
  const own = sorted.find(
    (policy) =>
      policy.origin.namespace === workload.namespace &&
      !isEmptySelector(selectorOf(policy)) &&
      selectorMatches(selectorOf(policy), workload.labels),
  );
  const mode = modeOf(own?.spec.mtls) ?? modeOf(namespace?.spec.mtls) ?? modeOf(mesh?.spec.mtls) ?? 'PERMISSIVE';
  const portModes = new Map<number, MutualTlsMode>();
  // Single ports are set only by policies with a selector.
  for (const [port, mtls] of Object.entries(own?.spec.portLevelMtls ?? {}))
    portModes.set(Number(port), modeOf(mtls) ?? mode);
  return {
    mode,
    portModes,
    origins: [own, namespace, mesh].flatMap((policy) => (policy ? [policy.origin] : [])),
  };
}
