import {
  type Fields,
  fieldsOf,
  fullHost,
  isHostOf,
  type Json,
  listOf,
  type MeshObject,
  textOf,
  type WizardService,
  withField,
} from './object.ts';

/** The DestinationRule of the service among the objects: the one in its own namespace before those in others. */
export function destinationRuleOf(service: WizardService, objects: readonly MeshObject[]): MeshObject | undefined {
  const fitting = objects.filter(
    ({ kind, metadata, spec }) =>
      kind === 'DestinationRule' && isHostOf(textOf(spec.host) ?? '', metadata.namespace, service),
  );
  return fitting.find(({ metadata }) => metadata.namespace === service.namespace) ?? fitting[0];
}

export function newDestinationRule(service: WizardService): MeshObject {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'DestinationRule',
    metadata: { name: service.name, namespace: service.namespace },
    spec: { host: fullHost(service) },
  };
}

/** The name of the subset that stands for a version; undefined when the rule has none. */
export function subsetOf(rule: MeshObject | undefined, version: string): string | undefined {
  const subset = listOf(rule?.spec.subsets).find(({ labels }) => textOf(fieldsOf(labels).version) === version);
  return subset && textOf(subset.name);
}

/** The version that a subset stands for. */
export function versionOf(rule: MeshObject | undefined, subset: string): string | undefined {
  const found = listOf(rule?.spec.subsets).find(({ name }) => name === subset);
  return found && textOf(fieldsOf(found.labels).version);
}

/** The rule with a subset for each version; those that it has stay as they are. */
export function withSubsets(rule: MeshObject, versions: readonly string[]): MeshObject {
  const missing = versions.filter((version) => subsetOf(rule, version) === undefined);
  if (missing.length === 0) return rule;
  const subsets: readonly Fields[] = [
    ...listOf(rule.spec.subsets),
    ...missing.map((version) => ({ name: version, labels: { version } })),
  ];
  return { ...rule, spec: { ...rule.spec, subsets } };
}

/** Changes one part of the rule's traffic policy; undefined takes it away. */
export function withTrafficPolicy(rule: MeshObject, part: string, value: Json | undefined): MeshObject {
  const policy = withField(fieldsOf(rule.spec.trafficPolicy), part, value);
  return {
    ...rule,
    spec: withField(rule.spec, 'trafficPolicy', Object.keys(policy).length === 0 ? undefined : policy),
  };
}
