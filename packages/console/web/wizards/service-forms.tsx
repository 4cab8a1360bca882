import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { isDuration } from '../../src/wizards/route-policy.ts';
import {
  type ClientMode,
  currentLimits,
  currentMutualTls,
  type LimitsChoice,
  type ServerMode,
  setLimits,
  setMutualTls,
} from '../../src/wizards/service-policy.ts';
import { Field } from '../parts/controls.tsx';
import { t } from '../texts.ts';
import type { FormProps } from './dialog.tsx';

const serverModes: readonly ServerMode[] = ['UNSET', 'STRICT', 'PERMISSIVE', 'DISABLE'];
const clientModes: readonly ClientMode[] = ['AUTO', 'ISTIO_MUTUAL', 'SIMPLE', 'DISABLE'];

function Radios<T extends string>(props: {
  readonly name: string;
  readonly legend: string;
  readonly value: T;
  readonly values: readonly T[];
  readonly label: (value: T) => string;
  readonly onChange: (value: T) => void;
}): JSX.Element {
  return (
    <fieldset class="group-box">
      <legend>{props.legend}</legend>
      {props.values.map((value) => (
        <label key={value} class="check">
          <input
            type="radio"
            name={props.name}
            checked={value === props.value}
            onChange={() => props.onChange(value)}
          />
          <span>
            {props.label(value)} <code class="faint">{value}</code>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

export function MutualTlsForm({ situation, report }: FormProps): JSX.Element {
  const objects = situation.present.map(({ object }) => object);
  const [choice, setChoice] = useState(() => currentMutualTls(situation.service, objects));
  // Reported when the choice changes.
  useEffect(() => {
    report({ result: setMutualTls(situation.service, objects, choice) });
  }, [choice, situation]);
  return (
    <>
      <Radios
        name="server"
        legend={t.wizards.server}
        value={choice.server}
        values={serverModes}
        label={(mode) => t.wizards.serverModes[mode]}
        onChange={(server) => setChoice({ ...choice, server })}
      />
      <Radios
        name="client"
        legend={t.wizards.client}
        value={choice.client}
        values={clientModes}
        label={(mode) => t.wizards.clientModes[mode]}
        onChange={(client) => setChoice({ ...choice, client })}
      />
    </>
  );
}

const numbers = ['maxConnections', 'maxPendingRequests', 'maxRequests', 'consecutiveErrors'] as const;
const durations = ['interval', 'ejectionTime'] as const;

export function LimitsForm({ situation, report }: FormProps): JSX.Element {
  const objects = situation.present.map(({ object }) => object);
  const [form, setForm] = useState<Readonly<Record<keyof LimitsChoice, string>>>(() => {
    const now = currentLimits(situation.service, objects);
    const text = (name: keyof LimitsChoice) => String(now[name] ?? '');
    return {
      maxConnections: text('maxConnections'),
      maxPendingRequests: text('maxPendingRequests'),
      maxRequests: text('maxRequests'),
      consecutiveErrors: text('consecutiveErrors'),
      interval: text('interval'),
      ejectionTime: text('ejectionTime'),
    };
  });
  const error = (name: (typeof durations)[number]) =>
    form[name] !== '' && !isDuration(form[name]) ? t.wizards.badDuration : undefined;
  const problem = error('interval') ?? error('ejectionTime');
  // Reported when the choice changes.
  useEffect(() => {
    const choice: LimitsChoice = Object.fromEntries([
      ...numbers.flatMap((name) => (form[name] === '' ? [] : [[name, Math.round(Number(form[name]))]])),
      ...durations.flatMap((name) => (form[name] === '' ? [] : [[name, form[name]]])),
    ]);
    report({ problem, result: problem === undefined ? setLimits(situation.service, objects, choice) : undefined });
  }, [form, situation]);
  return (
    <>
      {numbers.map((name) => (
        <Field
          key={name}
          label={t.wizards.limits[name]}
          type="number"
          min={0}
          placeholder={t.wizards.unset}
          value={form[name]}
          onChange={(value) => setForm({ ...form, [name]: value })}
        />
      ))}
      <div class="pair">
        {durations.map((name) => (
          <Field
            key={name}
            label={t.wizards.limits[name]}
            placeholder={t.wizards.unset}
            hint={t.wizards.durationHint}
            value={form[name]}
            error={error(name)}
            onChange={(value) => setForm({ ...form, [name]: value })}
          />
        ))}
      </div>
    </>
  );
}
