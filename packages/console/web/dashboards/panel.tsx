import type { JSX } from 'preact';
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Series } from '../../src/api.ts';
import { TimeChart } from '../charts/time-chart.tsx';
import { palette } from '../charts/palette.ts';
import { Sparkline } from '../parts/sparkline.tsx';
import { DataTable } from '../parts/table.tsx';
import { t } from '../texts.ts';
import { Heatmap } from './heatmap.tsx';
import type { Window } from './interpolate.ts';
import type { Panel } from './model.ts';
import { distinct, legendOf, reduced } from './prometheus.ts';
import { tableOf, type TableRow } from './table.ts';
import { grafanaUnit, toneOf } from './units.ts';
import { type TargetData, usePanel } from './use-panel.ts';

/** Pixels of a unit of the grid's height, and of a panel's head. */
export const unitHeight = 34;
const headHeight = 40;

/** Series of all queries with their names. */
function seriesOf(data: readonly TargetData[]): readonly Series[] {
  return distinct(
    data.flatMap(({ target, answers }) =>
      answers.map(({ labels, points }) => ({ label: legendOf(target, labels), points })),
    ),
  ).filter(({ points }) => points.some(([, value]) => Number.isFinite(value)));
}

function thresholdTone({ field }: Panel, value: number): string {
  const steps = field.thresholds.filter((step) => step.value === null || value >= step.value);
  const colour = steps.at(-1)?.colour;
  // One colour for everything says nothing.
  return colour === undefined || field.thresholds.length < 2 ? '' : toneOf(colour);
}

export interface PanelViewProps {
  readonly panel: Panel;
  readonly window: Window;
  readonly replace: (expr: string) => string;
  readonly onRange: (from: number, to: number) => void;
}

/** A panel of a dashboard; it asks nothing before it comes into view. */
export function PanelView(props: PanelViewProps): JSX.Element {
  const { panel, replace } = props;
  const box = useRef<HTMLElement>(null);
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new IntersectionObserver((entries) => {
      if (entries.some(({ isIntersecting }) => isIntersecting)) {
        setVisible(true);
        observer.disconnect();
      }
    });
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const { data, error, loading } = usePanel(panel, props.window, visible, replace);
  const title = replace(panel.title);
  const style = {
    '--place': `${panel.x + 1} / span ${panel.width}`,
    minHeight: `${panel.height * unitHeight - 10}px`,
  };
  if (panel.type === 'row')
    return (
      <h2 class="dashboard-row" style={{ gridColumn: '1 / -1' }}>
        {title}
      </h2>
    );
  return (
    <section
      ref={box}
      class={`card dashboard-panel ${panel.width <= 6 ? 'small' : ''} ${loading ? 'loading' : ''}`}
      style={style}
      aria-label={title}
    >
      {title !== '' && (
        <header class="row" title={panel.description}>
          <h3 class="clip">{title}</h3>
        </header>
      )}
      {error !== undefined ? (
        <p class="bad small wrap">
          {t.dashboards.failed}: {error}
        </p>
      ) : panel.type === 'text' ? (
        <p class="soft text-panel">{replace(panel.content.replace(/<[^>]+>/g, ' ').replace(/[#*`_]/g, ''))}</p>
      ) : (
        data && <Body {...props} title={title} data={data} />
      )}
    </section>
  );
}

function Body(props: PanelViewProps & { readonly title: string; readonly data: readonly TargetData[] }): JSX.Element {
  const { panel, data, title } = props;
  const format = useMemo(() => grafanaUnit(panel.field.unit, panel.field.decimals), [panel]);
  const series = useMemo(() => seriesOf(data), [data]);
  const height = panel.height * unitHeight - headHeight;
  if (data.every(({ answers }) => answers.length === 0)) return <p class="no-data">{t.dashboards.noData}</p>;
  switch (panel.type) {
    case 'timeseries':
    case 'graph':
    case 'state-timeline':
      return <Lines {...props} series={series} format={format} height={height} />;
    case 'stat':
    case 'singlestat':
    case 'gauge':
      return <Stats panel={panel} series={series} format={format} />;
    case 'bargauge':
    case 'piechart':
    case 'barchart':
      return <Bars panel={panel} series={series} format={format} />;
    case 'heatmap':
      return <Heatmap label={title} answers={data.flatMap(({ answers }) => answers)} format={format} height={height} />;
    case 'table':
    case 'table-old':
      return <PanelTable panel={panel} data={data} title={title} />;
    default:
      return <p class="no-data">{t.dashboards.panelKind(panel.type)}</p>;
  }
}

type Format = (value: number) => string;

function Lines(
  props: PanelViewProps & {
    readonly title: string;
    readonly series: readonly Series[];
    readonly format: Format;
    readonly height: number;
  },
): JSX.Element {
  const { panel, series } = props;
  const colours = palette();
  const tones: Readonly<Record<string, string>> = {
    failing: colours.failing,
    degraded: colours.degraded,
    healthy: colours.healthy,
  };
  const thresholds = panel.field.thresholds.flatMap(({ value, colour }) =>
    value === null || value === 0 || panel.field.thresholds.length < 2
      ? []
      : [{ value, colour: tones[toneOf(colour)] ?? colours.faint }],
  );
  // Many lines are told apart by nobody: the legend then takes less room than the chart.
  const rows = Math.min(Math.ceil(series.length / 3), 3);
  return (
    <TimeChart
      label={props.title}
      series={series}
      format={props.format}
      height={Math.max(90, props.height - rows * 22 - 14)}
      stack={panel.field.stacked}
      fill={panel.field.fill}
      {...(panel.field.min === undefined ? {} : { min: panel.field.min })}
      {...(panel.field.max === undefined ? {} : { max: panel.field.max })}
      thresholds={thresholds}
      onRange={props.onRange}
    />
  );
}

function Stats({
  panel,
  series,
  format,
}: {
  readonly panel: Panel;
  readonly series: readonly Series[];
  readonly format: Format;
}): JSX.Element {
  return (
    <ul class={`stats ${series.length > 1 ? 'several' : ''}`}>
      {series.slice(0, 24).map((each) => {
        const value = reduced(each.points, panel.reduce);
        return (
          <li key={each.label}>
            {series.length > 1 && <span class="soft clip">{each.label}</span>}
            <b class={value === undefined ? '' : thresholdTone(panel, value)}>
              {value === undefined ? '–' : (panel.field.mappings.get(String(value)) ?? format(value))}
            </b>
            {each.points.length > 2 && series.length === 1 && <Sparkline series={each} width={180} height={30} />}
          </li>
        );
      })}
    </ul>
  );
}

function Bars({
  panel,
  series,
  format,
}: {
  readonly panel: Panel;
  readonly series: readonly Series[];
  readonly format: Format;
}): JSX.Element {
  const rows = series
    .map(({ label, points }) => ({ label, value: reduced(points, panel.reduce) ?? 0 }))
    .sort((a, b) => b.value - a.value);
  const most = panel.field.max ?? Math.max(...rows.map(({ value }) => value), 1e-9);
  return (
    <table class="mini bars">
      <tbody>
        {rows.slice(0, 30).map(({ label, value }) => (
          <tr key={label}>
            <th scope="row">
              <span class="clip">{label}</span>
            </th>
            <td class="bar-cell">
              <svg class="bar" width="100%" height="10" aria-hidden="true">
                <rect width="100%" height="10" rx="3" class="track" />
                <rect
                  width={`${Math.min(100, (value / most) * 100).toFixed(1)}%`}
                  height="10"
                  rx="3"
                  class={`fill ${thresholdTone(panel, value)}`}
                />
              </svg>
            </td>
            <td class="number">{format(value)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function PanelTable({
  panel,
  data,
  title,
}: {
  readonly panel: Panel;
  readonly data: readonly TargetData[];
  readonly title: string;
}): JSX.Element {
  const { columns, rows } = tableOf(panel, data);
  return (
    <div class="panel-table" style={{ maxHeight: `${panel.height * unitHeight - headHeight}px` }}>
      <DataTable<TableRow>
        label={title}
        rows={rows}
        rowKey={({ key }) => key}
        sortParameter={`sort${panel.id}`}
        columns={columns.map(({ id, title: name, number, format }) => ({
          id,
          title: name,
          number,
          sort: ({ cells }) => cells[id] ?? '',
          cell: ({ cells }) => {
            const value = cells[id];
            return value === undefined ? '' : format(value);
          },
        }))}
      />
    </div>
  );
}
