import type { JSX } from 'preact';
import { useState } from 'preact/hooks';
import { CheckState, Messages } from '../editor/messages.tsx';
import { templateFor, templates } from '../editor/templates.ts';
import { useCheck } from '../editor/use-check.ts';
import { YamlEditor } from '../editor/yaml-editor.tsx';
import { Select } from '../parts/controls.tsx';
import { chosenNamespaces } from '../parts/namespaces.tsx';
import { Notice } from '../parts/notice.tsx';
import { objectHref, objectText } from '../parts/object-link.tsx';
import { Card, Page } from '../parts/page.tsx';
import { say } from '../parts/toast.tsx';
import { messageOf, sendJson } from '../state/request.ts';
import { navigate, queryValue, setQuery } from '../state/router.ts';
import { mayWrite } from '../state/session.ts';
import { t } from '../texts.ts';

export function ConfigNewPage(): JSX.Element {
  const kind = queryValue('template', 'VirtualService');
  const namespace = chosenNamespaces()[0] ?? 'default';
  const [text, setText] = useState(templateFor(kind, namespace));
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | undefined>(undefined);
  const [jump, setJump] = useState<{ line: number; seq: number } | undefined>(undefined);
  const checked = useCheck(text);
  const object = checked.result?.object;
  const messages = checked.result?.messages ?? none;
  const create = async () => {
    setBusy(true);
    setProblem(undefined);
    try {
      await sendJson('POST', 'config', { yaml: text });
      if (object) {
        say('success', t.config.applied(objectText(object)));
        navigate(objectHref(object));
      }
    } catch (error) {
      setProblem(messageOf(error));
    } finally {
      setBusy(false);
    }
  };
  return (
    <Page title={t.config.newTitle} lead={t.config.newLead} crumbs={[{ label: t.config.title, to: '/configuration' }]}>
      {!mayWrite() && <Notice level="info">{t.config.readOnly}</Notice>}
      {problem !== undefined && <Notice level="error">{problem}</Notice>}
      <div class="columns editing">
        <Card
          flush
          title={<CheckState checked={checked} />}
          end={
            <span class="row">
              <Select
                label={t.config.template}
                showLabel
                value={kind}
                choices={Object.keys(templates).map((value) => ({ value, label: value }))}
                onChange={(value) => {
                  setQuery({ template: value });
                  setText(templateFor(value, namespace));
                }}
              />
              <button
                type="button"
                class="button primary"
                disabled={busy || !mayWrite() || object === undefined}
                onClick={() => void create()}
              >
                {t.config.create_}
              </button>
            </span>
          }
        >
          <YamlEditor
            label={t.config.newTitle}
            value={text}
            onChange={setText}
            messages={messages}
            kind={object?.kind ?? kind}
            jump={jump}
            height="calc(100vh - 250px)"
          />
        </Card>
        <Card title={t.config.messages}>
          {messages.length === 0 ? (
            <p class="soft">{t.config.clean}</p>
          ) : (
            <Messages messages={messages} onJump={(line) => setJump({ line, seq: (jump?.seq ?? 0) + 1 })} />
          )}
        </Card>
      </div>
    </Page>
  );
}

const none = [] as const;
