/** Which test files prove which fields: the calls of `proves` in their sources, and whether they look through a real Envoy. */

export interface SourceFile {
  /** From the root of the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Proof {
  readonly field: string;
  readonly file: string;
  readonly line: number;
}

/** A call of `proves` that cannot be read. */
export class UnreadableProof extends Error {}

const CALLS = {
  fields: /(?<![\w.'"`])proves\(([^)]*)\)/g,
  refusals: /(?<![\w.'"`])provesRefusal\(([^)]*)\)/g,
  annotations: /(?<![\w.'"`])provesAnnotations\(([^)]*)\)/g,
};

/** The calls of `proves` in a file, or of its sisters; raises UnreadableProof where an argument is no string literal. */
export function proofsIn({ path, text }: SourceFile, of: keyof typeof CALLS = 'fields'): readonly Proof[] {
  return [...text.matchAll(CALLS[of])].flatMap((call) => {
    const line = text.slice(0, call.index).split('\n').length;
    const inside = (call[1] ?? '').replace(/\/\/.*$/gm, '');
    const names = [...inside.matchAll(/'([^']*)'|"([^"]*)"/g)].map((literal) => literal[1] ?? literal[2] ?? '');
    if (inside.replace(/'[^']*'|"[^"]*"/g, '').replace(/[\s,]/g, '') !== '')
      throw new UnreadableProof(`${path}:${line}: proves() takes string literals only, as nobody runs it to read them`);
    return names.map((field) => ({ field, file: path, line }));
  });
}

/** Whether a file, or one that it imports by a relative path, starts the real Envoy. `read` gives undefined for what is not there. */
export function usesEnvoy(path: string, read: (path: string) => string | undefined): boolean {
  // End-to-end tests are clients on the local cluster.
  if (path.startsWith('e2e/')) return true;
  const seen = new Set<string>();
  const look = (file: string): boolean => {
    if (seen.has(file)) return false;
    seen.add(file);
    const text = read(file) ?? '';
    if (/\bfrom '@istio-ts\/(envoy\/testing\/binary|xds\/testing\/(offline-)?envoy)'/.test(text)) return true;
    const imports = [...text.matchAll(/\bfrom '(\.[^']*\.ts)'/g)].map((found) =>
      new URL(found[1] ?? '', `file:///${file}`).pathname.slice(1),
    );
    // Only what exists for tests starts processes.
    return imports.some((imported) => /testing|test-|\.test\.|support/.test(imported) && look(imported));
  };
  return look(path);
}
