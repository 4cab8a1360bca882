import type { Analyzer } from '../analyzer.ts';
import type { AnalysisContext } from '../context.ts';
import type { IstioObject } from '../config-object.ts';

interface Rule {
  readonly name?: string;
  readonly match?: readonly object[];
}

/** Rules and matches that never take effect because an earlier one takes the same traffic. */
export const virtualServiceRuleOrder: Analyzer = {
  name: 'virtualservice.RuleOrderAnalyzer',
  description: 'Checks for rules of VirtualServices that an earlier rule makes useless',
  inputs: ['VirtualService'],
  run: (context) => {
    for (const entry of context.istio('VirtualService')) {
      checkRules(context, entry, entry.spec.http ?? [], 'spec.http');
      checkRules(context, entry, entry.spec.tls ?? [], 'spec.tls');
      checkRules(context, entry, entry.spec.tcp ?? [], 'spec.tcp');
    }
  },
};

function checkRules(
  context: AnalysisContext,
  entry: IstioObject<'VirtualService'>,
  rules: readonly Rule[],
  path: string,
): void {
  /** Name of the rule that has a condition first, by the condition. */
  const taken = new Map<string, string>();
  let open: string | undefined;
  for (const [index, rule] of rules.entries()) {
    const ruleno = nameOf(rule, index);
    const unreachable = (reason: string): void =>
      context.report(entry, 'VirtualServiceUnreachableRule', { ruleno, reason }, `${path}[${index}]`);
    if (open !== undefined) {
      unreachable(`the rule ${open} before it takes everything; move that one to the end`);
      continue;
    }
    const conditions = (rule.match ?? []).map(conditionOf);
    const repeated = conditions.flatMap((condition, at) => {
      const dupno = taken.get(condition);
      if (dupno === undefined) taken.set(condition, ruleno);
      return dupno === undefined ? [] : [{ at, dupno }];
    });
    if (conditions.length > 0 && repeated.length === conditions.length) {
      unreachable('earlier rules have all of its matches');
      continue;
    }
    for (const { at, dupno } of repeated) {
      const args = { ruleno, matchno: `#${at}`, dupno };
      context.report(entry, 'VirtualServiceIneffectiveMatch', args, `${path}[${index}].match[${at}]`);
    }
    if (conditions.length === 0 || conditions.some((condition) => everything.has(condition))) open = ruleno;
  }
}

const nameOf = (rule: Rule, index: number): string => (rule.name ? `"${rule.name}" (#${index})` : `#${index}`);

/** What a match asks for, with the order of fields and what only logs see left out. */
function conditionOf(match: object): string {
  const { name: _name, statPrefix: _statPrefix, ...condition } = match as Readonly<Record<string, unknown>>;
  return JSON.stringify(sorted(condition));
}

/** Conditions that every request meets. */
const everything: ReadonlySet<string> = new Set([{}, { uri: { prefix: '/' } }].map(conditionOf));

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => [key, sorted(item)]);
}
