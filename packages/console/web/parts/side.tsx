import type { JSX } from 'preact';
import { base } from '../state/base.ts';
import { href, path } from '../state/router.ts';
import { session } from '../state/session.ts';
import { change, settings } from '../state/settings.ts';
import { t } from '../texts.ts';
import { Icon, type IconName } from './icons.tsx';

interface Entry {
  readonly to: string;
  readonly label: string;
  readonly icon: IconName;
}

const groups: readonly (readonly [title: string, entries: readonly Entry[]])[] = [
  [
    t.nav.see,
    [
      { to: '/', label: t.nav.overview, icon: 'overview' },
      { to: '/graph', label: t.nav.graph, icon: 'graph' },
      { to: '/dashboards', label: t.nav.dashboards, icon: 'dashboards' },
    ],
  ],
  [
    t.nav.resources,
    [
      { to: '/applications', label: t.nav.applications, icon: 'app' },
      { to: '/workloads', label: t.nav.workloads, icon: 'workload' },
      { to: '/services', label: t.nav.services, icon: 'service' },
      { to: '/configuration', label: t.nav.configuration, icon: 'config' },
    ],
  ],
  [
    t.nav.analyse,
    [
      { to: '/traces', label: t.nav.traces, icon: 'traces' },
      { to: '/logs', label: t.nav.logs, icon: 'logs' },
      { to: '/proxies', label: t.nav.proxies, icon: 'proxies' },
      { to: '/explain', label: t.nav.explain, icon: 'explain' },
    ],
  ],
];

const isHere = (to: string): boolean => path.value === to || (to !== '/' && path.value.startsWith(`${to}/`));

function Entries({ entries }: { readonly entries: readonly Entry[] }): JSX.Element {
  return (
    <ul>
      {entries.map(({ to, label, icon }) => (
        <li key={to}>
          <a href={href(to)} aria-current={isHere(to) ? 'page' : undefined} title={label} aria-label={label}>
            <Icon name={icon} />
            <span class="label">{label}</span>
          </a>
        </li>
      ))}
    </ul>
  );
}

/** The main menu. */
export function Side(): JSX.Element {
  const narrow = settings.value.narrowMenu;
  return (
    <nav class="side" aria-label={t.common.mainMenu}>
      <div class="brand">
        <img src={`${base}icon.svg`} alt="" />
        <span class="label">
          {t.common.product}
          <small>{session.value?.cluster}</small>
        </span>
      </div>
      {groups.map(([title, entries]) => (
        <div key={title}>
          <h2>{title}</h2>
          <Entries entries={entries} />
        </div>
      ))}
      <div class="foot">
        <Entries entries={[{ to: '/settings', label: t.nav.settings, icon: 'settings' }]} />
        <button
          type="button"
          class="fold"
          aria-label={narrow ? t.common.unfoldMenu : t.common.foldMenu}
          onClick={() => change({ narrowMenu: !narrow })}
        >
          <Icon name={narrow ? 'right' : 'left'} />
          <span class="label">{t.common.foldMenu}</span>
        </button>
      </div>
    </nav>
  );
}
