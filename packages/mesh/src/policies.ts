import type { Config, ScopedProxy } from './model.ts';
import { byAge } from './order.ts';
import { selectorMatches } from './selector.ts';

/** What policies may use to say which workloads they are for; EnvoyFilter and Sidecar call it `workloadSelector`. */
interface Targeting {
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly workloadSelector?: { readonly labels?: Readonly<Record<string, string>> };
  readonly targetRef?: TargetReference;
  readonly targetRefs?: readonly TargetReference[];
}

interface TargetReference {
  readonly group?: string;
  readonly kind?: string;
  readonly name?: string;
}

/**
 * The policies that apply to a proxy, oldest first: those of the root namespace and of its own, each by its selector or by a reference to the
 * Gateway (of the Gateway API) that the proxy serves. A reference to anything else is for waypoints.
 */
export function policiesFor<Spec>(
  policies: Iterable<Config<Spec>>,
  proxy: Pick<ScopedProxy, 'namespace' | 'labels'>,
  rootNamespace: string,
): readonly Config<Spec>[] {
  const result: Config<Spec>[] = [];
  for (const policy of policies) {
    const { namespace } = policy.origin;
    if (namespace !== rootNamespace && namespace !== proxy.namespace) continue;
    const spec = policy.spec as Targeting;
    const references = spec.targetRefs?.length ? spec.targetRefs : spec.targetRef ? [spec.targetRef] : [];
    const applies =
      references.length > 0
        ? namespace === proxy.namespace && references.some((reference) => refersTo(reference, proxy.labels))
        : selectorMatches(spec.selector?.matchLabels ?? spec.workloadSelector?.labels, proxy.labels);
    if (applies) result.push(policy);
  }
  return result.sort(byAge);
}

const refersTo = (reference: TargetReference, labels: Readonly<Record<string, string>>): boolean =>
  reference.kind === 'Gateway' &&
  reference.group === 'gateway.networking.k8s.io' &&
  reference.name !== undefined &&
  reference.name === labels['gateway.networking.k8s.io/gateway-name'];
