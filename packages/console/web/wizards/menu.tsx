import type { JSX } from 'preact';
import type { Detail } from '../../src/api.ts';
import { Popover } from '../parts/controls.tsx';
import { Icon, type IconName } from '../parts/icons.tsx';
import { queryValue, setQuery } from '../state/router.ts';
import { mayWrite } from '../state/session.ts';
import { t } from '../texts.ts';
import { WizardDialog } from './dialog.tsx';

export const wizardKinds = ['shift', 'route', 'fault', 'timeout', 'limits', 'mtls'] as const;
export type WizardKind = (typeof wizardKinds)[number];

/** Kinds that a wizard changes, and so has to read first. */
export const changedBy: Readonly<Record<WizardKind, readonly string[]>> = {
  shift: ['VirtualService', 'DestinationRule'],
  route: ['VirtualService', 'DestinationRule'],
  fault: ['VirtualService'],
  timeout: ['VirtualService'],
  limits: ['DestinationRule'],
  mtls: ['PeerAuthentication', 'DestinationRule'],
};

const icons: Readonly<Record<WizardKind, IconName>> = {
  shift: 'compare',
  route: 'split',
  fault: 'fault',
  timeout: 'clock',
  limits: 'bolt',
  mtls: 'lock',
};

/** Opens the wizards of a service; which one is open is in the address. */
export function WizardMenu({
  detail,
  onApplied,
}: {
  readonly detail: Detail;
  readonly onApplied: () => void;
}): JSX.Element {
  const open = wizardKinds.find((kind) => kind === queryValue('wizard'));
  return (
    <>
      <Popover name={t.wizards.menu} icon="magic" class="button primary" align="right" label={t.wizards.menu}>
        {(close) => (
          <ul class="menu">
            {wizardKinds.map((kind) => (
              <li key={kind}>
                <button
                  type="button"
                  onClick={() => {
                    close();
                    setQuery({ wizard: kind }, 'push');
                  }}
                >
                  <Icon name={icons[kind]} />
                  <span>
                    <strong>{t.wizards.titles[kind]}</strong>
                    <small class="faint">{t.wizards.hints[kind]}</small>
                  </span>
                </button>
              </li>
            ))}
            {!mayWrite() && <li class="soft small note">{t.wizards.needsRights}</li>}
          </ul>
        )}
      </Popover>
      {open && (
        <WizardDialog
          key={open}
          kind={open}
          detail={detail}
          onApplied={onApplied}
          onClose={() => setQuery({ wizard: undefined })}
        />
      )}
    </>
  );
}
