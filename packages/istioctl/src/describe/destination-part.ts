import { hostCovers, type MergedDestinationRule, type Service, selectorMatches } from '@istio-ts/mesh';
import { lookUpRule } from '@istio-ts/mesh/destination-rule';
import type { MeshView } from './mesh-view.ts';

type Labels = Readonly<Record<string, string>>;

/** The rule that callers of a namespace apply to a service, as istiod looks it up. */
export function ruleFor(
  view: MeshView,
  service: Service,
  namespace: string,
  labels: Labels,
): MergedDestinationRule | undefined {
  return lookUpRule(
    (where) => view.mesh.destinationRules.get(where),
    { namespace, labels },
    { hostname: service.hostname, namespace: service.namespace },
    view.rootNamespace,
  );
}

const names = (rule: MergedDestinationRule) =>
  rule.origins.map(({ name, namespace }) => `${name}.${namespace}`).join(', ');

/** The TLS mode in which a rule has callers connect to a port, or undefined where it leaves that to Istio. */
export function tlsModeOf(rule: MergedDestinationRule | undefined, port: number): string | undefined {
  const policy = rule?.spec.trafficPolicy;
  const ofPort = policy?.portLevelSettings?.find((settings) => settings.port?.number === port);
  return (ofPort ?? policy)?.tls?.mode;
}

/**
 * Lines about the DestinationRule of a service. With a pod's labels they tell which subsets the pod is in; with those of all pods behind the service, how
 * many each subset has.
 */
export function destinationLines(
  rule: MergedDestinationRule,
  host: string,
  pod: Labels | undefined,
  behind: readonly Labels[],
): readonly string[] {
  const subsets = rule.spec.subsets ?? [];
  const policy = rule.spec.trafficPolicy;
  const features = [
    ...(policy?.tls?.mode ? [`TLS mode ${policy.tls.mode}`] : []),
    ...(policy?.loadBalancer ? ['load balancer'] : []),
    ...(policy?.connectionPool ? ['connection pool'] : []),
    ...(policy?.outlierDetection ? ['outlier detection'] : []),
    ...(policy?.portLevelSettings?.length ? [`settings of ${policy.portLevelSettings.length} ports`] : []),
  ];
  const covers = rule.host === host ? '' : `, which covers ${host}`;
  const lines = [`DestinationRule: ${names(rule)} for "${rule.host}"${covers}`];
  if (pod) {
    const matching = subsets.filter((subset) => selectorMatches(subset.labels, pod)).map(({ name }) => name ?? '');
    const others = subsets.filter((subset) => !selectorMatches(subset.labels, pod)).map(({ name }) => name ?? '');
    if (subsets.length > 0) {
      lines.push(
        `   Matching subsets: ${matching.join(', ') || 'none'}${others.length > 0 ? ` (not: ${others.join(', ')})` : ''}`,
      );
      if (matching.length === 0)
        lines.push('   WARNING: the pod is in no subset: it gets only traffic of routes without a subset');
    }
  } else
    for (const { name = '', labels } of subsets) {
      const count = behind.filter((own) => selectorMatches(labels, own)).length;
      const wanted = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
      lines.push(`   Subset ${name} (${wanted.join(', ') || 'any labels'}): ${count} ${count === 1 ? 'pod' : 'pods'}`);
      if (count === 0) lines.push(`   WARNING: no pod is in subset ${name}: requests that are routed to it fail`);
    }
  lines.push(`   Traffic policy: ${features.join(', ') || 'none'}`);
  return lines;
}

/** Rules that name the service but are not applied by callers of this namespace, with their places. */
export function unusedRules(
  view: MeshView,
  service: Service,
  used: MergedDestinationRule | undefined,
): readonly string[] {
  const applied = new Set(used?.origins.map(({ namespace, name }) => `${namespace}/${name}`));
  return [...view.mesh.destinationRules.values()].flatMap((rules) => {
    const groups = [...[...rules.exact.values()].flat(), ...rules.wildcards];
    return groups
      .filter(({ rule }) => hostCovers(rule.host, service.hostname))
      .flatMap(({ rule }) => rule.origins.filter(({ namespace, name }) => !applied.has(`${namespace}/${name}`)))
      .map(({ namespace, name }) => `${name}.${namespace}`);
  });
}
