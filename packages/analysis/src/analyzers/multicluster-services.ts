import { fields, list, text } from '@istio-ts/mesh/kubernetes/read';
import type { Analyzer } from '../analyzer.ts';
import type { ConfigObject } from '../config-object.ts';
import { isSystemNamespace } from '../context.ts';

/** Services that have one name in several clusters and are not the same. */
export const multiclusterServices: Analyzer = {
  name: 'multicluster.ServiceAnalyzer',
  description: 'Compares services of the same name in several clusters',
  inputs: ['Service'],
  run: (context) => {
    const { clusters, istioNamespace } = context.snapshot;
    if (clusters.length < 2) return;
    const byName = Map.groupBy(
      clusters.flatMap((cluster) => context.objects('Service', cluster)),
      ({ namespace, name }) => `${namespace}/${name}`,
    );
    for (const same of byName.values()) {
      const [first] = same;
      if (first === undefined || same.length < 2) continue;
      // Every cluster has these for itself.
      if (isSystemNamespace(first.namespace) || first.namespace === istioNamespace || first.name === 'kubernetes')
        continue;
      const problems = differences(same);
      if (problems.length === 0) continue;
      context.report(first, 'MultiClusterInconsistentService', {
        serviceName: first.name,
        namespace: first.namespace,
        clusters: same.map(({ cluster }) => cluster),
        error: problems.join('; '),
      });
    }
  },
};

function differences(services: readonly ConfigObject[]): readonly string[] {
  const facts = services.map(({ cluster, object }) => {
    const spec = fields(object.spec);
    return {
      cluster,
      headless: spec.clusterIP === 'None',
      type: text(spec.type) || 'ClusterIP',
      ports: list(spec.ports)
        .map((item) => {
          const { name, port, appProtocol, protocol } = fields(item);
          return [`${String(port)}/${text(protocol) || 'TCP'}`, text(name), text(appProtocol)]
            .filter(Boolean)
            .join(' ');
        })
        .sort()
        .join(', '),
    };
  });
  const differ = <T>(of: (fact: (typeof facts)[number]) => T): boolean => new Set(facts.map(of)).size > 1;
  const each = (of: (fact: (typeof facts)[number]) => string): string =>
    facts.map((fact) => `${fact.cluster}: ${of(fact)}`).join(', ');
  return [
    ...(differ(({ headless }) => headless)
      ? [`headless in some only (${each(({ headless }) => (headless ? 'headless' : 'with an address'))})`]
      : []),
    ...(differ(({ type }) => type) ? [`types differ (${each(({ type }) => type)})`] : []),
    ...(differ(({ ports }) => ports) ? [`ports differ (${each(({ ports }) => ports || 'none')})`] : []),
  ];
}
