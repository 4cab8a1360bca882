import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import {
  type Condition,
  conditionProblem,
  currentRules,
  type MatchHow,
  type MatchOn,
  routeRequests,
  type RoutingRule,
} from '../../src/wizards/request-routing.ts';
import { evenWeights } from '../../src/wizards/weights.ts';
import { Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { t } from '../texts.ts';
import type { FormProps } from './dialog.tsx';
import { Sliders } from './shift-form.tsx';

const matchOn: readonly MatchOn[] = ['header', 'uri', 'method', 'authority', 'queryParam'];
const matchHow: readonly MatchHow[] = ['exact', 'prefix', 'regex', 'present'];

const firstCondition: Condition = { on: 'header', name: '', how: 'exact', value: '' };

function ConditionRow({
  condition,
  onChange,
  onRemove,
}: {
  readonly condition: Condition;
  readonly onChange: (condition: Condition) => void;
  readonly onRemove: () => void;
}): JSX.Element {
  const named = condition.on === 'header' || condition.on === 'queryParam';
  return (
    <div class="condition">
      <Select
        label={t.wizards.when}
        value={condition.on}
        choices={matchOn.map((on) => ({ value: on, label: t.wizards.on[on] }))}
        onChange={(value) => onChange({ ...condition, on: matchOn.find((on) => on === value) ?? 'header' })}
      />
      {named && (
        <input
          class="input"
          aria-label={t.wizards.nameOf}
          placeholder={t.wizards.nameOf}
          value={condition.name}
          onInput={(event) => onChange({ ...condition, name: event.currentTarget.value })}
        />
      )}
      <Select
        label={t.wizards.how.exact}
        value={condition.how}
        choices={matchHow.map((how) => ({ value: how, label: t.wizards.how[how] }))}
        onChange={(value) => onChange({ ...condition, how: matchHow.find((how) => how === value) ?? 'exact' })}
      />
      {condition.how !== 'present' && (
        <input
          class="input grow"
          aria-label={t.wizards.value}
          placeholder={t.wizards.value}
          value={condition.value}
          onInput={(event) => onChange({ ...condition, value: event.currentTarget.value })}
        />
      )}
      <button type="button" class="button quiet icon" aria-label={t.wizards.removeCondition} onClick={onRemove}>
        <Icon name="close" size={13} />
      </button>
    </div>
  );
}

/** The routes of the service in their order; new ones are written here, present ones can be moved and removed. */
export function RoutingForm({ situation, report }: FormProps): JSX.Element {
  const { service } = situation;
  const objects = situation.present.map(({ object }) => object);
  const [rules, setRules] = useState<readonly RoutingRule[]>(() => currentRules(service, objects));
  const problem = rules
    .flatMap((rule) => ('conditions' in rule ? rule.conditions.map(conditionProblem) : []))
    .find((each) => each !== undefined);
  // Reported when the choice changes.
  useEffect(() => {
    report({ result: problem === undefined ? routeRequests(service, objects, rules) : undefined, problem });
  }, [rules, situation]);
  const replace = (index: number, rule: RoutingRule) => setRules(rules.map((each, at) => (at === index ? rule : each)));
  const move = (index: number, by: number) => {
    const next = [...rules];
    const [rule] = next.splice(index, 1);
    if (rule) next.splice(index + by, 0, rule);
    setRules(next);
  };
  const add = () => {
    const versions = service.versions;
    const weights =
      versions.length === 0
        ? []
        : evenWeights(versions).map(({ version }, index) => ({
            version,
            weight: index === versions.length - 1 ? 100 : 0,
          }));
    setRules([{ conditions: [firstCondition], weights }, ...rules]);
  };
  return (
    <>
      <div class="row spread">
        <h3>{t.wizards.rules}</h3>
        <button type="button" class="button small" disabled={service.versions.length === 0} onClick={add}>
          <Icon name="plus" size={13} />
          {t.wizards.addRule}
        </button>
      </div>
      {service.versions.length === 0 && <p class="warn">{t.wizards.noVersions}</p>}
      <ol class="rules">
        {rules.map((rule, index) => (
          <li key={'origin' in rule ? `old ${rule.origin}` : `new ${rules.length - index}`} class="rule">
            <div class="row spread">
              <span class="row grow">
                <span class="count">{index + 1}</span>
                {'summary' in rule ? <span class="wrap">{rule.summary}</span> : <strong>{t.wizards.newRule}</strong>}
              </span>
              <span class="row tools">
                <button
                  type="button"
                  class="button quiet icon"
                  aria-label={t.wizards.moveUp}
                  disabled={index === 0}
                  onClick={() => move(index, -1)}
                >
                  <Icon name="up" size={13} />
                </button>
                <button
                  type="button"
                  class="button quiet icon"
                  aria-label={t.wizards.moveDown}
                  disabled={index === rules.length - 1}
                  onClick={() => move(index, 1)}
                >
                  <Icon name="down" size={13} />
                </button>
                <button
                  type="button"
                  class="button quiet icon"
                  aria-label={t.wizards.removeRule}
                  onClick={() => setRules(rules.filter((_, at) => at !== index))}
                >
                  <Icon name="trash" size={13} />
                </button>
              </span>
            </div>
            {'conditions' in rule && (
              <>
                {rule.conditions.length === 0 && <p class="soft">{t.wizards.everything}</p>}
                {rule.conditions.map((condition, at) => (
                  <ConditionRow
                    // Conditions have nothing else that stays.
                    key={at}
                    condition={condition}
                    onChange={(changed) =>
                      replace(index, {
                        ...rule,
                        conditions: rule.conditions.map((each, other) => (other === at ? changed : each)),
                      })
                    }
                    onRemove={() =>
                      replace(index, { ...rule, conditions: rule.conditions.filter((_, other) => other !== at) })
                    }
                  />
                ))}
                <button
                  type="button"
                  class="button quiet small"
                  onClick={() => replace(index, { ...rule, conditions: [...rule.conditions, firstCondition] })}
                >
                  <Icon name="plus" size={12} />
                  {t.wizards.addCondition}
                </button>
                <p class="faint small">{t.wizards.goesTo}</p>
                <Sliders weights={rule.weights} onChange={(weights) => replace(index, { ...rule, weights })} />
              </>
            )}
          </li>
        ))}
      </ol>
    </>
  );
}
