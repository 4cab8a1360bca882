import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { t } from '../texts.ts';
import { Icon, type IconName } from './icons.tsx';

export interface Choice {
  readonly value: string;
  readonly label: string;
}

/** A native select with its label beside it or for screen readers only. */
export function Select(props: {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly Choice[];
  readonly onChange: (value: string) => void;
  readonly showLabel?: boolean;
  readonly disabled?: boolean;
}): JSX.Element {
  const id = useId();
  return (
    <span class="field-inline">
      <label for={id} class={props.showLabel ? 'soft' : 'hidden-visually'}>
        {props.label}
      </label>
      <select
        id={id}
        class="input"
        value={props.value}
        disabled={props.disabled}
        onChange={(event) => props.onChange(event.currentTarget.value)}
      >
        {props.choices.map((choice) => (
          <option key={choice.value} value={choice.value}>
            {choice.label}
          </option>
        ))}
      </select>
    </span>
  );
}

/** Text that filters: the new value comes a moment after the last key. */
export function SearchBox(props: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly placeholder?: string;
  readonly icon?: IconName;
  readonly width?: number;
  readonly invalid?: boolean;
  readonly describedBy?: string;
}): JSX.Element {
  const [text, setText] = useState(props.value);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  // What comes back as `value` is often what was reported a moment ago, when more has been typed already.
  const reported = useRef(props.value);
  useEffect(() => {
    if (props.value !== reported.current) setText(props.value);
    reported.current = props.value;
  }, [props.value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const report = (value: string, wait: number) => {
    setText(value);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      reported.current = value;
      props.onChange(value);
    }, wait);
  };
  return (
    <span
      class={`search ${props.invalid ? 'invalid' : ''}`}
      style={props.width ? { width: `${props.width}px` } : undefined}
    >
      <Icon name={props.icon ?? 'search'} size={14} />
      <input
        type="search"
        aria-label={props.label}
        placeholder={props.placeholder ?? props.label}
        value={text}
        aria-invalid={props.invalid ? 'true' : undefined}
        aria-describedby={props.describedBy}
        spellcheck={false}
        onInput={(event) => report(event.currentTarget.value, 200)}
        onKeyDown={(event) => {
          if (event.key === 'Escape' && text !== '') {
            event.stopPropagation();
            report('', 0);
          }
        }}
      />
    </span>
  );
}

/** One of a few, side by side. */
export function Segments(props: {
  readonly label: string;
  readonly value: string;
  readonly choices: readonly (Choice & { readonly icon?: IconName })[];
  readonly onChange: (value: string) => void;
}): JSX.Element {
  return (
    <fieldset class="segments">
      <legend class="hidden-visually">{props.label}</legend>
      {props.choices.map((choice) => (
        <button
          key={choice.value}
          type="button"
          aria-pressed={choice.value === props.value}
          onClick={() => props.onChange(choice.value)}
        >
          {choice.icon && <Icon name={choice.icon} size={14} />}
          {choice.label}
        </button>
      ))}
    </fieldset>
  );
}

/** A button that opens something below it; closes on Escape and on a click elsewhere. */
export function Popover(props: {
  readonly label: ComponentChildren;
  readonly name: string;
  readonly class?: string;
  readonly align?: 'left' | 'right';
  readonly icon?: IconName;
  readonly children: (close: () => void) => ComponentChildren;
}): JSX.Element {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLSpanElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('focusin', outside);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('focusin', outside);
    };
  }, [open]);
  const close = () => {
    setOpen(false);
    button.current?.focus();
  };
  return (
    <span
      ref={box}
      class="popover"
      onKeyDown={(event) => {
        if (event.key === 'Escape' && open) {
          event.stopPropagation();
          close();
        }
      }}
    >
      <button
        ref={button}
        type="button"
        class={props.class ?? 'button'}
        aria-label={props.name}
        aria-expanded={open}
        aria-controls={id}
        title={props.name}
        onClick={() => setOpen(!open)}
      >
        {props.icon && <Icon name={props.icon} size={14} />}
        {props.label}
        <Icon name="down" size={12} />
      </button>
      {open && (
        <div id={id} class={`float ${props.align ?? 'left'}`} role="group" aria-label={props.name}>
          {props.children(close)}
        </div>
      )}
    </span>
  );
}

export function Check(props: {
  readonly label: ComponentChildren;
  readonly checked: boolean;
  readonly onChange: (checked: boolean) => void;
  readonly disabled?: boolean;
}): JSX.Element {
  return (
    <label class="check">
      <input
        type="checkbox"
        checked={props.checked}
        disabled={props.disabled}
        onChange={(event) => props.onChange(event.currentTarget.checked)}
      />
      <span>{props.label}</span>
    </label>
  );
}

/** A labelled input in a form, with a hint below. */
export function Field(props: {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly hint?: string;
  readonly type?: 'text' | 'number';
  readonly placeholder?: string;
  readonly list?: readonly string[];
  readonly required?: boolean;
  readonly min?: number;
  readonly max?: number;
  readonly mono?: boolean;
  readonly error?: string | undefined;
  readonly rows?: number;
}): JSX.Element {
  const id = useId();
  const shared = {
    id,
    class: `input ${props.mono ? 'mono' : ''}`,
    value: props.value,
    placeholder: props.placeholder,
    required: props.required,
    spellcheck: false,
    'aria-invalid': props.error ? ('true' as const) : undefined,
    'aria-describedby': props.hint || props.error ? `${id}-hint` : undefined,
  };
  return (
    <div class="field">
      <label for={id}>{props.label}</label>
      {props.rows ? (
        <textarea {...shared} rows={props.rows} onInput={(event) => props.onChange(event.currentTarget.value)} />
      ) : (
        <input
          {...shared}
          {...(props.type === 'number'
            ? { type: 'number' as const, min: props.min, max: props.max }
            : { type: 'text' as const })}
          autocomplete="off"
          list={props.list ? `${id}-list` : undefined}
          onInput={(event) => props.onChange(event.currentTarget.value)}
        />
      )}
      {props.list && (
        <datalist id={`${id}-list`}>
          {props.list.map((value) => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
      {(props.error || props.hint) && (
        <small id={`${id}-hint`} class={props.error ? 'bad' : 'faint'}>
          {props.error ?? props.hint}
        </small>
      )}
    </div>
  );
}

export function CopyButton({ text }: { readonly text: string }): JSX.Element {
  const [done, setDone] = useState(false);
  return (
    <button
      type="button"
      class="button quiet"
      onClick={() => {
        void navigator.clipboard?.writeText(text).then(() => setDone(true));
      }}
    >
      <Icon name={done ? 'check' : 'copy'} size={14} />
      {done ? t.common.copied : t.common.copy}
    </button>
  );
}
