import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { yaml } from '@codemirror/lang-yaml';
import {
  bracketMatching,
  foldGutter,
  foldKeymap,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { Compartment, EditorState } from '@codemirror/state';
import {
  drawSelection,
  EditorView,
  highlightActiveLine,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from '@codemirror/view';
import { tags } from '@lezer/highlight';
import type { JSX } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { ValidationMessage } from '../../src/api.ts';
import { dark } from '../state/settings.ts';
import { fieldCompletion } from './completion.ts';

const highlight = HighlightStyle.define([
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--accent)' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--healthy)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--degraded)' },
  { tag: [tags.comment, tags.lineComment], color: 'var(--text-faint)', fontStyle: 'italic' },
  { tag: [tags.punctuation, tags.separator, tags.squareBracket, tags.brace], color: 'var(--text-faint)' },
  { tag: [tags.keyword, tags.meta, tags.typeName], color: 'var(--series-4)' },
  { tag: tags.content, color: 'var(--text)' },
]);

const theme = (isDark: boolean) =>
  EditorView.theme(
    {
      '&': { color: 'var(--text)', backgroundColor: 'var(--surface)', fontSize: '12px', height: '100%' },
      '&.cm-focused': { outline: '2px solid var(--accent)', outlineOffset: '-2px' },
      '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.55' },
      '.cm-content': { padding: '8px 0', caretColor: 'var(--accent)' },
      '.cm-gutters': {
        backgroundColor: 'var(--sunken)',
        color: 'var(--text-faint)',
        border: '0',
        borderRight: '1px solid var(--line)',
      },
      '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--accent) 7%, transparent)' },
      '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': {
        backgroundColor: 'color-mix(in srgb, var(--accent) 25%, transparent)',
      },
      '.cm-cursor': { borderLeftColor: 'var(--accent)' },
      '.cm-tooltip': {
        backgroundColor: 'var(--raised)',
        color: 'var(--text)',
        border: '1px solid var(--line-strong)',
        borderRadius: '6px',
      },
      '.cm-tooltip-autocomplete ul li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
      '.cm-diagnostic': { padding: '6px 10px', maxWidth: '520px' },
      '.cm-diagnostic-error': { borderLeftColor: 'var(--failing)' },
      '.cm-diagnostic-warning': { borderLeftColor: 'var(--degraded)' },
      '.cm-foldPlaceholder': {
        backgroundColor: 'var(--sunken)',
        borderColor: 'var(--line)',
        color: 'var(--text-soft)',
      },
    },
    { dark: isDark },
  );

/** Where a message of the check stands in the text: its whole line without the indentation, the first line when the check knew none. */
function diagnosticsOf(view: EditorView, messages: readonly ValidationMessage[]): Diagnostic[] {
  return messages.map(({ line, code, level, message, field }) => {
    const at = view.state.doc.line(Math.min(Math.max(line ?? 1, 1), view.state.doc.lines));
    const indent = at.text.length - at.text.trimStart().length;
    return {
      from: at.from + indent,
      to: Math.max(at.to, at.from + indent),
      severity: level === 'Error' ? 'error' : level === 'Warning' ? 'warning' : 'info',
      source: code,
      message: field ? `${message} (${field})` : message,
    };
  });
}

/**
 * The editor of YAML texts. It lives in a shadow root, where its styles are constructed style sheets: so the page's content security policy
 * needs no exception for inline styles.
 */
export function YamlEditor(props: {
  readonly value: string;
  readonly onChange?: (value: string) => void;
  readonly messages?: readonly ValidationMessage[];
  readonly label: string;
  readonly readOnly?: boolean;
  readonly height?: string;
  /** Kind of the object, for the names of its fields. */
  readonly kind?: string;
  /** A line to show and select; changes with `seq` so that the same line can be asked for twice. */
  readonly jump?: { readonly line: number; readonly seq: number } | undefined;
}): JSX.Element {
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const current = useRef(props);
  current.current = props;
  // Texts that were typed and have not come back as `value` yet: a keystroke is not undone by the one before it.
  const typed = useRef(new Set<string>());
  const replacing = useRef(false);
  const isDark = dark.value;
  const colours = useRef(new Compartment());

  // The editor is made once and then told what changes.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const root = element.shadowRoot ?? element.attachShadow({ mode: 'open', delegatesFocus: true });
    const made = new EditorView({
      root,
      parent: root,
      state: EditorState.create({
        doc: props.value,
        extensions: [
          lineNumbers(),
          foldGutter(),
          highlightActiveLineGutter(),
          highlightActiveLine(),
          history(),
          drawSelection(),
          indentOnInput(),
          indentUnit.of('  '),
          bracketMatching(),
          closeBrackets(),
          yaml(),
          syntaxHighlighting(highlight),
          lintGutter(),
          autocompletion({ override: [(context) => fieldCompletion(context, current.current.kind)] }),
          keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...historyKeymap,
            ...foldKeymap,
            ...completionKeymap,
            ...lintKeymap,
            indentWithTab,
          ]),
          colours.current.of(theme(isDark)),
          EditorState.readOnly.of(props.readOnly === true),
          EditorView.editable.of(props.readOnly !== true),
          EditorView.contentAttributes.of({ 'aria-label': props.label, ...(props.readOnly ? { tabindex: '0' } : {}) }),
          EditorView.updateListener.of((update) => {
            if (!update.docChanged || replacing.current) return;
            const text = update.state.doc.toString();
            typed.current.add(text);
            current.current.onChange?.(text);
          }),
        ],
      }),
    });
    view.current = made;
    return () => made.destroy();
  }, [props.readOnly]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    if (editor.state.doc.toString() === props.value) {
      typed.current.clear();
      return;
    }
    if (typed.current.has(props.value)) return;
    replacing.current = true;
    editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: props.value } });
    replacing.current = false;
  }, [props.value]);
  useEffect(() => {
    view.current?.dispatch({ effects: colours.current.reconfigure(theme(isDark)) });
  }, [isDark]);
  useEffect(() => {
    const editor = view.current;
    if (editor) editor.dispatch(setDiagnostics(editor.state, diagnosticsOf(editor, props.messages ?? [])));
  }, [props.messages]);
  useEffect(() => {
    const editor = view.current;
    if (!editor || !props.jump) return;
    const line = editor.state.doc.line(Math.min(Math.max(props.jump.line, 1), editor.state.doc.lines));
    editor.dispatch({
      selection: { anchor: line.from, head: line.to },
      effects: EditorView.scrollIntoView(line.from, { y: 'center' }),
    });
    editor.focus();
  }, [props.jump]);

  return <div ref={host} class="yaml-editor" style={{ height: props.height ?? '420px' }} />;
}
