import { isEmptySelector, selectorMatches } from '@istio-ts/mesh/selector';
import type { Analyzer } from '../analyzer.ts';
import { type IstioObject, nameOf } from '../config-object.ts';
import { gatewayPods } from '../gateway-pods.ts';
import { gatewaysOf } from '../virtual-service.ts';
import { type Workload, workloadInputs } from '../workloads.ts';

/** Headers that stand for claims of a verified token (Istio documentation, "JWT claim based routing"). */
const claimHeader = /^@request\.auth\.claims[.[]/;

/** Routes by claims of tokens on gateways where no token is verified. */
export const virtualServiceJwtClaim: Analyzer = {
  name: 'virtualservice.JWTClaimRouteAnalyzer',
  description: 'Checks that gateways verify the tokens whose claims VirtualServices route by',
  inputs: ['VirtualService', 'Gateway', 'RequestAuthentication', ...workloadInputs],
  run: (context) => {
    const gateways = new Map(context.istio('Gateway').map((gateway) => [nameOf(gateway), gateway]));
    const policies = context.istio('RequestAuthentication');
    for (const entry of context.istio('VirtualService')) {
      const claims = claimsOf(entry);
      if (claims.length === 0) continue;
      for (const named of gatewaysOf(entry)) {
        const gateway = gateways.get(nameOf(named));
        if (!gateway) continue;
        for (const pod of gatewayPods(context, gateway.spec)) {
          if (policies.some((policy) => applies(policy, pod, context.snapshot.rootNamespace))) continue;
          for (const { key, path } of claims) {
            const args = { key, gateway: nameOf(named), pod: nameOf(pod) };
            context.report(entry, 'JwtClaimBasedRoutingWithoutRequestAuthN', args, path);
          }
        }
      }
    }
  },
};

function claimsOf({ spec }: IstioObject<'VirtualService'>): readonly { readonly key: string; readonly path: string }[] {
  return (spec.http ?? []).flatMap((rule, index) =>
    (rule.match ?? []).flatMap((match, at) =>
      (['headers', 'withoutHeaders'] as const).flatMap((field) =>
        Object.keys(match[field] ?? {})
          .filter((key) => claimHeader.test(key))
          .map((key) => ({ key, path: `spec.http[${index}].match[${at}].${field}[${JSON.stringify(key)}]` })),
      ),
    ),
  );
}

function applies(policy: IstioObject<'RequestAuthentication'>, pod: Workload, rootNamespace: string): boolean {
  if (policy.namespace !== pod.namespace && policy.namespace !== rootNamespace) return false;
  const { spec } = policy;
  const targets = [...(spec.targetRefs ?? []), ...(spec.targetRef ? [spec.targetRef] : [])];
  if (targets.length > 0)
    return targets.some(
      ({ kind, name }) => kind === 'Gateway' && pod.labels['gateway.networking.k8s.io/gateway-name'] === name,
    );
  const selector = spec.selector?.matchLabels;
  return isEmptySelector(selector) || selectorMatches(selector, pod.labels);
}
