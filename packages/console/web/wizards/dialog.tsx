import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Detail } from '../../src/api.ts';
import type { WizardResult } from '../../src/wizards/object.ts';
import { DiffView } from '../editor/diff-view.tsx';
import { Segments } from '../parts/controls.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Icon } from '../parts/icons.tsx';
import { ErrorNotice, Notice, Skeleton } from '../parts/notice.tsx';
import { KindMark, objectText } from '../parts/object-link.tsx';
import { say } from '../parts/toast.tsx';
import { isAbort } from '../state/request.ts';
import { mayWrite } from '../state/session.ts';
import { t } from '../texts.ts';
import { FaultForm, TimeoutForm } from './policy-forms.tsx';
import { RoutingForm } from './routing-form.tsx';
import { LimitsForm, MutualTlsForm } from './service-forms.tsx';
import {
  applyAll,
  ApplyError,
  type Planned,
  planned,
  type Situation,
  situationOf,
  missingFor,
  unreadableOf,
} from './session.ts';
import { ShiftForm } from './shift-form.tsx';
import { changedBy, type WizardKind } from './menu.tsx';

/** What a form reports: the objects that its choices make, or why they make none. */
export interface FormReport {
  readonly result: WizardResult | undefined;
  readonly problem?: string | undefined;
}

export interface FormProps {
  readonly situation: Situation;
  readonly report: (report: FormReport) => void;
}

/** The form on one side, on the other what will be applied; nothing is written before a person has seen it. */
export function WizardDialog(props: {
  readonly kind: WizardKind;
  readonly detail: Detail;
  readonly onApplied: () => void;
  readonly onClose: () => void;
}): JSX.Element {
  const { kind, detail } = props;
  const [situation, setSituation] = useState<Situation | undefined>(undefined);
  const [problem, setProblem] = useState<Error | undefined>(undefined);
  const [report, setReport] = useState<FormReport>({ result: undefined });
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<ApplyError | undefined>(undefined);
  const [round, setRound] = useState(0);

  // The service's page goes on being read; the wizard stays with what it began with.
  // `round` asks again after a conflict.
  useEffect(() => {
    const abort = new AbortController();
    setSituation(undefined);
    situationOf(detail, abort.signal).then(setSituation, (error: unknown) => {
      if (!isAbort(error)) setProblem(error instanceof Error ? error : new Error(String(error)));
    });
    return () => abort.abort();
  }, [detail.namespace, detail.name, round]);

  const unreadable = situation ? unreadableOf(situation, changedBy[kind]) : [];
  const plan = useMemo(
    () => (situation && report.result ? planned(situation, report.result.objects) : []),
    [situation, report],
  );
  const unwritable = situation
    ? plan.flatMap(({ name, before }) => missingFor(situation, name.kind, before ? 'update' : 'create'))
    : [];
  const apply = async () => {
    setBusy(true);
    setFailure(undefined);
    try {
      await applyAll(plan);
      say('success', t.wizards.applied(plan.map(({ name }) => objectText(name)).join(', ')));
      props.onApplied();
      props.onClose();
    } catch (error) {
      if (!(error instanceof ApplyError)) throw error;
      setFailure(error);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t.wizards.titles[kind]}
      lead={t.wizards.lead(`${detail.namespace}/${detail.name}`)}
      wide
      onClose={props.onClose}
      footer={
        <>
          {!mayWrite() && <span class="soft grow">{t.wizards.needsRights}</span>}
          <button type="button" class="button" onClick={props.onClose}>
            {t.common.cancel}
          </button>
          <button
            type="button"
            class="button primary"
            disabled={busy || plan.length === 0 || unwritable.length > 0 || report.problem !== undefined || !mayWrite()}
            onClick={() => void apply()}
          >
            {busy ? t.wizards.applying : t.wizards.apply}
          </button>
        </>
      }
    >
      {problem && <ErrorNotice error={problem} />}
      {failure && (
        <Notice
          level="error"
          title={failure.conflict ? t.config.conflictTitle : t.wizards.failed(objectText(failure.at))}
          action={
            failure.conflict ? (
              <button
                type="button"
                class="button"
                onClick={() => {
                  setFailure(undefined);
                  setRound(round + 1);
                }}
              >
                {t.config.takeTheirs}
              </button>
            ) : undefined
          }
        >
          {failure.message} {failure.done.length > 0 && t.wizards.partly(failure.done.map(objectText).join(', '))}
        </Notice>
      )}
      {!situation && !problem && <Skeleton rows={6} />}
      {mayWrite() && unwritable.length > 0 && (
        <Notice level="warning" title={t.wizards.mayNotWrite}>
          {unwritable.map(({ message }) => message).join(' ')}
        </Notice>
      )}
      {situation && unreadable.length > 0 && (
        <Notice level="error" title={t.wizards.unreadable(unreadable.join(', '), detail.namespace)}>
          {t.wizards.unreadableHelp}
          <Missing situation={situation} kinds={unreadable} />
        </Notice>
      )}
      {situation && unreadable.length === 0 && (
        <div class="wizard">
          <div class="stack">
            <Form kind={kind} situation={situation} report={setReport} />
          </div>
          <Preview plan={plan} notes={report.result?.notes ?? []} problem={report.problem} />
        </div>
      )}
    </Dialog>
  );
}

/** The rights that somebody would have to give, as sentences. */
function Missing({
  situation,
  kinds,
}: {
  readonly situation: Situation;
  readonly kinds: readonly string[];
}): JSX.Element | null {
  const rights = kinds.flatMap((kind) => missingFor(situation, kind, 'list'));
  if (rights.length === 0) return null;
  return (
    <ul class="reasons">
      {rights.map(({ message }) => (
        <li key={message}>{message}</li>
      ))}
    </ul>
  );
}

function Form({ kind, ...props }: FormProps & { readonly kind: WizardKind }): JSX.Element {
  switch (kind) {
    case 'shift':
      return <ShiftForm {...props} />;
    case 'route':
      return <RoutingForm {...props} />;
    case 'fault':
      return <FaultForm {...props} />;
    case 'timeout':
      return <TimeoutForm {...props} />;
    case 'limits':
      return <LimitsForm {...props} />;
    case 'mtls':
      return <MutualTlsForm {...props} />;
  }
}

function Preview({
  plan,
  notes,
  problem,
}: {
  readonly plan: readonly Planned[];
  readonly notes: readonly string[];
  readonly problem: string | undefined;
}): JSX.Element {
  const [view, setView] = useState('yaml');
  return (
    <section class="preview" aria-label={t.wizards.preview}>
      <header class="row spread">
        <h3>{t.wizards.preview}</h3>
        <Segments
          label={t.wizards.preview}
          value={view}
          choices={[
            { value: 'yaml', label: t.wizards.asYaml },
            { value: 'diff', label: t.wizards.asDiff },
          ]}
          onChange={setView}
        />
      </header>
      {problem !== undefined && <Notice level="warning">{problem}</Notice>}
      {notes.map((note) => (
        <Notice key={note} level="warning">
          {note}
        </Notice>
      ))}
      {plan.length === 0 && problem === undefined && <p class="soft">{t.wizards.unchanged}</p>}
      {plan.map(({ name, before, yaml }) => (
        <div key={objectText(name)} class="preview-object">
          <div class="row">
            <KindMark kind={name.kind} />
            <strong class="clip">
              {name.kind} {name.name}
            </strong>
            <span class={`pill ${before ? '' : 'accent'}`}>
              <Icon name={before ? 'edit' : 'plus'} size={11} />
              {before ? t.wizards.changedObject : t.wizards.newObject}
            </span>
          </div>
          {view === 'diff' ? (
            <DiffView before={before?.yaml ?? ''} after={yaml} label={objectText(name)} />
          ) : (
            <pre class="yaml" role="region" aria-label={objectText(name)} tabIndex={0}>
              {yaml}
            </pre>
          )}
        </div>
      ))}
    </section>
  );
}
