import type { KubeObject } from './object.ts';
import { parseYaml, YamlError } from './yaml.ts';

/** The largest manifest read, in characters. Kubernetes refuses single objects over 3 MiB. */
const maxManifest = 64 << 20;

/**
 * Reads the objects of a manifest: YAML with any number of documents, or JSON. Empty documents are skipped and lists
 * (`kind: List`, `kind: PodList`) replaced by their items. `file` only names the text in errors.
 * Throws `YamlError`, with the line, for bad YAML and for a document that is not a Kubernetes object.
 */
export function parseManifests(text: string, file: string): KubeObject[] {
  return parseManifestDocuments(text, file).map((document) => document.object);
}

/** An object and where it starts, for messages. */
export interface ManifestObject {
  readonly object: KubeObject;
  readonly file: string;
  /** Line on which its document starts, from 1. */
  readonly line: number;
}

/** As `parseManifests`, and says where each object starts. */
export function parseManifestDocuments(text: string, file: string): ManifestObject[] {
  if (text.length > maxManifest) throw new YamlError(file, 1, `larger than ${maxManifest >> 20} MiB`);
  const objects: ManifestObject[] = [];
  for (const part of splitDocuments(text)) {
    const value = isBlank(part.text) ? undefined : parseYaml(part.text, file, part.line);
    if (value === null || value === undefined) continue;
    flatten(value, file, part.line + linesBeforeContent(part.text), objects);
  }
  return objects;
}

/** Splits at lines that start a new document, as Kubernetes' own reader does. `line` is the part's first line, from 1. */
export function splitDocuments(text: string): { readonly text: string; readonly line: number }[] {
  const parts: { text: string; line: number }[] = [];
  const separator = /^---(?=[ \t\r\n]|$)[ \t]*(?:#[^\n]*)?\r?$/gm;
  let start = 0;
  let line = 1;
  for (const match of text.matchAll(separator)) {
    const part = text.slice(start, match.index);
    parts.push({ text: part, line });
    line += countLines(part);
    start = match.index + match[0].length;
  }
  parts.push({ text: text.slice(start), line });
  return parts;
}

function countLines(text: string): number {
  let count = 0;
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) count++;
  return count;
}

/** Blank lines and comments before the first field. */
function linesBeforeContent(text: string): number {
  const content = /^[ \t]*[^#\s]/m.exec(text);
  return content ? countLines(text.slice(0, content.index)) : 0;
}

function isBlank(text: string): boolean {
  return !/^[^#\s]|^[ \t]+[^#\s]/m.test(text);
}

function flatten(value: unknown, file: string, line: number, into: ManifestObject[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new YamlError(file, line, 'a Kubernetes object (a mapping with apiVersion and kind) is expected here');
  }
  const fields = value as Readonly<Record<string, unknown>>;
  const { apiVersion, kind } = fields;
  if (typeof apiVersion !== 'string' || apiVersion === '') throw new YamlError(file, line, 'apiVersion is missing');
  if (typeof kind !== 'string' || kind === '') throw new YamlError(file, line, 'kind is missing');
  if (kind.endsWith('List') && Array.isArray(fields.items)) {
    for (const item of fields.items) {
      const itemFields = typeof item === 'object' && item !== null ? (item as Record<string, unknown>) : item;
      // Items of a typed list (PodList) may leave out what the list says already.
      const typed =
        kind !== 'List' && typeof itemFields === 'object' && !Array.isArray(itemFields)
          ? { apiVersion, kind: kind.slice(0, -'List'.length), ...itemFields }
          : itemFields;
      flatten(typed, file, line, into);
    }
    return;
  }
  const metadata = fields.metadata ?? {};
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) {
    throw new YamlError(file, line, `metadata of this ${kind} must be a mapping`);
  }
  into.push({ object: { ...fields, apiVersion, kind, metadata }, file, line });
}
