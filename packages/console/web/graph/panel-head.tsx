import type { JSX } from 'preact';
import { Icon } from '../parts/icons.tsx';
import { t } from '../texts.ts';

export function PanelHead(props: {
  readonly kind: string;
  readonly title: string;
  readonly onClose: () => void;
}): JSX.Element {
  return (
    <header class="row spread">
      <div class="grow">
        <small class="faint">{props.kind}</small>
        <h2 class="wrap">{props.title}</h2>
      </div>
      <button type="button" class="button quiet icon" aria-label={t.common.close} onClick={props.onClose}>
        <Icon name="close" size={14} />
      </button>
    </header>
  );
}
