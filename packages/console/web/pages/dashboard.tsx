import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { allChoice, interpolate, type Window } from '../dashboards/interpolate.ts';
import { type Dashboard, readDashboard, type Variable } from '../dashboards/model.ts';
import { PanelView, unitHeight } from '../dashboards/panel.tsx';
import { chosenValues, useVariables } from '../dashboards/use-variables.ts';
import { Check, Field, Popover, Select } from '../parts/controls.tsx';
import { Empty, Loaded, Notice } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { chosenDuration } from '../parts/time.tsx';
import { clock } from '../state/format.ts';
import { refreshes, useResource } from '../state/resource.ts';
import { queryValue, setQuery } from '../state/router.ts';
import { settings } from '../state/settings.ts';
import { t } from '../texts.ts';

/** Points of a line: as many as can be told apart. */
const points = 160;

/** The time that is shown: what was drawn with the pointer, else the last so many seconds, which go on with the refreshes. */
function useWindow(duration: number): Window {
  const [now, setNow] = useState(Date.now());
  const interval = settings.value.refresh;
  const manual = refreshes.value;
  const from = Number(queryValue('from')) || 0;
  const to = Number(queryValue('to')) || 0;
  const fixed = from > 0 && to > from;
  // The button reads now.
  useEffect(() => {
    setNow(Date.now());
    if (interval === 0 || fixed) return;
    const timer = setInterval(() => {
      if (!document.hidden) setNow(Date.now());
    }, interval * 1000);
    return () => clearInterval(timer);
  }, [interval, fixed, manual, duration]);
  return useMemo(() => {
    const range = fixed ? { from, to } : { from: now - duration * 1000, to: now };
    return { ...range, step: Math.max(15, Math.ceil((range.to - range.from) / 1000 / points / 15) * 15) };
  }, [fixed, from, to, now, duration]);
}

export function DashboardPage({ uid }: { readonly uid: string }): JSX.Element {
  const resource = useResource<unknown>(`dashboards/${encodeURIComponent(uid)}`, { poll: false });
  const dashboard = useMemo(
    () => (resource.data === undefined ? undefined : readDashboard(resource.data)),
    [resource.data],
  );
  return (
    <Page
      title={dashboard?.title ?? t.dashboards.title}
      lead={dashboard?.description}
      crumbs={[{ label: t.dashboards.title, to: '/dashboards' }]}
    >
      <Loaded resource={resource} rows={10}>
        {() => dashboard && <DashboardView dashboard={dashboard} />}
      </Loaded>
    </Page>
  );
}

function DashboardView({ dashboard }: { readonly dashboard: Dashboard }): JSX.Element {
  const window = useWindow(chosenDuration(1800));
  const { options, choices, ready, problem } = useVariables(dashboard.variables, window);
  const replace = (text: string) => interpolate(text, dashboard.variables, choices, options, window);
  const fixed = queryValue('from') !== '';
  return (
    <>
      <div class="toolbar">
        {dashboard.variables
          .filter(({ hidden }) => !hidden)
          .map((variable) => (
            <VariablePicker key={variable.name} variable={variable} options={options.get(variable.name) ?? []} />
          ))}
        {fixed && (
          <span class="row end">
            <span class="soft number">{t.dashboards.range(clock(window.from), clock(window.to))}</span>
            <button type="button" class="button" onClick={() => setQuery({ from: undefined, to: undefined }, 'push')}>
              {t.dashboards.reset}
            </button>
          </span>
        )}
      </div>
      {problem !== undefined && <Notice level="warning">{problem}</Notice>}
      {dashboard.panels.length === 0 && <Empty title={t.dashboards.noPanels} />}
      {ready && (
        <div class="dashboard" style={{ gridAutoRows: `minmax(${unitHeight}px, auto)` }}>
          {dashboard.panels.map((panel) => (
            <PanelView
              key={panel.id}
              panel={panel}
              window={window}
              replace={replace}
              onRange={(from, to) => setQuery({ from: String(Math.round(from)), to: String(Math.round(to)) }, 'push')}
            />
          ))}
        </div>
      )}
    </>
  );
}

function VariablePicker({
  variable,
  options,
}: {
  readonly variable: Variable;
  readonly options: readonly string[];
}): JSX.Element {
  const chosen = chosenValues(variable, options);
  const parameter = `var-${variable.name}`;
  const set = (values: readonly string[]) =>
    setQuery({ [parameter]: values.length === 0 ? undefined : values.join(',') }, 'push');
  if (variable.kind === 'textbox')
    return (
      <Field label={variable.label} value={chosen[0] ?? ''} onChange={(value) => setQuery({ [parameter]: value })} />
    );
  if (!variable.multi)
    return (
      <Select
        label={variable.label}
        showLabel
        value={chosen[0] ?? ''}
        choices={[
          ...(variable.includeAll ? [{ value: allChoice, label: t.dashboards.all }] : []),
          ...[...new Set([...options, ...chosen.filter((value) => value !== allChoice)])].map((value) => ({
            value,
            label: value,
          })),
        ]}
        onChange={(value) => set([value])}
      />
    );
  const all = chosen.includes(allChoice);
  return (
    <span class="field-inline">
      <span class="soft">{variable.label}</span>
      <Popover name={variable.label} label={<span class="clip">{all ? t.dashboards.all : chosen.join(', ')}</span>}>
        {() => (
          <div class="picker">
            {variable.includeAll && <Check label={t.dashboards.all} checked={all} onChange={() => set([allChoice])} />}
            {options.map((value) => (
              <Check
                key={value}
                label={value}
                checked={!all && chosen.includes(value)}
                onChange={(checked) =>
                  set(
                    checked
                      ? [...chosen.filter((each) => each !== allChoice), value]
                      : chosen.filter((each) => each !== value),
                  )
                }
              />
            ))}
          </div>
        )}
      </Popover>
    </span>
  );
}
