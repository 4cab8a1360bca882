import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { LogLine } from '../../src/api.ts';
import { useLogChoice } from '../logs/choice.ts';
import { filterLines, matcher } from '../logs/filter.ts';
import { useLogs } from '../logs/stream.ts';
import { Check, Popover, SearchBox, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Empty, ErrorNotice, Skeleton } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { milliseconds, span } from '../state/format.ts';
import { queryList, queryValue, setQuery } from '../state/router.ts';
import { t } from '../texts.ts';

const tails = [100, 200, 500, 1000, 3000] as const;
const sinces = [300, 900, 3600, 21_600] as const;
const classes = ['2', '3', '4', '5', '0'] as const;
const time = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 3,
});

export function LogsPage(): JSX.Element {
  const { workloads, items, kind, name, owner, detail, pods, pod, source } = useLogChoice();
  const [round, setRound] = useState(0);
  const follow = queryValue('follow') === 'on';
  const address = new URLSearchParams({
    ...source?.query,
    tail: queryValue('tail', '200'),
    ...(queryValue('since') === '' ? {} : { since: queryValue('since') }),
    ...(follow ? { follow: 'true' } : {}),
  });
  const stream = useLogs(source && pods.length + pod.length > 0 ? `${source.path}?${address}` : undefined, round);
  const containers = queryList('containers');
  const statuses = queryList('status');
  const known = [
    ...new Set([
      ...pods
        .filter(({ namespace, name }) => pod === '' || `${namespace}/${name}` === pod)
        .flatMap((each) => each.containers),
      ...stream.lines.flatMap(({ container, notice }) => (notice || container === '' ? [] : container)),
    ]),
  ];
  const contains = queryValue('q');
  const without = queryValue('not');
  const shown = useMemo(
    () =>
      filterLines(stream.lines, { contains, without, statuses: new Set(statuses), containers: new Set(containers) }),
    [stream.lines, contains, without, statuses.join(), containers.join()],
  );
  return (
    <Page title={t.logs.title} lead={t.logs.lead} full>
      <div class="toolbar">
        <Select
          label={t.logs.workload}
          value={owner}
          choices={[
            { value: '', label: t.logs.workload },
            ...(kind === 'app' || kind === 'service' ? [{ value: owner, label: t.logs.ownerOf[kind](name) }] : []),
            ...items.map((item) => ({
              value: `workload=${item.namespace}/${item.name}`,
              label: `${item.namespace}/${item.name}`,
            })),
          ]}
          onChange={(value) => {
            const [key = '', owned] = value.split('=');
            setQuery(
              {
                workload: undefined,
                app: undefined,
                service: undefined,
                pod: undefined,
                containers: undefined,
                ...(value !== '' && { [key]: owned }),
              },
              'push',
            );
          }}
        />
        <Select
          label={t.logs.pod}
          value={pod}
          disabled={pods.length === 0}
          choices={[
            ...(kind === undefined
              ? pod === ''
                ? [{ value: '', label: t.logs.pod }]
                : []
              : [{ value: '', label: t.logs.allPods(pods.length) }]),
            ...[
              ...new Set([...(pod === '' ? [] : [pod]), ...pods.map((each) => `${each.namespace}/${each.name}`)]),
            ].map((value) => ({ value, label: value.split('/')[1] ?? value })),
          ]}
          onChange={(value) =>
            setQuery({ ...(kind && { [kind]: name }), pod: value === '' ? undefined : value }, 'push')
          }
        />
        <Popover
          name={t.logs.containers}
          label={containers.length === 0 ? t.logs.containers : <span class="clip">{containers.join(', ')}</span>}
        >
          {() => (
            <div class="picker">
              {known.map((name) => (
                <Check
                  key={name}
                  label={name}
                  checked={containers.length === 0 || containers.includes(name)}
                  onChange={(checked) => {
                    const now = containers.length === 0 ? known : containers;
                    const next = checked ? [...now, name] : now.filter((each) => each !== name);
                    setQuery({ containers: next.length === known.length ? undefined : next.join(',') });
                  }}
                />
              ))}
            </div>
          )}
        </Popover>
        <SearchBox
          label={t.logs.filter}
          placeholder={t.logs.filterHint}
          value={contains}
          invalid={matcher(contains).bad}
          width={200}
          onChange={(q) => setQuery({ q })}
        />
        <SearchBox
          label={t.logs.hideHint}
          icon="filter"
          value={without}
          invalid={matcher(without).bad}
          width={150}
          onChange={(not) => setQuery({ not })}
        />
        <Popover
          name={t.logs.status}
          label={
            statuses.length === 0
              ? t.logs.anyStatus
              : statuses.map((each) => t.logs.statusClasses[each as '2']).join(', ')
          }
        >
          {() => (
            <div class="picker">
              {classes.map((each) => (
                <Check
                  key={each}
                  label={t.logs.statusClasses[each]}
                  checked={statuses.includes(each)}
                  onChange={(checked) =>
                    setQuery({
                      status: (checked ? [...statuses, each] : statuses.filter((other) => other !== each)).join(','),
                    })
                  }
                />
              ))}
            </div>
          )}
        </Popover>
        <Select
          label={t.logs.tail}
          value={queryValue('tail', '200')}
          choices={tails.map((value) => ({ value: String(value), label: `${value} ${t.logs.tail.toLowerCase()}` }))}
          onChange={(tail) => setQuery({ tail })}
        />
        <Select
          label={t.logs.since}
          value={queryValue('since')}
          choices={[
            { value: '', label: `${t.logs.since} ${t.logs.sinceAll}` },
            ...sinces.map((value) => ({ value: String(value), label: t.common.last(span(value)) })),
          ]}
          onChange={(since) => setQuery({ since })}
        />
        <span class="row end">
          <Check
            label={t.logs.parsed}
            checked={queryValue('raw') !== 'on'}
            onChange={(on) => setQuery({ raw: on ? undefined : 'on' })}
          />
          <Check
            label={t.logs.wrap}
            checked={queryValue('wrap') === 'on'}
            onChange={(on) => setQuery({ wrap: on ? 'on' : undefined })}
          />
          <Check
            label={t.logs.follow}
            checked={follow}
            onChange={(on) => setQuery({ follow: on ? 'on' : undefined })}
          />
          <button
            type="button"
            class="button icon"
            aria-label={t.logs.again}
            title={t.logs.again}
            onClick={() => setRound(round + 1)}
          >
            <Icon name="refresh" size={14} />
          </button>
        </span>
      </div>
      {workloads.error && <ErrorNotice error={workloads.error} retry={workloads.reload} />}
      {detail.error && <ErrorNotice error={detail.error} retry={detail.reload} />}
      {stream.error && <ErrorNotice error={stream.error} retry={() => setRound(round + 1)} />}
      {pods.length === 0 && pod === '' ? (
        kind !== undefined && detail.loading ? (
          <Skeleton />
        ) : (
          <Empty icon="logs" title={detail.data ? t.logs.noPodsTitle : t.logs.choose}>
            {detail.data ? t.logs.noPods : t.logs.chooseHelp}
          </Empty>
        )
      ) : (
        <Lines
          lines={shown}
          known={known}
          pods={pod === '' && pods.length > 1 ? pods.map((each) => each.name) : undefined}
          follow={follow}
          raw={queryValue('raw') === 'on'}
          wrap={queryValue('wrap') === 'on'}
          reading={stream.state === 'reading'}
        />
      )}
      {(pod !== '' || pods.length > 0) && (
        <div class="log-foot" role="status">
          <span>{t.logs.lines(shown.length, stream.lines.length)}</span>
          {stream.dropped > 0 && <span>{t.logs.dropped(stream.dropped)}</span>}
          {follow && (
            <span class={stream.state === 'ended' ? 'warn' : 'good'}>
              {stream.state === 'ended' ? t.logs.ended : t.logs.following}
            </span>
          )}
        </div>
      )}
    </Page>
  );
}

function Lines(props: {
  readonly lines: readonly LogLine[];
  readonly known: readonly string[];
  /** Where lines of several pods are mixed: their names, which each line then shows. */
  readonly pods: readonly string[] | undefined;
  readonly follow: boolean;
  readonly raw: boolean;
  readonly wrap: boolean;
  readonly reading: boolean;
}): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  // New lines are scrolled to as long as the person has not scrolled away from the end.
  // New lines are what moves.
  useEffect(() => {
    if (atEnd.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [props.lines]);
  // Pods that come later have their colours after those that were there.
  const podsSeen = [...new Set([...(props.pods ?? []), ...props.lines.flatMap(({ pod }) => pod ?? [])])];
  if (props.lines.length === 0 && props.reading) return <Skeleton rows={12} />;
  if (props.lines.length === 0)
    return (
      <Empty icon="logs" title={t.logs.empty}>
        {t.logs.emptyHelp}
      </Empty>
    );
  return (
    <div
      ref={box}
      class={`log ${props.wrap ? 'wrapped' : ''} ${props.pods ? 'many' : ''}`}
      role="log"
      aria-label={t.logs.region}
      aria-live={props.follow ? 'polite' : 'off'}
      tabIndex={0}
      onScroll={(event) => {
        const { scrollTop, scrollHeight, clientHeight } = event.currentTarget;
        atEnd.current = scrollHeight - scrollTop - clientHeight < 40;
      }}
    >
      {props.lines.map((line, index) => (
        // Lines have no identity but their place.
        <Line
          key={index}
          line={line}
          colour={
            (Math.max(0, props.pods ? podsSeen.indexOf(line.pod ?? '') : props.known.indexOf(line.container)) % 8) + 1
          }
          pod={props.pods && (line.pod ?? '')}
          raw={props.raw}
        />
      ))}
    </div>
  );
}

const levelOf = (text: string): string =>
  /\b(error|fatal|critical|panic|exception)\b/i.test(text.slice(0, 160))
    ? 'bad'
    : /\bwarn(ing)?\b/i.test(text.slice(0, 160))
      ? 'warn'
      : '';

function Line({
  line,
  colour,
  pod,
  raw,
}: {
  readonly line: LogLine;
  /** Shown where it is given. */
  readonly pod: string | undefined;
  readonly colour: number;
  readonly raw: boolean;
}): JSX.Element {
  const { request } = line;
  return (
    <div class={line.notice ? 'log-line notice-line' : 'log-line'}>
      <span class="faint">{line.time === undefined ? '' : time.format(line.time)}</span>
      {pod !== undefined && (
        <span class={`who pod s${colour}`} title={pod}>
          {pod}
        </span>
      )}
      <span class={pod === undefined ? `who s${colour}` : 'who soft'}>{line.container}</span>
      {request && !raw ? (
        <span class="request" title={line.text}>
          <b class={request.status >= 500 || request.status === 0 ? 'bad' : request.status >= 400 ? 'warn' : 'good'}>
            {request.status === 0 ? '–' : request.status}
          </b>
          {request.flags !== '' && request.flags !== '-' && <span class="pill warn">{request.flags}</span>}
          <span class="soft">{request.method}</span>
          <span class="path">{request.path}</span>
          <span class="faint">{request.authority}</span>
          <span class="number">{milliseconds(request.durationMs)}</span>
          <span class="faint">→ {request.upstream}</span>
        </span>
      ) : (
        <span class={`text ${levelOf(line.text)}`}>{line.text}</span>
      )}
    </div>
  );
}
