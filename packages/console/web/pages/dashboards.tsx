import type { JSX } from 'preact';
import type { DashboardList } from '../../src/api.ts';
import { Icon } from '../parts/icons.tsx';
import { Empty, Loaded } from '../parts/notice.tsx';
import { Page } from '../parts/page.tsx';
import { useResource } from '../state/resource.ts';
import { href } from '../state/router.ts';
import { sentence } from '../state/format.ts';
import { session } from '../state/session.ts';
import { t } from '../texts.ts';

export function DashboardsPage(): JSX.Element {
  const resource = useResource<DashboardList>('dashboards', { poll: false });
  const grafana = session.value?.addons.find(({ name }) => name === 'grafana');
  return (
    <Page title={t.dashboards.title} lead={t.dashboards.lead}>
      <Loaded resource={resource}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon="dashboards" title={t.dashboards.empty}>
              {t.dashboards.emptyHelp}
            </Empty>
          ) : (
            <ul class="cards">
              {items.map(({ uid, title, description }) => (
                <li key={uid} class="card dashboard-card">
                  <Icon name="dashboards" size={20} />
                  <div class="grow">
                    <h2>
                      <a class="cover" href={href(`/dashboards/${uid}`)}>
                        {title}
                      </a>
                    </h2>
                    <p class="soft">{description}</p>
                  </div>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {grafana?.message !== undefined && <p class="faint small after-cards">{sentence(grafana.message)}</p>}
    </Page>
  );
}
