import type { DestinationRuleSpec } from '@istio-ts/api';
import { hostCovers, isWildcard, moreSpecificHost, resolveHost } from './host.ts';
import type { Config, MergedDestinationRule, ProxyScope, Visibility } from './model.ts';
import { byAge } from './order.ts';
import { isEmptySelector, selectorMatches } from './selector.ts';
import { visibilityOf, visibleTo } from './visibility.ts';

/** DestinationRules of one namespace that name the same host, are meant for the same workloads and are visible to the same namespaces. */
export interface RuleGroup {
  readonly rule: MergedDestinationRule;
  /** Labels of the clients that it is for; undefined: all. */
  readonly selector: Readonly<Record<string, string>> | undefined;
  readonly exportTo: Visibility;
}

/** The rules of one namespace, ready to be searched. */
export interface NamespaceRules {
  readonly exact: ReadonlyMap<string, readonly RuleGroup[]>;
  /** Wildcard hosts, the most specific first. */
  readonly wildcards: readonly RuleGroup[];
}

/** Rules with equal keys are merged into one. */
export function ruleGroupKey(
  config: Config<DestinationRuleSpec>,
  domainSuffix: string,
  defaultExportTo: readonly string[] | undefined,
): string {
  const { namespace } = config.origin;
  const selector = Object.entries(config.spec.workloadSelector?.matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const exportTo = visibilityOf(config.spec.exportTo, defaultExportTo, namespace);
  return JSON.stringify([namespace, resolveHost(config.spec.host ?? '', namespace, domainSuffix), selector, exportTo]);
}

/**
 * Merges the rules of a group: the traffic policy of the oldest that has one, subsets of all; of two subsets with one name the older stays (Istio
 * documentation, "Traffic Management Best Practices", "Split large virtual services and destination rules").
 */
export function mergeRules(
  configs: readonly Config<DestinationRuleSpec>[],
  domainSuffix: string,
  defaultExportTo: readonly string[] | undefined,
): RuleGroup | undefined {
  const rules = [...configs].sort(byAge);
  const [oldest] = rules;
  if (!oldest) return undefined;
  const { namespace } = oldest.origin;
  const host = resolveHost(oldest.spec.host ?? '', namespace, domainSuffix);
  const subsets = new Map<string, NonNullable<DestinationRuleSpec['subsets']>[number]>();
  for (const rule of rules) {
    for (const subset of rule.spec.subsets ?? [])
      if (!subsets.has(subset.name ?? '')) subsets.set(subset.name ?? '', subset);
  }
  const trafficPolicy = rules.find((rule) => rule.spec.trafficPolicy)?.spec.trafficPolicy;
  const selector = oldest.spec.workloadSelector?.matchLabels;
  return {
    rule: {
      host,
      origins: rules.map((rule) => rule.origin),
      namespace,
      spec: {
        ...oldest.spec,
        host,
        ...(trafficPolicy && { trafficPolicy }),
        ...(subsets.size > 0 && { subsets: [...subsets.values()] }),
      },
    },
    selector: isEmptySelector(selector) ? undefined : selector,
    exportTo: visibilityOf(oldest.spec.exportTo, defaultExportTo, namespace),
  };
}

export function namespaceRules(groups: readonly RuleGroup[]): NamespaceRules {
  const exact = new Map<string, RuleGroup[]>();
  const wildcards: RuleGroup[] = [];
  for (const group of groups) {
    const { host } = group.rule;
    if (isWildcard(host)) wildcards.push(group);
    else exact.set(host, [...(exact.get(host) ?? []), group]);
  }
  return { exact, wildcards: wildcards.sort((a, b) => moreSpecificHost(a.rule.host, b.rule.host)) };
}

/** Whom a rule is looked up for. */
export interface RuleClient {
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * The rule for a host as a client sees it: the first that is found in the client's namespace, in the namespace of the service, in the root
 * namespace; in each of them an exact host before the longest wildcard, and a rule for the client's labels before one for everybody (Istio
 * documentation, DestinationRule, `exportTo` and `workloadSelector`).
 */
export function lookUpRule(
  rulesOf: (namespace: string) => NamespaceRules | undefined,
  client: RuleClient,
  service: { readonly hostname: string; readonly namespace: string },
  rootNamespace: string,
): MergedDestinationRule | undefined {
  for (const namespace of new Set([client.namespace, service.namespace, rootNamespace])) {
    const rules = rulesOf(namespace);
    if (!rules) continue;
    const usable = (group: RuleGroup): boolean =>
      (namespace === client.namespace || visibleTo(group.exportTo, client.namespace)) &&
      (group.selector === undefined ||
        (namespace === client.namespace && selectorMatches(group.selector, client.labels)));
    const found =
      select((rules.exact.get(service.hostname) ?? []).filter(usable)) ??
      select(
        mostSpecific(rules.wildcards.filter((group) => usable(group) && hostCovers(group.rule.host, service.hostname))),
      );
    if (found) return found.rule;
  }
  return undefined;
}

const select = (groups: readonly RuleGroup[]): RuleGroup | undefined =>
  groups.find((group) => group.selector !== undefined) ?? groups[0];

function mostSpecific(groups: readonly RuleGroup[]): readonly RuleGroup[] {
  const host = groups[0]?.rule.host;
  return groups.filter((group) => group.rule.host === host);
}

/** The DestinationRule that a proxy applies to a host, or undefined. */
export function destinationRuleFor(
  scope: Pick<ProxyScope, 'destinationRules'>,
  host: string,
): MergedDestinationRule | undefined {
  return scope.destinationRules.get(host);
}
