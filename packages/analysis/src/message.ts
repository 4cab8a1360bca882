import { type ConfigObject, describe } from './config-object.ts';
import type { Level } from './level.ts';
import { documentationUrl, type MessageName, messageTypes } from './message-types.ts';

/** One finding. */
export interface Message {
  readonly code: string;
  readonly name: MessageName;
  readonly level: Level;
  readonly text: string;
  /** What it is about; undefined when it is about no single object. */
  readonly object?: ConfigObject;
  /** Field of the object, for example `spec.http[0].route[1]`; '' for the object as a whole. */
  readonly path: string;
  /** File and line, for objects of files. */
  readonly file?: string;
  readonly line?: number;
  /** The cluster, when several are analysed. */
  readonly cluster?: string;
}

/** The text of an error in a message. */
export const messageType = (name: MessageName): { readonly code: string; readonly level: Level } => messageTypes[name];

/** A message as `-o json` and `-o yaml` print it; the field names are those of Istio. */
export function messageJson(message: Message): Readonly<Record<string, string>> {
  return {
    code: message.code,
    documentationUrl: documentationUrl(message.code),
    level: message.level,
    message: message.text,
    ...(message.object && { origin: describe(message.object) }),
    ...(message.path !== '' && { path: message.path }),
    ...(message.file !== undefined && { reference: reference(message) }),
    ...(message.cluster !== undefined && { cluster: message.cluster }),
  };
}

/** `file:line`; '' for an object of a cluster. */
export const reference = ({ file, line }: Pick<Message, 'file' | 'line'>): string =>
  file === undefined ? '' : line === undefined ? file : `${file}:${line}`;
