import type { JSX } from 'preact';
import type { ValidationMessage } from '../../src/api.ts';
import { Icon } from '../parts/icons.tsx';
import { t } from '../texts.ts';
import type { Checked } from './use-check.ts';

const tone = { Error: 'failing', Warning: 'degraded', Info: 'info' } as const;
const icon = { Error: 'error', Warning: 'warning', Info: 'info' } as const;

/** The messages beside the editor; a press shows their line. */
export function Messages({
  messages,
  onJump,
}: {
  readonly messages: readonly ValidationMessage[];
  readonly onJump?: (line: number) => void;
}): JSX.Element {
  return (
    <ul class="messages">
      {messages.map((message) => (
        <li key={`${message.code} ${message.line} ${message.field} ${message.message}`} class={tone[message.level]}>
          <Icon name={icon[message.level]} size={14} label={t.config.levels[message.level]} />
          <div class="grow">
            <span class="wrap">{message.message}</span>
            <div class="row wrapping faint small">
              <code>{message.code}</code>
              {message.field !== undefined && <code class="wrap">{message.field}</code>}
              {message.line !== undefined && onJump && (
                <button type="button" class="link" onClick={() => onJump(message.line ?? 1)}>
                  {t.config.jump(message.line)}
                </button>
              )}
            </div>
          </div>
        </li>
      ))}
    </ul>
  );
}

/** One line about the check, told to screen readers when it changes. */
export function CheckState({ checked }: { readonly checked: Checked }): JSX.Element {
  const messages = checked.result?.messages ?? [];
  const errors = messages.filter(({ level }) => level === 'Error').length;
  const warnings = messages.filter(({ level }) => level === 'Warning').length;
  const state = checked.problem ? 'degraded' : errors > 0 ? 'failing' : warnings > 0 ? 'degraded' : 'healthy';
  return (
    <span class={`health ${checked.pending ? 'idle' : state}`} role="status" aria-live="polite">
      <Icon
        name={
          checked.pending ? 'refresh' : errors > 0 ? 'error' : warnings > 0 || checked.problem ? 'warning' : 'check'
        }
        size={13}
      />
      {checked.pending
        ? t.config.checking
        : checked.problem !== undefined
          ? `${t.config.checkFailed}: ${checked.problem}`
          : messages.length === 0
            ? t.config.valid
            : t.config.problems(errors, warnings, messages.length - errors - warnings)}
    </span>
  );
}
