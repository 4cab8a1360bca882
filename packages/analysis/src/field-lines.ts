import { isMap, isSeq, LineCounter, type Node, parseDocument, type YAMLMap } from 'yaml';

/** Splits `spec.http[0].headers["x-user"]` into its keys and indices. */
export function pathSegments(path: string): readonly (string | number)[] {
  const segments: (string | number)[] = [];
  for (const [, quotedKey, index, key] of path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)) {
    if (quotedKey !== undefined) segments.push(JSON.parse(`"${quotedKey}"`) as string);
    else if (index !== undefined) segments.push(Number(index));
    else if (key !== undefined) segments.push(key);
  }
  return segments;
}

/**
 * Finds lines of fields in one YAML document. The document is read a second time with positions, but only when somebody asks: a file without
 * mistakes costs nothing.
 */
export class FieldLines {
  readonly #text: string;
  readonly #firstLine: number;
  #parsed: { readonly root: Node | null; readonly lines: LineCounter } | undefined;

  /** `firstLine` is the line of the file on which `text` starts, from 1. */
  constructor(text: string, firstLine: number) {
    this.#text = text;
    this.#firstLine = firstLine;
  }

  /** The line of a field of the object of this kind and name, in the document or in the list that the document is. `fallback` when it is not found. */
  lineOf(kind: string, name: string, path: string, fallback: number): number {
    this.#parsed ??= parse(this.#text);
    const { root, lines } = this.#parsed;
    const object = root && findObject(root, kind, name);
    if (!object) return fallback;
    let node: Node = object;
    let offset: number | undefined;
    for (const segment of pathSegments(path)) {
      const next = step(node, segment);
      if (!next) break;
      offset = next.offset ?? offset;
      if (!next.value) break;
      node = next.value;
    }
    return offset === undefined ? fallback : this.#firstLine + lines.linePos(offset).line - 1;
  }
}

function parse(text: string): { readonly root: Node | null; readonly lines: LineCounter } {
  const lines = new LineCounter();
  // Mistakes are reported by the reader that Kubernetes' rules are written for; here only positions count.
  const document = parseDocument(text, { lineCounter: lines, strict: false, uniqueKeys: false, logLevel: 'silent' });
  return { root: document.contents, lines };
}

interface Step {
  readonly offset: number | undefined;
  readonly value: Node | null;
}

function step(node: Node, segment: string | number): Step | undefined {
  if (isMap(node)) {
    const pair = node.items.find((item) => scalar(item.key) === String(segment));
    return pair && { offset: startOf(pair.key), value: (pair.value as Node | null) ?? null };
  }
  if (isSeq(node) && typeof segment === 'number') {
    const item = node.items[segment] as Node | undefined;
    return item && { offset: startOf(item), value: item };
  }
  return undefined;
}

const startOf = (node: unknown): number | undefined => (node as Node | null)?.range?.[0];

const scalar = (node: unknown): string | undefined => {
  const value = (node as { readonly value?: unknown } | null)?.value;
  return value === undefined || value === null ? undefined : String(value);
};

function findObject(node: Node, kind: string, name: string): YAMLMap | undefined {
  if (!isMap(node)) return undefined;
  const items = node.get('items');
  if (isSeq(items)) {
    for (const item of items.items) {
      const found = findObject(item as Node, kind, name);
      if (found) return found;
    }
  }
  const metadata = node.get('metadata');
  const own = isMap(metadata) ? String(metadata.get('name') ?? metadata.get('generateName') ?? '') : '';
  // Items of a typed list (PodList) may leave their kind out.
  return String(node.get('kind') ?? kind) === kind && own === name ? node : undefined;
}
