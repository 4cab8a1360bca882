import type { JSX } from 'preact';
import type { Trace } from '../../src/api.ts';
import { Empty, Loaded } from '../parts/notice.tsx';
import { Card, Page } from '../parts/page.tsx';
import { dateTime, milliseconds } from '../state/format.ts';
import { type Resource, useResource } from '../state/resource.ts';
import { href, queryValue } from '../state/router.ts';
import { t } from '../texts.ts';
import { shortNames } from '../traces/colour.ts';
import { type ComparedCall, compareTraces } from '../traces/compare.ts';

export function ComparePage(): JSX.Element {
  const a = queryValue('a');
  const b = queryValue('b');
  const first = useResource<Trace>(a === '' ? undefined : `traces/${encodeURIComponent(a)}`, { poll: false });
  const second = useResource<Trace>(b === '' ? undefined : `traces/${encodeURIComponent(b)}`, { poll: false });
  return (
    <Page title={t.traces.compare} lead={t.traces.compareLead} crumbs={[{ label: t.traces.title, to: '/traces' }]}>
      {a === '' || b === '' ? (
        <Empty icon="compare" title={t.traces.chooseTwo}>
          {t.traces.needTwo}
        </Empty>
      ) : (
        <div class="stack">
          <div class="halves">
            <Head label={t.traces.first} resource={first} />
            <Head label={t.traces.second} resource={second} />
          </div>
          {first.data && second.data && (
            <Card flush>
              <Calls calls={compareTraces(first.data, second.data)} />
            </Card>
          )}
        </div>
      )}
    </Page>
  );
}

function Head({ label, resource }: { readonly label: string; readonly resource: Resource<Trace> }): JSX.Element {
  return (
    <Card title={label}>
      <Loaded resource={resource} rows={2}>
        {(trace) => (
          <>
            <a href={href(`/traces/${trace.id}`)}>
              <strong>{trace.root}</strong> {trace.operation}
            </a>
            <dl class="figures">
              <div>
                <dt>{t.traces.duration}</dt>
                <dd>{milliseconds(trace.duration)}</dd>
              </div>
              <div>
                <dt>{t.traces.spans}</dt>
                <dd>{trace.spans}</dd>
              </div>
              <div>
                <dt>{t.traces.errors}</dt>
                <dd class={trace.errors > 0 ? 'bad' : ''}>{trace.errors}</dd>
              </div>
              <div>
                <dt>{t.traces.start}</dt>
                <dd class="small">{dateTime(trace.start)}</dd>
              </div>
            </dl>
          </>
        )}
      </Loaded>
    </Card>
  );
}

function Side({
  side,
  most,
  tone,
}: {
  readonly side: ComparedCall['first'];
  readonly most: number;
  readonly tone: string;
}): JSX.Element {
  if (!side) return <td class="faint">–</td>;
  return (
    <td>
      <span class="row">
        <svg class="bar grow" height="6" width="100" aria-hidden="true">
          <rect width="100%" height="6" rx="3" class="track" />
          <rect width={`${((side.duration / most) * 100).toFixed(1)}%`} height="6" rx="3" class={tone} />
        </svg>
        <span class={`number w70 ${side.errors > 0 ? 'bad' : ''}`}>{milliseconds(side.duration)}</span>
        <span class="faint w30">{side.count > 1 ? t.traces.calls(side.count) : ''}</span>
      </span>
    </td>
  );
}

function Difference({ call, most }: { readonly call: ComparedCall; readonly most: number }): JSX.Element {
  if (!call.first) return <span class="pill warn">{t.traces.onlySecond}</span>;
  if (!call.second) return <span class="pill warn">{t.traces.onlyFirst}</span>;
  const by = call.second.duration - call.first.duration;
  const strong = Math.abs(by) > most * 0.05;
  return (
    <span
      class={strong ? (by > 0 ? 'bad' : 'good') : 'faint'}
    >{`${by > 0 ? '+' : by < 0 ? '−' : ''}${milliseconds(Math.abs(by))}`}</span>
  );
}

function Calls({ calls }: { readonly calls: readonly ComparedCall[] }): JSX.Element {
  const most = Math.max(
    ...calls.map(({ first, second }) => Math.max(first?.duration ?? 0, second?.duration ?? 0)),
    1e-9,
  );
  const short = shortNames(calls.map(({ service }) => service));
  return (
    <div class="table-box">
      <table class="table compare">
        <caption class="hidden-visually">{t.traces.compare}</caption>
        <thead>
          <tr>
            <th scope="col">{t.traces.operation}</th>
            <th scope="col">{t.traces.first}</th>
            <th scope="col">{t.traces.second}</th>
            <th scope="col" class="number">
              {t.traces.difference}
            </th>
          </tr>
        </thead>
        <tbody>
          {calls.map((call, index) => (
            // The order of calls is what tells them apart.
            <tr key={index} class={call.first && call.second ? '' : 'one-sided'}>
              <th scope="row" style={{ paddingLeft: `${12 + call.depth * 16}px` }}>
                <strong>{short(call.service)}</strong> <span class="soft">{call.operation}</span>
              </th>
              <Side side={call.first} most={most} tone="s1" />
              <Side side={call.second} most={most} tone="s2" />
              <td class="number">
                <Difference call={call} most={most} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
