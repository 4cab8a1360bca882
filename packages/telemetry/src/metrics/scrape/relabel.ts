import { createHash } from 'node:crypto';
import { isLabelName } from '../labels.ts';
import { anchoredPattern } from '../storage/matcher.ts';

export const relabelActions = [
  'replace',
  'keep',
  'drop',
  'keepequal',
  'dropequal',
  'hashmod',
  'labelmap',
  'labeldrop',
  'labelkeep',
  'lowercase',
  'uppercase',
] as const;
export type RelabelAction = (typeof relabelActions)[number];

/** One rule of `relabel_configs` or `metric_relabel_configs` (Prometheus' documentation, "relabel_config"). */
export interface RelabelRule {
  readonly action: RelabelAction;
  readonly sourceLabels: readonly string[];
  readonly separator: string;
  readonly targetLabel: string;
  readonly replacement: string;
  readonly modulus: number;
  readonly expand: (value: string, replacement: string) => string | undefined;
}

export const defaultPattern = anchoredPattern('(.*)');

/** Labels after the rules; undefined: dropped. Names and values in no order; those with an empty value count as not there. */
export function relabel(
  given: ReadonlyMap<string, string>,
  rules: readonly RelabelRule[],
): ReadonlyMap<string, string> | undefined {
  const labels = new Map(given);
  const set = (name: string, value: string): void => {
    if (value === '') labels.delete(name);
    else labels.set(name, value);
  };
  for (const rule of rules) {
    const value = rule.sourceLabels.map((name) => labels.get(name) ?? '').join(rule.separator);
    switch (rule.action) {
      case 'keep':
        if (rule.expand(value, '') === undefined) return undefined;
        break;
      case 'drop':
        if (rule.expand(value, '') !== undefined) return undefined;
        break;
      case 'keepequal':
        if ((labels.get(rule.targetLabel) ?? '') !== value) return undefined;
        break;
      case 'dropequal':
        if ((labels.get(rule.targetLabel) ?? '') === value) return undefined;
        break;
      case 'replace': {
        const found = rule.expand(value, rule.replacement);
        if (found === undefined) break;
        const target = rule.targetLabel.includes('$') ? rule.expand(value, rule.targetLabel) : rule.targetLabel;
        if (target !== undefined && isLabelName(target)) set(target, found);
        break;
      }
      case 'lowercase':
        set(rule.targetLabel, value.toLowerCase());
        break;
      case 'uppercase':
        set(rule.targetLabel, value.toUpperCase());
        break;
      case 'hashmod': {
        const hash = createHash('md5').update(value).digest().readBigUInt64BE(8);
        set(rule.targetLabel, String(hash % BigInt(rule.modulus)));
        break;
      }
      case 'labelmap':
        for (const [name, old] of [...labels]) {
          const target = rule.expand(name, rule.replacement);
          if (target !== undefined) set(target, old);
        }
        break;
      case 'labeldrop':
        for (const name of [...labels.keys()]) if (rule.expand(name, '') !== undefined) labels.delete(name);
        break;
      case 'labelkeep':
        for (const name of [...labels.keys()]) if (rule.expand(name, '') === undefined) labels.delete(name);
        break;
      default:
        rule.action satisfies never;
    }
  }
  return labels;
}
