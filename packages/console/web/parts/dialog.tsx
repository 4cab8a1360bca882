import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { t } from '../texts.ts';
import { Icon } from './icons.tsx';

/** A modal dialog: holds the focus while it is open and gives it back. */
export function Dialog(props: {
  readonly title: string;
  readonly lead?: ComponentChildren;
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly footer?: ComponentChildren;
  readonly children: ComponentChildren;
}): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  const { onClose } = props;
  useEffect(() => {
    const dialog = element.current;
    if (!dialog) return;
    const before = document.activeElement;
    dialog.showModal();
    dialog.querySelector<HTMLElement>('h2')?.focus();
    return () => {
      dialog.close();
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      class={props.wide ? 'dialog wide' : 'dialog'}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
    >
      <header class="row spread">
        <div>
          <h2 id={id} tabIndex={-1}>
            {props.title}
          </h2>
          {props.lead && <p class="soft">{props.lead}</p>}
        </div>
        <button type="button" class="button quiet icon" aria-label={t.common.close} onClick={onClose}>
          <Icon name="close" />
        </button>
      </header>
      <div class="dialog-body">{props.children}</div>
      {props.footer && <footer>{props.footer}</footer>}
    </dialog>
  );
}
