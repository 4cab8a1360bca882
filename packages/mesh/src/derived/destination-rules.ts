import { type Cell, cell, type Collection, index, map } from '@istio-ts/collections';
import { mergeRules, type NamespaceRules, namespaceRules, ruleGroupKey } from '../destination-rule.ts';
import type { MeshSources } from '../sources.ts';

/** DestinationRules by namespace, merged where they are about the same. `domainSuffix` is that of the cluster's DNS. */
export function createDestinationRules(sources: MeshSources, domainSuffix: string): Collection<NamespaceRules> {
  const { graph, meshConfig } = sources;
  const defaultRuleExport = cell(graph, (fetch) => fetch.value(meshConfig).defaultDestinationRuleExportTo ?? [], {
    name: 'default export of DestinationRules',
  });
  const ruleGroups = map(
    createRuleGroups(sources, domainSuffix, defaultRuleExport),
    (configs, _key, fetch) => mergeRules(configs, domainSuffix, fetch.value(defaultRuleExport)),
    { name: 'merged DestinationRules' },
  );
  return map(
    index(ruleGroups, (group) => [group.rule.namespace], { name: 'merged DestinationRules by namespace' }),
    (groups) => namespaceRules(groups),
    { name: 'DestinationRules of namespaces' },
  );
}

/** DestinationRules that are merged with each other. */
function createRuleGroups(sources: MeshSources, domainSuffix: string, defaultExport: Cell<readonly string[]>) {
  const keyed = map(
    sources.configs('DestinationRule'),
    (config, _key, fetch) => ({ config, group: ruleGroupKey(config, domainSuffix, fetch.value(defaultExport)) }),
    { name: 'DestinationRules with their groups' },
  );
  return map(
    index(keyed, ({ group }) => [group], { name: 'DestinationRules by group' }),
    (members) => members.map(({ config }) => config),
    { name: 'groups of DestinationRules' },
  );
}
