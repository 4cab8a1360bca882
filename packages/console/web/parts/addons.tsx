import type { JSX } from 'preact';
import type { AddonState } from '../../src/api.ts';
import { path } from '../state/router.ts';
import { session } from '../state/session.ts';
import { t } from '../texts.ts';
import { Notice } from './notice.tsx';

/** The program that a page cannot do without. */
function neededBy(where: string): AddonState['name'] | undefined {
  if (where === '/graph' || where.startsWith('/dashboards')) return 'prometheus';
  if (where.startsWith('/traces')) return 'tracing';
  return undefined;
}

/** Says so when the program that a page reads from does not answer. */
export function AddonsNotice(): JSX.Element | null {
  const name = neededBy(path.value);
  const addon = session.value?.addons.find((each) => each.name === name);
  if (addon?.state !== 'absent') return null;
  return (
    <div class="addons-notice">
      <Notice level="warning" title={t.settings.absent(addon.name)}>
        {addon.message ?? t.settings.absentHelp(addon.address)}
      </Notice>
    </div>
  );
}
