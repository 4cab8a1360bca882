import type { JSX } from 'preact';
import { clock } from '../state/format.ts';
import { answeredAt, refreshes, underWay } from '../state/resource.ts';
import { path } from '../state/router.ts';
import { isAnonymous, logout, session, signingIn } from '../state/session.ts';
import { change, dark, settings } from '../state/settings.ts';
import { t } from '../texts.ts';
import { Popover, Select } from './controls.tsx';
import { Icon } from './icons.tsx';
import { NamespacePicker } from './namespaces.tsx';
import { DurationPicker } from './time.tsx';

const intervals = [0, 5, 10, 15, 30, 60] as const;

/** Pages that are about chosen namespaces, and those that are about a time range. */
const byNamespace = ['/', '/graph', '/applications', '/workloads', '/services', '/configuration', '/proxies'];
const byTime = /^\/(graph|applications|workloads|services|traces|dashboards\/.*)?($|\/)/;

/** What the pages look at, how often, and who is asking. */
export function Topbar(): JSX.Element {
  const where = path.value;
  const user = session.value?.user;
  return (
    <header class="topbar">
      {byNamespace.includes(where) && <NamespacePicker />}
      {byTime.test(where) && (
        <DurationPicker
          fallback={
            where === '/graph' ? 60 : where.startsWith('/traces') ? 3600 : where.startsWith('/dashboards') ? 1800 : 600
          }
        />
      )}
      <div class="end">
        <span class="faint small number" role="status" aria-live="off">
          {underWay.value > 0
            ? t.common.updating
            : answeredAt.value === undefined
              ? ''
              : t.common.updated(clock(answeredAt.value))}
        </span>
        <Select
          label={t.common.refreshEvery}
          value={String(settings.value.refresh)}
          choices={intervals.map((value) => ({ value: String(value), label: t.common.every(value) }))}
          onChange={(value) => change({ refresh: Number(value) })}
        />
        <button
          type="button"
          class={`button icon ${underWay.value > 0 ? 'turning' : ''}`}
          aria-label={t.common.refreshNow}
          title={t.common.refreshNow}
          onClick={() => {
            refreshes.value += 1;
          }}
        >
          <Icon name="refresh" />
        </button>
        <button
          type="button"
          class="button icon"
          aria-label={dark.value ? t.common.lightTheme : t.common.darkTheme}
          title={dark.value ? t.common.lightTheme : t.common.darkTheme}
          onClick={() => change({ theme: dark.value ? 'light' : 'dark' })}
        >
          <Icon name={dark.value ? 'sun' : 'moon'} />
        </button>
        {session.value?.mayWrite === false && (
          <span class="pill" title={t.settings.readOnlyWhy}>
            <Icon name="lock" size={12} />
            {t.common.readOnly}
          </span>
        )}
        {isAnonymous() && (
          <button
            type="button"
            class="button"
            onClick={() => {
              signingIn.value = true;
            }}
          >
            <Icon name="user" />
            {t.nav.signIn}
          </button>
        )}
        {user !== undefined && !isAnonymous() && (
          <Popover
            name={user}
            icon="user"
            align="right"
            label={<span class="clip short">{user.split(':').at(-1)}</span>}
          >
            {() => (
              <div class="picker">
                <p class="wrap soft">{user}</p>
                <button type="button" class="button" onClick={() => void logout()}>
                  {t.nav.signOut}
                </button>
              </div>
            )}
          </Popover>
        )}
      </div>
    </header>
  );
}
