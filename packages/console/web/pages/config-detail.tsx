import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ConfigDetail, ObjectName } from '../../src/api.ts';
import { DiffView } from '../editor/diff-view.tsx';
import { CheckState, Messages } from '../editor/messages.tsx';
import { useCheck } from '../editor/use-check.ts';
import { YamlEditor } from '../editor/yaml-editor.tsx';
import { CopyButton } from '../parts/controls.tsx';
import { Dialog } from '../parts/dialog.tsx';
import { Icon } from '../parts/icons.tsx';
import { Loaded, Notice } from '../parts/notice.tsx';
import { ObjectLink, objectText } from '../parts/object-link.tsx';
import { Card, Page } from '../parts/page.tsx';
import { say } from '../parts/toast.tsx';
import { dateTime } from '../state/format.ts';
import { getJson, messageOf, RequestError, sendJson } from '../state/request.ts';
import { useResource } from '../state/resource.ts';
import { href, navigate } from '../state/router.ts';
import { mayWrite } from '../state/session.ts';
import { t } from '../texts.ts';
import { objectAddress } from '../wizards/session.ts';

export function ConfigDetailPage({ kind, namespace, name }: ObjectName): JSX.Element {
  const object: ObjectName = { kind, namespace: namespace === '-' ? '' : namespace, name };
  const resource = useResource<ConfigDetail>(objectAddress(object), { keep: true });
  return (
    <Page
      title={name}
      crumbs={[
        { label: t.config.title, to: '/configuration' },
        { label: kind, to: `/configuration?kinds=${kind}` },
        ...(object.namespace === '' ? [] : [{ label: namespace, to: `/configuration?ns=${namespace}` }]),
      ]}
    >
      <Loaded resource={resource} rows={12}>
        {(detail) => <Editing detail={detail} object={object} reload={resource.reload} />}
      </Loaded>
    </Page>
  );
}

/** The text as it was begun with and as it is; the cluster may have a newer one meanwhile. */
function Editing({
  detail,
  object,
  reload,
}: {
  readonly detail: ConfigDetail;
  readonly object: ObjectName;
  readonly reload: () => void;
}): JSX.Element {
  const [base, setBase] = useState({ yaml: detail.yaml, resourceVersion: detail.resourceVersion });
  const [text, setText] = useState(detail.yaml);
  const [review, setReview] = useState(false);
  const [deleting, setDeleting] = useState(false);
  const [jump, setJump] = useState<{ line: number; seq: number } | undefined>(undefined);
  const dirty = text !== base.yaml;
  const newer = detail.resourceVersion !== base.resourceVersion;
  // As long as nothing is typed the editor shows what the cluster has.
  useEffect(() => {
    if (dirty || !newer) return;
    setBase({ yaml: detail.yaml, resourceVersion: detail.resourceVersion });
    setText(detail.yaml);
  }, [detail, dirty, newer]);
  const checked = useCheck(text);
  const messages = useMemo(() => {
    const live = checked.result?.messages;
    return live === undefined ? detail.messages : live;
  }, [checked.result, detail.messages]);
  const writable = mayWrite();
  return (
    <div class="columns editing">
      <div class="stack">
        {newer && dirty && (
          <Notice
            level="warning"
            title={t.config.newer}
            action={
              <button
                type="button"
                class="button"
                onClick={() => {
                  setBase({ yaml: detail.yaml, resourceVersion: detail.resourceVersion });
                  setText(detail.yaml);
                }}
              >
                {t.config.takeTheirs}
              </button>
            }
          />
        )}
        <Card
          flush
          title={
            <span class="row">
              <span>{t.config.rawYaml}</span>
              <CheckState checked={checked} />
            </span>
          }
          end={
            <span class="row">
              <CopyButton text={text} />
              {writable ? (
                <>
                  {dirty && (
                    <button type="button" class="button" onClick={() => setText(base.yaml)}>
                      {t.config.discard}
                    </button>
                  )}
                  <button type="button" class="button quiet danger" onClick={() => setDeleting(true)}>
                    <Icon name="trash" size={14} />
                    {t.config.delete}
                  </button>
                  <button type="button" class="button primary" disabled={!dirty} onClick={() => setReview(true)}>
                    {t.config.review}
                  </button>
                </>
              ) : (
                <span class="pill" title={t.config.readOnly}>
                  <Icon name="lock" size={12} />
                  {t.common.readOnly}
                </span>
              )}
            </span>
          }
        >
          <YamlEditor
            label={t.config.editor(objectText(object))}
            value={text}
            onChange={setText}
            messages={messages}
            readOnly={!writable}
            kind={object.kind}
            jump={jump}
            height="calc(100vh - 250px)"
          />
        </Card>
      </div>
      <div class="stack">
        <Card title={t.config.messages}>
          {messages.length === 0 ? (
            <p class="soft">{t.config.clean}</p>
          ) : (
            <Messages messages={messages} onJump={(line) => setJump({ line, seq: (jump?.seq ?? 0) + 1 })} />
          )}
        </Card>
        <Card title={t.config.references}>
          {detail.references.length === 0 ? (
            <p class="faint">{t.config.noReferences}</p>
          ) : (
            <ul class="stack tight">
              {detail.references.map((reference) => (
                <li key={objectText(reference)}>
                  <ObjectLink object={reference} />
                </li>
              ))}
            </ul>
          )}
        </Card>
        <Card title={t.lists.facts}>
          <dl class="facts">
            <dt>{t.common.kind}</dt>
            <dd>{detail.kind}</dd>
            <dt>{t.config.apiVersion}</dt>
            <dd class="mono wrap">{detail.apiVersion}</dd>
            {detail.namespace !== '' && (
              <>
                <dt>{t.common.namespace}</dt>
                <dd>{detail.namespace}</dd>
              </>
            )}
            <dt>{t.common.created}</dt>
            <dd>{dateTime(detail.createdAt)}</dd>
          </dl>
        </Card>
        {detail.status !== undefined && detail.status !== '' && (
          <Card title={t.config.status}>
            <pre class="yaml" role="region" aria-label={t.config.status} tabIndex={0}>
              {detail.status}
            </pre>
          </Card>
        )}
      </div>
      {review && (
        <ReviewDialog
          object={object}
          before={base.yaml}
          after={text}
          resourceVersion={base.resourceVersion}
          errors={messages.some(({ level }) => level === 'Error')}
          onClose={() => setReview(false)}
          onNewer={(newest, mine) => {
            setBase({ yaml: newest.yaml, resourceVersion: newest.resourceVersion });
            if (!mine) {
              setText(newest.yaml);
              setReview(false);
            }
          }}
          onDone={(now) => {
            setBase({ yaml: now.yaml, resourceVersion: now.resourceVersion });
            setText(now.yaml);
            setReview(false);
            say('success', t.config.applied(objectText(object)));
            reload();
          }}
        />
      )}
      {deleting && <DeleteDialog object={object} onClose={() => setDeleting(false)} />}
    </div>
  );
}

function ReviewDialog(props: {
  readonly object: ObjectName;
  readonly before: string;
  readonly after: string;
  readonly resourceVersion: string;
  readonly errors: boolean;
  readonly onClose: () => void;
  readonly onNewer: (newest: ConfigDetail, keepMine: boolean) => void;
  readonly onDone: (now: { readonly yaml: string; readonly resourceVersion: string }) => void;
}): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [newest, setNewest] = useState<ConfigDetail | undefined>(undefined);
  const { object } = props;
  const apply = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await sendJson('PUT', objectAddress(object), { yaml: props.after, resourceVersion: props.resourceVersion });
      const now = await fetchDetail(object);
      props.onDone(now);
    } catch (error) {
      setBusy(false);
      if (error instanceof RequestError && error.status === 409)
        setNewest(await fetchDetail(object).catch(() => undefined));
      setProblem(messageOf(error));
    }
  };
  return (
    <Dialog
      title={t.config.reviewTitle(objectText(object))}
      lead={t.config.reviewLead}
      wide
      onClose={props.onClose}
      footer={
        <>
          <button type="button" class="button" onClick={props.onClose}>
            {t.common.cancel}
          </button>
          <button
            type="button"
            class="button primary"
            disabled={busy || newest !== undefined}
            onClick={() => void apply()}
          >
            {busy ? t.wizards.applying : t.common.apply}
          </button>
        </>
      }
    >
      {props.errors && <Notice level="warning">{t.config.withErrorsAnyway}</Notice>}
      {newest ? (
        <Notice
          level="error"
          title={t.config.conflictTitle}
          action={
            <span class="row wrapping">
              <button type="button" class="button" onClick={() => props.onNewer(newest, false)}>
                {t.config.takeTheirs}
              </button>
              <button
                type="button"
                class="button"
                onClick={() => {
                  props.onNewer(newest, true);
                  setNewest(undefined);
                  setProblem(undefined);
                }}
              >
                {t.config.keepMine}
              </button>
            </span>
          }
        >
          {t.config.conflict}
        </Notice>
      ) : (
        problem !== undefined && (
          <Notice level="error" title={t.wizards.failed(objectText(object))}>
            {problem}
          </Notice>
        )
      )}
      <DiffView before={props.before} after={props.after} label={t.config.diff} />
    </Dialog>
  );
}

const fetchDetail = (object: ObjectName): Promise<ConfigDetail> => getJson<ConfigDetail>(objectAddress(object));

function DeleteDialog({ object, onClose }: { readonly object: ObjectName; readonly onClose: () => void }): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const remove = async () => {
    setBusy(true);
    try {
      await sendJson('DELETE', objectAddress(object));
      say('success', t.config.deleted(objectText(object)));
      navigate(href('/configuration'));
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={t.config.deleteTitle(objectText(object))}
      lead={t.config.deleteLead}
      onClose={onClose}
      footer={
        <>
          <button type="button" class="button" onClick={onClose}>
            {t.common.cancel}
          </button>
          <button type="button" class="button danger filled" disabled={busy} onClick={() => void remove()}>
            {t.config.delete}
          </button>
        </>
      }
    >
      {problem !== undefined && <Notice level="error">{problem}</Notice>}
    </Dialog>
  );
}
