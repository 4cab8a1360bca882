import type { JSX } from 'preact';
import type { TraceList, TraceSummary } from '../../src/api.ts';
import { Check, SearchBox, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Empty, Loaded } from '../parts/notice.tsx';
import { Card } from '../parts/page.tsx';
import { DataTable } from '../parts/table.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { clock, milliseconds } from '../state/format.ts';
import { useResource } from '../state/resource.ts';
import { href, queryList, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';
import { serviceColours, shortNames } from './colour.ts';
import { Scatter } from './scatter.tsx';

const limits = [20, 50, 100, 200] as const;

function address(service: string | undefined): string {
  const query = new URLSearchParams({ limit: queryValue('limit', '50') });
  if (service !== undefined && service !== '') query.set('service', service);
  for (const [name, parameter] of [
    ['operation', 'op'],
    ['tags', 'tags'],
    ['minDuration', 'min'],
    ['maxDuration', 'max'],
  ] as const)
    if (queryValue(parameter) !== '') query.set(name, queryValue(parameter));
  return `traces?${query}&start=NOW-${chosenDuration(3600)}`;
}

/** The search, as a page of its own (where the service is chosen) and on the page of a service. */
export function TraceSearch({ service: fixed }: { readonly service?: string }): JSX.Element {
  const service = fixed ?? queryValue('service');
  const resource = useResource<TraceList>(address(service), { keep: true });
  const onlyErrors = queryValue('errors') === 'on';
  const marked = queryList('marked');
  const items = (resource.data?.items ?? []).filter(({ errors }) => !onlyErrors || errors > 0);
  const services = resource.data?.services ?? [];
  return (
    <div class="stack">
      <div class="toolbar">
        {fixed === undefined && (
          <Select
            label={t.traces.service}
            value={service}
            choices={[
              { value: '', label: t.traces.chooseService },
              ...(service === '' || services.includes(service) ? services : [service, ...services]).map((value) => ({
                value,
                label: value,
              })),
            ]}
            onChange={(value) => setQuery({ service: value }, 'push')}
          />
        )}
        <SearchBox
          label={t.traces.operation}
          value={queryValue('op')}
          width={190}
          onChange={(op) => setQuery({ op })}
        />
        <SearchBox
          label={t.traces.tags}
          icon="filter"
          placeholder={t.traces.tagsHint}
          value={queryValue('tags')}
          width={250}
          onChange={(tags) => setQuery({ tags })}
        />
        <SearchBox
          label={t.traces.minDuration}
          icon="clock"
          placeholder={`≥ ${t.traces.durationHint}`}
          value={queryValue('min')}
          width={148}
          onChange={(min) => setQuery({ min })}
        />
        <SearchBox
          label={t.traces.maxDuration}
          icon="clock"
          placeholder={`≤ ${t.traces.durationHint}`}
          value={queryValue('max')}
          width={148}
          onChange={(max) => setQuery({ max })}
        />
        <Select
          label={t.traces.limit}
          value={queryValue('limit', '50')}
          choices={limits.map((value) => ({ value: String(value), label: `${value} ${t.traces.title.toLowerCase()}` }))}
          onChange={(limit) => setQuery({ limit })}
        />
        <Check
          label={t.traces.onlyErrors}
          checked={onlyErrors}
          onChange={(on) => setQuery({ errors: on ? 'on' : undefined })}
        />
        <span class="end">
          {marked.length === 2 ? (
            <a
              class="button primary"
              href={href('/traces/compare', {
                a: marked[0],
                b: marked[1],
                ...(fixed === undefined ? {} : { service: fixed }),
              })}
            >
              <Icon name="compare" size={14} />
              {t.traces.compareChosen}
            </a>
          ) : (
            <span class="faint small">{t.traces.compareHint}</span>
          )}
        </span>
      </div>
      <Loaded resource={resource} rows={8}>
        {() =>
          items.length === 0 ? (
            <Empty icon="traces" title={service === '' ? t.traces.chooseService : t.traces.empty}>
              {service === '' ? t.traces.chooseHelp : t.traces.emptyHelp}
            </Empty>
          ) : (
            <>
              <Card>
                <Scatter traces={items} marked={new Set(marked)} />
              </Card>
              <Card flush>
                <TraceTable items={items} marked={marked} />
              </Card>
            </>
          )
        }
      </Loaded>
    </div>
  );
}

function TraceTable({
  items,
  marked,
}: {
  readonly items: readonly TraceSummary[];
  readonly marked: readonly string[];
}): JSX.Element {
  const longest = Math.max(...items.map(({ duration }) => duration), 1);
  const short = shortNames(items.flatMap(({ services }) => services.map(({ name }) => name)));
  const colours = serviceColours(items.flatMap(({ services }) => services.map(({ name }) => name)));
  return (
    <DataTable<TraceSummary>
      label={t.traces.title}
      rows={items}
      rowKey={({ id }) => id}
      firstSort="-start"
      page={50}
      columns={[
        {
          id: 'mark',
          title: '',
          cell: ({ id }) => (
            <input
              type="checkbox"
              aria-label={t.traces.mark(id)}
              checked={marked.includes(id)}
              onChange={(event) =>
                setQuery({
                  marked: (event.currentTarget.checked
                    ? [...marked, id].slice(-2)
                    : marked.filter((each) => each !== id)
                  ).join(','),
                })
              }
            />
          ),
        },
        {
          id: 'operation',
          title: t.traces.operation,
          head: true,
          sort: ({ root, operation }) => `${root} ${operation}`,
          cell: (trace) => (
            <a href={href(`/traces/${trace.id}`)}>
              <strong>{short(trace.root)}</strong> <span class="soft">{trace.operation}</span>
            </a>
          ),
        },
        {
          id: 'start',
          title: t.traces.start,
          number: true,
          sort: ({ start }) => start,
          cell: ({ start }) => clock(start),
        },
        {
          id: 'duration',
          title: t.traces.duration,
          number: true,
          sort: ({ duration }) => duration,
          cell: ({ duration }) => (
            <span class="row end-aligned">
              <svg class="bar" width="70" height="6" aria-hidden="true">
                <rect width="70" height="6" rx="3" class="track" />
                <rect width={(70 * duration) / longest} height="6" rx="3" class="fill" />
              </svg>
              <span class="number w70">{milliseconds(duration)}</span>
            </span>
          ),
        },
        { id: 'spans', title: t.traces.spans, number: true, sort: ({ spans }) => spans, cell: ({ spans }) => spans },
        {
          id: 'errors',
          title: t.traces.errors,
          number: true,
          sort: ({ errors }) => errors,
          cell: ({ errors }) => <span class={errors > 0 ? 'bad' : 'faint'}>{errors}</span>,
        },
        {
          id: 'services',
          title: t.traces.services,
          cell: ({ services }) => (
            <span class="row wrapping">
              {services.slice(0, 5).map(({ name, spans }) => (
                <span key={name} class="pill">
                  <i class={`swatch s${colours.get(name) ?? 1}`} />
                  {short(name)} <span class="faint">{spans}</span>
                </span>
              ))}
              {services.length > 5 && <span class="faint">+{services.length - 5}</span>}
            </span>
          ),
        },
      ]}
    />
  );
}
