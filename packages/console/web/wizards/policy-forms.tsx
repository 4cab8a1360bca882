import type { JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { currentFault, currentTimeout, injectFault, isDuration, setTimeouts } from '../../src/wizards/route-policy.ts';
import { Check, Field } from '../parts/controls.tsx';
import { t } from '../texts.ts';
import type { FormProps } from './dialog.tsx';

const durationError = (on: boolean, text: string) => (on && !isDuration(text) ? t.wizards.badDuration : undefined);
const shareError = (on: boolean, text: string) =>
  on && !(Number(text) >= 0 && Number(text) <= 100 && text !== '') ? t.wizards.badShare : undefined;

export function FaultForm({ situation, report }: FormProps): JSX.Element {
  const objects = situation.present.map(({ object }) => object);
  const [form, setForm] = useState(() => {
    const { delay, abort } = currentFault(situation.service, objects);
    return {
      delay: delay !== undefined,
      duration: delay?.duration ?? '2s',
      delayShare: String(delay?.percent ?? 100),
      abort: abort !== undefined,
      status: String(abort?.httpStatus ?? 503),
      abortShare: String(abort?.percent ?? 10),
    };
  });
  const set = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const status = Number(form.status);
  const errors = {
    duration: durationError(form.delay, form.duration),
    delayShare: shareError(form.delay, form.delayShare),
    status:
      form.abort && !(Number.isInteger(status) && status >= 200 && status <= 599) ? t.wizards.badStatus : undefined,
    abortShare: shareError(form.abort, form.abortShare),
  };
  const problem = Object.values(errors).find((error) => error !== undefined);
  // Reported when the choice changes.
  useEffect(() => {
    report({
      problem,
      result:
        problem === undefined
          ? injectFault(situation.service, objects, {
              ...(form.delay ? { delay: { percent: Number(form.delayShare), duration: form.duration } } : {}),
              ...(form.abort ? { abort: { percent: Number(form.abortShare), httpStatus: status } } : {}),
            })
          : undefined,
    });
  }, [form, situation]);
  return (
    <>
      <fieldset class="group-box">
        <legend>
          <Check label={t.wizards.delay} checked={form.delay} onChange={(delay) => set({ delay })} />
        </legend>
        {form.delay && (
          <div class="pair">
            <Field
              label={t.wizards.delayFor}
              value={form.duration}
              hint={t.wizards.durationHint}
              error={errors.duration}
              onChange={(duration) => set({ duration })}
            />
            <Field
              label={`${t.wizards.share} (%)`}
              type="number"
              min={0}
              max={100}
              value={form.delayShare}
              error={errors.delayShare}
              onChange={(delayShare) => set({ delayShare })}
            />
          </div>
        )}
      </fieldset>
      <fieldset class="group-box">
        <legend>
          <Check label={t.wizards.abort} checked={form.abort} onChange={(abort) => set({ abort })} />
        </legend>
        {form.abort && (
          <div class="pair">
            <Field
              label={t.wizards.status}
              type="number"
              min={200}
              max={599}
              value={form.status}
              error={errors.status}
              onChange={(text) => set({ status: text })}
            />
            <Field
              label={`${t.wizards.share} (%)`}
              type="number"
              min={0}
              max={100}
              value={form.abortShare}
              error={errors.abortShare}
              onChange={(abortShare) => set({ abortShare })}
            />
          </div>
        )}
      </fieldset>
    </>
  );
}

export function TimeoutForm({ situation, report }: FormProps): JSX.Element {
  const objects = situation.present.map(({ object }) => object);
  const [form, setForm] = useState(() => {
    const { timeout, retries } = currentTimeout(situation.service, objects);
    return {
      limited: timeout !== undefined,
      timeout: timeout ?? '3s',
      retried: retries !== undefined,
      attempts: String(retries?.attempts ?? 2),
      perTry: retries?.perTryTimeout ?? '',
      retryOn: retries?.retryOn ?? '',
    };
  });
  const set = (changes: Partial<typeof form>) => setForm({ ...form, ...changes });
  const errors = {
    timeout: durationError(form.limited, form.timeout),
    perTry: durationError(form.retried && form.perTry !== '', form.perTry),
  };
  const problem = errors.timeout ?? errors.perTry;
  // Reported when the choice changes.
  useEffect(() => {
    report({
      problem,
      result:
        problem === undefined
          ? setTimeouts(situation.service, objects, {
              ...(form.limited ? { timeout: form.timeout } : {}),
              ...(form.retried
                ? {
                    retries: {
                      attempts: Math.max(0, Math.round(Number(form.attempts))),
                      ...(form.perTry === '' ? {} : { perTryTimeout: form.perTry }),
                      ...(form.retryOn === '' ? {} : { retryOn: form.retryOn }),
                    },
                  }
                : {}),
            })
          : undefined,
    });
  }, [form, situation]);
  return (
    <>
      <fieldset class="group-box">
        <legend>
          <Check label={t.wizards.timeoutOn} checked={form.limited} onChange={(limited) => set({ limited })} />
        </legend>
        {form.limited && (
          <Field
            label={t.wizards.timeout}
            value={form.timeout}
            hint={t.wizards.durationHint}
            error={errors.timeout}
            onChange={(timeout) => set({ timeout })}
          />
        )}
      </fieldset>
      <fieldset class="group-box">
        <legend>
          <Check label={t.wizards.retriesOn} checked={form.retried} onChange={(retried) => set({ retried })} />
        </legend>
        {form.retried && (
          <>
            <div class="pair">
              <Field
                label={t.wizards.attempts}
                type="number"
                min={0}
                max={20}
                value={form.attempts}
                onChange={(attempts) => set({ attempts })}
              />
              <Field
                label={t.wizards.perTry}
                value={form.perTry}
                hint={t.wizards.durationHint}
                error={errors.perTry}
                onChange={(perTry) => set({ perTry })}
              />
            </div>
            <Field
              label={t.wizards.retryOn}
              value={form.retryOn}
              hint={t.wizards.retryHint}
              onChange={(retryOn) => set({ retryOn })}
            />
          </>
        )}
      </fieldset>
    </>
  );
}
