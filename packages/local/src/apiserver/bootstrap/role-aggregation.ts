import { asObject, asObjects, equal, isObject, type JsonObject } from '../json.ts';
import { internalContext, type Target } from '../operations/context.ts';
import type { Operations } from '../operations/operations.ts';
import { matchesLabelSelector } from '../selectors.ts';

const KEY = 'rbac.authorization.k8s.io/clusterroles';

/**
 * Keeps the rules of ClusterRoles with an `aggregationRule` (admin, edit, view, and those of users) equal to those of the ClusterRoles
 * that their selectors match. Returns a function that ends it.
 */
export function keepRolesAggregated(operations: Operations, log: (line: string) => void): () => void {
  const { store, registry } = operations;
  const served = registry.find('rbac.authorization.k8s.io', 'v1', 'clusterroles');
  if (served === undefined) return () => {};
  let scheduled = false;
  let stopped = false;

  const wantedRules = (self: string, rule: JsonObject): JsonObject[] => {
    const selectors = asObjects(rule.clusterRoleSelectors);
    const rules: JsonObject[] = [];
    for (const role of store.list(KEY)) {
      if (role.metadata.name === self) continue;
      if (!selectors.some((selector) => matchesLabelSelector(asObject(role.metadata.labels), selector))) continue;
      for (const one of asObjects(role.rules)) if (!rules.some((known) => equal(known, one))) rules.push(one);
    }
    return rules;
  };

  const aggregate = async () => {
    for (const role of store.list(KEY)) {
      const rule = role.aggregationRule;
      const { name } = role.metadata;
      if (stopped || !isObject(rule)) continue;
      const rules = wantedRules(name, rule);
      if (equal(role.rules ?? [], rules)) continue;
      const target: Target = { ...served, namespace: '', name, subresource: '' };
      await operations.update(
        target,
        (current) => ({ ...current, rules }),
        internalContext('clusterrole-aggregation-controller'),
      );
    }
  };

  const schedule = () => {
    if (scheduled || stopped) return;
    scheduled = true;
    setImmediate(() => {
      scheduled = false;
      aggregate().catch((error: unknown) =>
        log(`aggregation of ClusterRoles: ${error instanceof Error ? error.message : String(error)}`),
      );
    });
  };

  const stop = store.listen(KEY, schedule);
  schedule();
  return () => {
    stopped = true;
    stop();
  };
}
