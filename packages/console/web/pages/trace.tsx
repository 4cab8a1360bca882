import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import type { Trace } from '../../src/api.ts';
import { Check, SearchBox } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Loaded } from '../parts/notice.tsx';
import { Card, Page } from '../parts/page.tsx';
import { clock, dateTime, milliseconds } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';
import { serviceColours, shortNames } from '../traces/colour.ts';
import { type SpanRow, timeByService, waterfall } from '../traces/tree.ts';
import { Waterfall } from '../traces/waterfall.tsx';

export function TracePage({ id }: { readonly id: string }): JSX.Element {
  const resource = useResource<Trace>(`traces/${encodeURIComponent(id)}`, { poll: false });
  const trace = resource.data;
  return (
    <Page
      title={trace ? `${trace.root}: ${trace.operation}` : t.traces.title}
      crumbs={[{ label: t.traces.title, to: '/traces' }]}
      lead={trace && `${dateTime(trace.start)} · ${t.traces.spansOf(trace.spans, trace.services.length)}`}
      actions={
        <a
          class="button"
          href={href('/traces', {
            marked: id,
            ...(queryValue('service') === '' ? {} : { service: queryValue('service') }),
          })}
        >
          <Icon name="compare" size={14} />
          {t.traces.compareWith}
        </a>
      }
    >
      <Loaded resource={resource} rows={12}>
        {(data) => <TraceView trace={data} />}
      </Loaded>
    </Page>
  );
}

function TraceView({ trace }: { readonly trace: Trace }): JSX.Element {
  const rows = useMemo(() => waterfall(trace), [trace]);
  const colours = useMemo(() => serviceColours(trace.all.map(({ service }) => service)), [trace]);
  const selected = queryValue('span') || undefined;
  const row = rows.find(({ span }) => span.id === selected);
  const critical = queryValue('critical') === 'on';
  return (
    <>
      <dl class="tiles">
        <div class="tile">
          <dt>{t.traces.duration}</dt>
          <dd>{milliseconds(trace.duration)}</dd>
        </div>
        <div class="tile">
          <dt>{t.traces.spans}</dt>
          <dd>{trace.spans}</dd>
        </div>
        <div class="tile">
          <dt>{t.traces.services}</dt>
          <dd>{trace.services.length}</dd>
        </div>
        <div class="tile">
          <dt>{t.traces.errors}</dt>
          <dd class={trace.errors > 0 ? 'bad' : 'good'}>{trace.errors}</dd>
        </div>
        <div class="tile">
          <dt>{t.traces.start}</dt>
          <dd>{clock(trace.start)}</dd>
        </div>
      </dl>
      <div class="toolbar">
        <SearchBox label={t.traces.filterSpans} value={queryValue('q')} width={260} onChange={(q) => setQuery({ q })} />
        <span title={t.traces.criticalHint}>
          <Check
            label={t.traces.critical}
            checked={critical}
            onChange={(on) => setQuery({ critical: on ? 'on' : undefined })}
          />
        </span>
      </div>
      <div class="columns trace">
        <Card flush>
          <Waterfall
            trace={trace}
            rows={rows}
            colours={colours}
            selected={selected}
            filter={queryValue('q')}
            critical={critical}
            onSelect={(span) => setQuery({ span })}
          />
        </Card>
        <div class="stack sticky">
          <Card title={t.traces.details}>
            {row ? <SpanDetails row={row} start={trace.start} /> : <p class="faint">{t.traces.noSpan}</p>}
          </Card>
          <Card title={t.traces.byService}>
            <ServiceTimes rows={rows} colours={colours} />
          </Card>
        </div>
      </div>
    </>
  );
}

function ServiceTimes({
  rows,
  colours,
}: {
  readonly rows: readonly SpanRow[];
  readonly colours: ReadonlyMap<string, number>;
}): JSX.Element {
  const times = timeByService(rows);
  const short = shortNames(times.map(({ service }) => service));
  const most = Math.max(...times.map(({ time }) => time), 1e-9);
  return (
    <table class="mini">
      <tbody>
        {times.map(({ service, time, spans }) => (
          <tr key={service}>
            <th scope="row">
              <span class="row">
                <i class={`swatch s${colours.get(service) ?? 1}`} />
                <span class="clip">{short(service)}</span>
                <span class="faint">{spans}</span>
              </span>
            </th>
            <td class="bar-cell">
              <svg class="bar" width="100%" height="6" aria-hidden="true">
                <rect width="100%" height="6" rx="3" class="track" />
                <rect
                  width={`${((time / most) * 100).toFixed(1)}%`}
                  height="6"
                  rx="3"
                  class={`s${colours.get(service) ?? 1}`}
                />
              </svg>
            </td>
            <td class="number">{milliseconds(time)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** The pod that a proxy's span comes from: its node id is `type~address~pod.namespace~domain`. */
function podOf({ span }: SpanRow): string | undefined {
  const pod = span.tags.node_id?.split('~')[2];
  const dot = pod?.indexOf('.') ?? -1;
  return pod === undefined || dot < 0 ? undefined : `${pod.slice(dot + 1)}/${pod.slice(0, dot)}`;
}

function SpanDetails({ row, start }: { readonly row: SpanRow; readonly start: number }): JSX.Element {
  const { span } = row;
  const pod = podOf(row);
  return (
    <div class="stack tight">
      <h3 class="wrap">
        {span.service} <span class="soft">{span.operation}</span>
      </h3>
      <dl class="facts">
        <dt>{t.traces.duration}</dt>
        <dd>{milliseconds(span.duration)}</dd>
        <dt>{t.traces.selfTime}</dt>
        <dd>{milliseconds(row.selfTime)}</dd>
        <dt>{t.traces.startsAt}</dt>
        <dd>{milliseconds(Math.max(0, span.start - start))}</dd>
        <dt>{t.traces.kind}</dt>
        <dd>{span.kind}</dd>
      </dl>
      {pod !== undefined && (
        <a class="button small" href={href('/logs', { pod })}>
          <Icon name="logs" size={13} />
          {t.traces.logsOf}
        </a>
      )}
      <h3>{t.traces.tagsTitle}</h3>
      <table class="mini tags">
        <tbody>
          {Object.entries(span.tags)
            .sort(([a], [b]) => a.localeCompare(b))
            .map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td
                  class={`mono wrap ${name === 'error' || (name.includes('status_code') && /^[45]/.test(value)) ? 'bad' : ''}`}
                >
                  {value}
                </td>
              </tr>
            ))}
        </tbody>
      </table>
      {span.logs.length > 0 && (
        <>
          <h3>{t.traces.logsTitle}</h3>
          <ul class="stack tight">
            {span.logs.map(({ time, message }) => (
              <li key={`${time} ${message}`} class="wrap">
                <span class="faint">{milliseconds(Math.max(0, time - start))}</span> {message}
              </li>
            ))}
          </ul>
        </>
      )}
    </div>
  );
}
