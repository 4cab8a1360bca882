import { signal } from '@preact/signals';
import type { JSX } from 'preact';
import { t } from '../texts.ts';
import { Icon } from './icons.tsx';

interface Toast {
  readonly id: number;
  readonly level: 'success' | 'error';
  readonly text: string;
}

const toasts = signal<readonly Toast[]>([]);
let last = 0;

/** Says that something was done, or was not; errors stay until they are closed. */
export function say(level: Toast['level'], text: string): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, level, text }];
  if (level === 'success') setTimeout(() => end(id), 5000);
}

function end(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((toast) => (
        <div key={toast.id} class={`toast ${toast.level}`}>
          <Icon name={toast.level === 'success' ? 'check' : 'error'} />
          <span class="grow">{toast.text}</span>
          <button type="button" class="button quiet icon" aria-label={t.common.close} onClick={() => end(toast.id)}>
            <Icon name="close" size={14} />
          </button>
        </div>
      ))}
    </div>
  );
}
