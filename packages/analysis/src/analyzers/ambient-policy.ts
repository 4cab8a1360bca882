import type { Analyzer } from '../analyzer.ts';
import type { IstioObject } from '../config-object.ts';

/** Policies about HTTP for workloads in ambient mode that no waypoint serves: the proxies of the nodes do not read HTTP. */
export const ambientPolicy: Analyzer = {
  name: 'policy.AmbientAnalyzer',
  description: 'Finds policies about requests for workloads in ambient mode without a waypoint',
  inputs: ['Namespace', 'AuthorizationPolicy', 'RequestAuthentication', 'WasmPlugin'],
  run: (context) => {
    const unserved = new Set(
      context
        .objects('Namespace')
        .filter(({ labels }) => labels['istio.io/dataplane-mode'] === 'ambient' && !usesWaypoint(labels))
        .map(({ name }) => name),
    );
    if (unserved.size === 0) return;
    const reason = (what: string): { readonly reason: string } => ({
      reason: `${what} need a waypoint, and the workloads of this namespace, which are in ambient mode, have none; make one with istioctl waypoint apply --enroll-namespace, and name it in targetRefs`,
    });
    for (const policy of context.istio('AuthorizationPolicy'))
      if (unserved.has(policy.namespace) && !hasTarget(policy) && readsHttp(policy))
        context.report(policy, 'IneffectivePolicy', reason('rules about HTTP'), 'spec.rules');
    for (const kind of ['RequestAuthentication', 'WasmPlugin'] as const)
      for (const policy of context.istio(kind))
        if (unserved.has(policy.namespace) && (policy.spec.targetRefs ?? []).length === 0)
          context.report(policy, 'IneffectivePolicy', reason(`objects of the kind ${kind}`));
  },
};

const usesWaypoint = (labels: Readonly<Record<string, string>>): boolean => {
  const waypoint = labels['istio.io/use-waypoint'];
  return waypoint !== undefined && waypoint !== '' && waypoint !== 'none';
};

const hasTarget = ({ spec }: IstioObject<'AuthorizationPolicy'>): boolean =>
  (spec.targetRefs ?? []).length > 0 || spec.targetRef !== undefined;

const httpSources = ['requestPrincipals', 'notRequestPrincipals', 'remoteIpBlocks', 'notRemoteIpBlocks'] as const;
const httpOperations = ['hosts', 'notHosts', 'methods', 'notMethods', 'paths', 'notPaths'] as const;

function readsHttp({ spec }: IstioObject<'AuthorizationPolicy'>): boolean {
  if (spec.action === 'CUSTOM') return true;
  return (spec.rules ?? []).some(
    ({ from = [], to = [], when = [] }) =>
      from.some(({ source }) => httpSources.some((field) => (source?.[field] ?? []).length > 0)) ||
      to.some(({ operation }) => httpOperations.some((field) => (operation?.[field] ?? []).length > 0)) ||
      when.some(({ key }) => key.startsWith('request.')),
  );
}
