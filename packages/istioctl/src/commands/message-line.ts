import { describe, type Level, type Message, reference } from '@istio-ts/analysis';

const colourOf: Readonly<Record<Level, number>> = { Error: 31, Warning: 33, Info: 32 };

/** The name of a level, in its colour where colours are wanted. */
export const levelText = (level: Level, coloured: boolean): string =>
  coloured ? `\x1b[${colourOf[level]}m${level}\x1b[0m` : level;

/** A message of the analysis on one line: level, code, object, file and line, text. */
export function messageLine(message: Message, coloured: boolean): string {
  const where = [
    message.cluster === undefined ? '' : `[${message.cluster}]`,
    message.object ? describe(message.object) : '',
    reference(message),
  ].filter((part) => part !== '');
  const place = where.length === 0 ? '' : ` (${where.join(' ')})`;
  // A wrong field of a cluster's object has no line, so it is named.
  const field =
    message.path !== '' && message.file === undefined && !message.text.includes(message.path)
      ? `${message.path}: `
      : '';
  return `${levelText(message.level, coloured)} [${message.code}]${place} ${field}${message.text}`;
}
