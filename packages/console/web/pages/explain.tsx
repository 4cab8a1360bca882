import type { JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { ExplainRequest, ExplainStep, Explanation, ProxyList } from '../../src/api.ts';
import { Field, Segments, Select } from '../parts/controls.tsx';
import { Icon, type IconName } from '../parts/icons.tsx';
import { Empty, ErrorNotice, Notice, Skeleton } from '../parts/notice.tsx';
import { ObjectLink, objectText } from '../parts/object-link.tsx';
import { Card, Page } from '../parts/page.tsx';
import { sentence } from '../state/format.ts';
import { isAbort, sendJson } from '../state/request.ts';
import { useResource } from '../state/resource.ts';
import { queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'] as const;

const verdictIcon: Readonly<Record<ExplainStep['verdict'], IconName>> = {
  matched: 'check',
  passed: 'right',
  changed: 'edit',
  denied: 'lock',
  failed: 'error',
  unknown: 'unknown',
};
const verdictTone: Readonly<Record<ExplainStep['verdict'], string>> = {
  matched: 'healthy',
  passed: 'idle',
  changed: 'info',
  denied: 'failing',
  failed: 'failing',
  unknown: 'degraded',
};

function readHeaders(text: string): { readonly headers: Readonly<Record<string, string>>; readonly problem?: string } {
  const headers: Record<string, string> = {};
  for (const line of text.split('\n')) {
    if (line.trim() === '') continue;
    const colon = line.indexOf(':', 1);
    if (colon < 1) return { headers, problem: t.explain.badHeader(line.trim()) };
    headers[line.slice(0, colon).trim().toLowerCase()] = line.slice(colon + 1).trim();
  }
  return { headers };
}

function readClaims(text: string): { readonly claims?: Readonly<Record<string, unknown>>; readonly problem?: string } {
  if (text.trim() === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return { claims: value as Readonly<Record<string, unknown>> };
  } catch {
    // Said below.
  }
  return { problem: t.explain.badClaims };
}

/** The form is in the address, so that a question can be sent to somebody. */
export function ExplainPage(): JSX.Element {
  const proxies = useResource<ProxyList>('proxies', { poll: false });
  const items = (proxies.data?.items ?? []).filter(({ type }) => type !== 'ztunnel');
  const proxy = queryValue('proxy') || (items[0] ? `${items[0].namespace}/${items[0].pod}` : '');
  const direction = queryValue('direction') === 'inbound' ? 'inbound' : 'outbound';
  const headers = readHeaders(queryValue('headers'));
  const claims = readClaims(queryValue('claims'));
  const [answer, setAnswer] = useState<Explanation | undefined>(undefined);
  const [problem, setProblem] = useState<Error | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const abort = useRef<AbortController | undefined>(undefined);
  const first = useRef(queryValue('ask') === 'on');
  const ask = async () => {
    const [namespace = '', pod = ''] = proxy.split('/');
    const request: ExplainRequest = {
      namespace,
      pod,
      direction,
      method: queryValue('method', 'GET'),
      url: queryValue('url', 'http://'),
      headers: headers.headers,
      ...(direction === 'inbound' && queryValue('caller') !== '' ? { caller: queryValue('caller') } : {}),
      ...(claims.claims ? { claims: claims.claims } : {}),
    };
    abort.current?.abort();
    const own = new AbortController();
    abort.current = own;
    setBusy(true);
    setProblem(undefined);
    setQuery({ proxy, ask: 'on' });
    try {
      setAnswer(await sendJson<Explanation>('POST', 'explain', request, own.signal));
    } catch (error) {
      if (isAbort(error)) return;
      setAnswer(undefined);
      setProblem(error instanceof Error ? error : new Error(String(error)));
    }
    setBusy(false);
  };
  // A shared address is asked at once.
  // Once, when the proxy is known.
  useEffect(() => {
    if (!first.current || proxy === '') return;
    first.current = false;
    void ask();
  }, [proxy]);
  return (
    <Page title={t.explain.title} lead={t.explain.lead}>
      <div class="columns explain">
        <Card title={t.explain.request}>
          <form
            class="stack"
            onSubmit={(event) => {
              event.preventDefault();
              void ask();
            }}
          >
            <div class="field">
              <Segments
                label={t.explain.direction}
                value={direction}
                choices={[
                  { value: 'outbound', label: t.explain.outbound },
                  { value: 'inbound', label: t.explain.inbound },
                ]}
                onChange={(value) => setQuery({ direction: value === 'outbound' ? undefined : value })}
              />
            </div>
            <div class="field">
              <Select
                label={t.explain.proxy}
                showLabel
                value={proxy}
                choices={(items.length === 0 ? [proxy] : items.map(({ namespace, pod }) => `${namespace}/${pod}`)).map(
                  (value) => ({ value, label: value === '' ? t.explain.noProxies : value }),
                )}
                onChange={(value) => setQuery({ proxy: value })}
              />
              <small class="faint">{t.explain.proxyHint}</small>
            </div>
            <div class="method-url">
              <Select
                label={t.explain.method}
                showLabel
                value={queryValue('method', 'GET')}
                choices={methods.map((value) => ({ value, label: value }))}
                onChange={(value) => setQuery({ method: value === 'GET' ? undefined : value })}
              />
              <Field
                label={t.explain.url}
                value={queryValue('url', 'http://')}
                required
                hint={t.explain.urlHint}
                onChange={(url) => setQuery({ url })}
              />
            </div>
            <Field
              label={t.explain.headers}
              rows={4}
              mono
              value={queryValue('headers')}
              hint={t.explain.headersHint}
              error={headers.problem}
              onChange={(value) => setQuery({ headers: value })}
            />
            {direction === 'inbound' && (
              <Field
                label={t.explain.caller}
                mono
                value={queryValue('caller')}
                hint={t.explain.callerHint}
                onChange={(value) => setQuery({ caller: value })}
              />
            )}
            <Field
              label={t.explain.claims}
              rows={2}
              mono
              value={queryValue('claims')}
              hint={t.explain.claimsHint}
              error={claims.problem}
              onChange={(value) => setQuery({ claims: value })}
            />
            <button
              type="submit"
              class="button primary"
              disabled={busy || proxy === '' || headers.problem !== undefined || claims.problem !== undefined}
            >
              {busy ? t.explain.asking : t.explain.ask}
            </button>
            {proxies.error && <ErrorNotice error={proxies.error} retry={proxies.reload} />}
          </form>
        </Card>
        <section aria-label={t.explain.steps} aria-live="polite" aria-busy={busy}>
          {problem && <ErrorNotice error={problem} />}
          {busy && !answer && <Skeleton rows={6} />}
          {!busy && !answer && !problem && (
            <Empty icon="explain" title={t.explain.nothingYet}>
              {t.explain.nothingYetHelp}
            </Empty>
          )}
          {answer && <Answer answer={answer} />}
        </section>
      </div>
    </Page>
  );
}

function Answer({ answer }: { readonly answer: Explanation }): JSX.Element {
  const refused = answer.status !== undefined && answer.status >= 400;
  // Where the proxy leaves the destination to the application, it does not know whether there is one.
  const last = answer.steps.at(-1);
  const passedOn = last?.stage === 'destination' && last.verdict === 'passed';
  return (
    <div class="stack">
      <Notice
        level={refused ? 'error' : 'success'}
        title={
          answer.status !== undefined
            ? t.explain.proxyAnswers(answer.status)
            : passedOn
              ? t.explain.passedOn
              : t.explain.applicationAnswers
        }
      >
        {sentence(answer.summary)}
      </Notice>
      <ol class="steps">
        {answer.steps.map((step, index) => (
          // Steps are told apart by their order.
          <li key={index} class={verdictTone[step.verdict]}>
            <span class="mark">
              <Icon name={verdictIcon[step.verdict]} size={13} />
            </span>
            <div class="step">
              <div class="row spread">
                <h3>{t.explain.stages[step.stage]}</h3>
                <span class={`health ${verdictTone[step.verdict]}`}>{t.explain.verdicts[step.verdict]}</span>
              </div>
              <p>{sentence(step.text)}</p>
              {step.resource !== undefined && step.resource !== '' && (
                <code class="resource wrap">{step.resource}</code>
              )}
              {step.from.length > 0 && (
                <p class="row wrapping small">
                  <span class="faint">{t.explain.decidedBy}</span>
                  {step.from.map((object) => (
                    <ObjectLink key={objectText(object)} object={object} />
                  ))}
                </p>
              )}
              {step.others.length > 0 && (
                <details>
                  <summary>{t.explain.others(step.others.length)}</summary>
                  <table class="mini">
                    <tbody>
                      {step.others.map(({ name, why }) => (
                        <tr key={`${name} ${why}`}>
                          <th scope="row">
                            <code class="wrap">{name}</code>
                          </th>
                          <td class="soft">{sentence(why)}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                </details>
              )}
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
