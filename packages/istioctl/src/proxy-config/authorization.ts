import { table } from '../cli/table.ts';
import { type ConfigDump, listenersOf } from '@istio-ts/envoy-dump/config-dump';
import { at, type Json, list, object, text } from '@istio-ts/envoy-dump/json';
import { chainsOf } from '@istio-ts/envoy-dump/listener';

/** An AuthorizationPolicy as an Envoy enforces it. */
export interface PolicyInForce {
  readonly action: 'ALLOW' | 'DENY' | 'CUSTOM' | 'LOG';
  /** `name.namespace`. */
  readonly policy: string;
  readonly rules: number;
  /** Only reported, not enforced (annotation `istio.io/dry-run`). */
  readonly dryRun: boolean;
}

/** All filters of a listener, those inside HTTP connection managers included. */
function filtersOf(listener: Json): readonly Json[] {
  return chainsOf(listener).flatMap((chain) => {
    const filters = list(chain.filters);
    return [...filters, ...filters.flatMap((filter) => list(at(filter, 'typedConfig', 'httpFilters')))];
  });
}

const isRbac = (filter: Json) => text(at(filter, 'typedConfig', '@type')).endsWith('.RBAC');

/** A rule's name in Envoy: `ns[NAMESPACE]-policy[NAME]-rule[INDEX]`, with a prefix for rules that ask an external service. */
const ruleName = /ns\[([^\]]*)\]-policy\[([^\]]*)\]-rule\[(\d+)\]/;

/** Rules that mark what an external service is asked about; Istio's own name of the filter does not tell. */
const marksForQuestions = (filter: Json): boolean =>
  text(at(filter, 'typedConfig', 'shadowRulesStatPrefix')).startsWith('istio_ext_authz_');

function actionOf(filter: Json, rules: Json): PolicyInForce['action'] {
  if (text(filter.name).includes('custom') || marksForQuestions(filter)) return 'CUSTOM';
  const action = text(rules.action);
  return action === 'DENY' || action === 'LOG' ? action : 'ALLOW';
}

/** Stands for an ALLOW check without any rule. */
const nothing = '(nothing is admitted)';

/**
 * The AuthorizationPolicies that an Envoy has in force, over all its listeners. An ALLOW check without any rule admits nothing; it is told as such where no
 * check has rules (beside one that has, it is the same check for connections that the rules do not speak of).
 */
export function policiesInForce(dump: ConfigDump): readonly PolicyInForce[] {
  const found = new Map<
    string,
    {
      readonly action: PolicyInForce['action'];
      readonly policy: string;
      readonly dryRun: boolean;
      readonly rules: Set<string>;
    }
  >();
  for (const filter of listenersOf(dump).flatMap(filtersOf).filter(isRbac)) {
    for (const [field, dryRun] of [
      ['rules', false],
      ['shadowRules', !marksForQuestions(filter)],
    ] as const) {
      const checks = at(filter, 'typedConfig', field);
      if (checks === undefined) continue;
      const action = actionOf(filter, object(checks));
      const names = Object.keys(object(at(checks, 'policies')));
      for (const name of names.length > 0 ? names : action === 'ALLOW' ? ['ns[]-policy[]-rule[]'] : []) {
        const [, namespace = '', policy = '', index = ''] = ruleName.exec(name) ?? [];
        const shown = policy === '' ? (names.length > 0 ? name : nothing) : `${policy}.${namespace}`;
        const key = JSON.stringify([action, shown, dryRun]);
        const entry = found.get(key) ?? { action, policy: shown, dryRun, rules: new Set<string>() };
        if (names.length > 0) entry.rules.add(index === '' ? name : index);
        found.set(key, entry);
      }
    }
  }
  const order = ['CUSTOM', 'LOG', 'DENY', 'ALLOW'];
  const entries = [...found.values()];
  const admits = entries.some(({ action, policy, dryRun }) => action === 'ALLOW' && policy !== nothing && !dryRun);
  return entries
    .filter(({ policy }) => policy !== nothing || !admits)
    .map(({ rules, ...rest }) => ({ ...rest, rules: rules.size }))
    .sort((a, b) => order.indexOf(a.action) - order.indexOf(b.action) || a.policy.localeCompare(b.policy));
}

/** The table of `istioctl experimental authz check`, in the order in which Envoy asks. */
export function authorizationTable(policies: readonly PolicyInForce[]): string {
  return table(
    ['ACTION', 'AuthorizationPolicy', 'RULES'],
    policies.map(({ action, policy, rules, dryRun }) => [
      `${action}${dryRun ? ' (dry run)' : ''}`,
      policy,
      String(rules),
    ]),
    3,
  );
}
