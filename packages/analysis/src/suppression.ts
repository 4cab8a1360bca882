import type { Message } from './message.ts';
import { messageNameOf } from './message-types.ts';

/** Messages of a code about matching objects are not wanted. */
export interface Suppression {
  readonly code: string;
  /** Kind and name, for example `DestinationRule reviews.default`; `*` stands for any text. */
  readonly resource: string;
}

/** Annotation of an object: codes, separated by commas, that are not reported about it; `*` for all. */
export const suppressAnnotation = 'galley.istio.io/analyze-suppress';

/** Reads `IST0103=Pod *.default`. Undefined where it is not of that form. */
export function parseSuppression(text: string): (Suppression & { readonly known: boolean }) | undefined {
  const [code = '', resource = '', ...rest] = text.split('=');
  if (code.trim() === '' || resource.trim() === '' || rest.length > 0) return undefined;
  return { code: code.trim(), resource: resource.trim(), known: messageNameOf(code.trim()) !== undefined };
}

/** Whether a message is one that the user does not want. */
export function isSuppressed(message: Message, suppressions: readonly Suppression[]): boolean {
  const { object } = message;
  if (!object) return false;
  const annotated = (object.annotations[suppressAnnotation] ?? '').split(',').map((code) => code.trim());
  if (annotated.includes('*') || annotated.includes(message.code)) return true;
  const { kind } = object.object;
  const names =
    object.namespace === ''
      ? [`${kind} ${object.name}`]
      : [`${kind} ${object.name}.${object.namespace}`, `${kind} ${object.namespace}/${object.name}`];
  return suppressions.some(
    ({ code, resource }) => code.toUpperCase() === message.code && names.some((name) => glob(resource).test(name)),
  );
}

const glob = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .split('*')
      .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
      .join('.*')}$`,
  );
