import type { JSX } from 'preact';
import type { GraphType } from '../../src/api.ts';
import { Check, Popover, SearchBox, Segments, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { queryList, queryValue, setQuery } from '../state/router.ts';
import { change, reducedMotion, settings } from '../state/settings.ts';
import { t } from '../texts.ts';
import { edgeLabelKinds, type EdgeLabelKind, readLabelKinds } from './labels.ts';
import { type Found, queryFields } from './query.ts';

const types: readonly GraphType[] = ['versionedApp', 'app', 'workload', 'service'];

export const chosenType = (): GraphType => types.find((type) => type === queryValue('type')) ?? 'versionedApp';

export const chosenLabels = (): readonly EdgeLabelKind[] =>
  queryValue('labels') === '' ? ['rate', 'errors'] : readLabelKinds(queryList('labels'));

/** Switches that are on unless the address says otherwise, and one that is off. */
export const isOn = (name: 'locks' | 'badges' | 'idle'): boolean => queryValue(name) !== 'off';
export const areasOn = (): boolean => queryValue('boxes') !== 'off';

/** What the graph shows and how. */
export function Toolbar(props: {
  readonly found: Found | undefined;
  readonly findProblem: string | undefined;
  readonly hideProblem: string | undefined;
}): JSX.Element {
  const labels = chosenLabels();
  return (
    <div class="toolbar">
      <Select
        label={t.graph.type}
        value={chosenType()}
        choices={types.map((value) => ({ value, label: t.graph.types[value] }))}
        onChange={(type) => setQuery({ type }, 'push')}
      />
      <Popover name={t.graph.labels} label={t.graph.labels}>
        {() => (
          <div class="picker">
            {edgeLabelKinds.map((kind) => (
              <Check
                key={kind}
                label={t.graph.labelKinds[kind]}
                checked={labels.includes(kind)}
                onChange={(checked) => {
                  const next = edgeLabelKinds.filter((each) => (each === kind ? checked : labels.includes(each)));
                  setQuery({ labels: next.length === 0 ? 'none' : next.join(',') });
                }}
              />
            ))}
          </div>
        )}
      </Popover>
      <Popover name={t.graph.display} label={t.graph.display}>
        {() => (
          <div class="picker">
            {(
              [
                ['locks', t.graph.showLocks],
                ['badges', t.graph.showBadges],
                ['idle', t.graph.showIdle],
                ['boxes', t.graph.showAreas],
              ] as const
            ).map(([name, label]) => (
              <Check
                key={name}
                label={label}
                checked={queryValue(name) !== 'off'}
                onChange={(checked) => setQuery({ [name]: checked ? undefined : 'off' })}
              />
            ))}
            <Check
              label={t.graph.showMotion}
              checked={settings.value.motion && !reducedMotion()}
              disabled={reducedMotion()}
              onChange={(motion) => change({ motion })}
            />
            {reducedMotion() && <small class="faint">{t.graph.motionOff}</small>}
          </div>
        )}
      </Popover>
      <SearchBox
        label={t.graph.find}
        placeholder={t.graph.findHint}
        value={queryValue('find')}
        invalid={props.findProblem !== undefined}
        describedBy="graph-query"
        width={210}
        onChange={(find) => setQuery({ find })}
      />
      <SearchBox
        label={t.graph.hide}
        icon="filter"
        placeholder={t.graph.hideHint}
        value={queryValue('hide')}
        invalid={props.hideProblem !== undefined}
        describedBy="graph-query"
        width={210}
        onChange={(hide) => setQuery({ hide })}
      />
      <span class="row end">
        {queryValue('at') === '' && (
          <button
            type="button"
            class="button"
            onClick={() => {
              const now = String(Date.now());
              setQuery({ at: now, until: now }, 'push');
            }}
          >
            <Icon name="clock" size={14} />
            {t.graph.replay}
          </button>
        )}
        <Segments
          label={t.graph.view}
          value={queryValue('view', 'graph')}
          choices={[
            { value: 'graph', label: t.graph.asGraph, icon: 'graph' },
            { value: 'table', label: t.graph.asTable, icon: 'table' },
          ]}
          onChange={(view) => setQuery({ view: view === 'graph' ? undefined : view })}
        />
      </span>
      <p
        id="graph-query"
        class={props.findProblem || props.hideProblem ? 'bad small' : 'hidden-visually'}
        aria-live="polite"
      >
        {props.findProblem ??
          props.hideProblem ??
          (props.found
            ? t.graph.found(props.found.nodes.size, props.found.edges.size)
            : t.graph.queryHelp(queryFields))}
      </p>
    </div>
  );
}
