import type { Level } from '../level.ts';

/** A sort of message: its code, level and name are those of Istio (istio.io, "Configuration Analysis Messages"); the wording is our own. */
export interface MessageType<Args> {
  readonly code: string;
  readonly level: Level;
  readonly text: (args: Args) => string;
}

/** A type of messages; `text` makes the words of one out of its arguments, which are those that Istio's message carries. */
export const type = <Args>(code: string, level: Level, text: (args: Args) => string): MessageType<Args> => ({
  code,
  level,
  text,
});

export const quoted = (text: string): string => JSON.stringify(text);
export const listed = (items: readonly (string | number)[]): string => items.join(', ');
export const plural = (items: readonly unknown[], one: string, many: string): string =>
  items.length === 1 ? one : many;
