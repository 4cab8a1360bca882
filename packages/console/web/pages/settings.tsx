import type { JSX } from 'preact';
import { Check, Segments, Select } from '../parts/controls.tsx';
import { Icon } from '../parts/icons.tsx';
import { Card, Page } from '../parts/page.tsx';
import { session } from '../state/session.ts';
import { change, settings, type Theme } from '../state/settings.ts';
import { t } from '../texts.ts';

const themes: readonly Theme[] = ['system', 'light', 'dark'];
const intervals = [0, 5, 10, 15, 30, 60, 300] as const;

export function SettingsPage(): JSX.Element {
  const now = session.value;
  return (
    <Page title={t.settings.title} lead={t.settings.lead}>
      <div class="halves">
        <div class="stack">
          <Card title={t.settings.look}>
            <div class="setting">
              <span>{t.settings.theme}</span>
              <Segments
                label={t.settings.theme}
                value={settings.value.theme}
                choices={themes.map((value) => ({ value, label: t.settings.themes[value] }))}
                onChange={(value) => change({ theme: themes.find((each) => each === value) ?? 'system' })}
              />
            </div>
            <div class="setting">
              <Check
                label={t.settings.motion}
                checked={settings.value.motion}
                onChange={(motion) => change({ motion })}
              />
            </div>
          </Card>
          <Card title={t.settings.data}>
            <div class="setting">
              <span>
                {t.settings.refresh} <small class="faint">{t.settings.refreshHint}</small>
              </span>
              <Select
                label={t.settings.refresh}
                value={String(settings.value.refresh)}
                choices={intervals.map((value) => ({ value: String(value), label: t.common.every(value) }))}
                onChange={(value) => change({ refresh: Number(value) })}
              />
            </div>
          </Card>
          <Card title={t.settings.shortcuts}>
            <table class="mini">
              <tbody>
                {t.settings.shortcutList.map(([key, what]) => (
                  <tr key={`${key} ${what}`}>
                    <th scope="row">
                      <kbd>{key}</kbd>
                    </th>
                    <td class="soft">{what}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Card>
        </div>
        <div class="stack">
          <Card title={t.settings.about}>
            <dl class="facts">
              <dt>{t.settings.version}</dt>
              <dd>{now?.version}</dd>
              <dt>{t.settings.meshVersions}</dt>
              <dd>{now?.meshVersions.join(', ') || t.common.none}</dd>
              <dt>{t.settings.cluster}</dt>
              <dd>{now?.cluster}</dd>
              <dt>{t.settings.istioNamespace}</dt>
              <dd>{now?.istioNamespace}</dd>
              <dt>{t.settings.user}</dt>
              <dd class="wrap">{now?.user ?? t.settings.anonymous}</dd>
              <dt>{t.settings.rights}</dt>
              <dd>{now?.mayWrite ? t.settings.mayWrite : t.settings.readOnlyWhy}</dd>
            </dl>
          </Card>
          <Card title={t.settings.addons}>
            <ul class="addons">
              {now?.addons.map((addon) => (
                <li key={addon.name}>
                  <span class={`health ${addon.state === 'absent' ? 'degraded' : 'healthy'}`}>
                    <Icon name={addon.state === 'absent' ? 'warning' : 'check'} size={13} />
                    {t.settings.addonStates[addon.state]}
                  </span>
                  <div class="grow">
                    <strong>{t.settings.addonNames[addon.name]}</strong> <code class="faint wrap">{addon.address}</code>
                    {addon.message !== undefined && <p class="soft small">{addon.message}</p>}
                  </div>
                </li>
              ))}
            </ul>
          </Card>
        </div>
      </div>
    </Page>
  );
}
