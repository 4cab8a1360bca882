import { parseManifestDocuments, splitDocuments } from '@istio-ts/kube/manifests';
import type { KubeObject } from '@istio-ts/kube/object';
import { YamlError } from '@istio-ts/kube/yaml';
import type { FileSource } from './config-object.ts';
import { FieldLines } from './field-lines.ts';

/** An object of a file and where it stands. */
export interface FileObject {
  readonly object: KubeObject;
  readonly source: FileSource;
}

/** A document that is not a Kubernetes object. */
export interface ParseProblem {
  readonly file: string;
  readonly line: number;
  /** From 1, where it is known. */
  readonly column?: number;
  readonly reason: string;
}

/** Reads the objects of a manifest, YAML or JSON. A document that cannot be read is reported and does not keep the others from being read. */
export function readManifestText(
  text: string,
  file: string,
): { readonly objects: readonly FileObject[]; readonly problems: readonly ParseProblem[] } {
  const objects: FileObject[] = [];
  const problems: ParseProblem[] = [];
  for (const part of splitDocuments(text)) {
    const shift = part.line - 1;
    try {
      const fields = new FieldLines(part.text, part.line);
      for (const { object, line } of parseManifestDocuments(part.text, file)) {
        const { name = object.metadata.generateName ?? '' } = object.metadata;
        const start = line + shift;
        const source = { file, line: start, lineOf: (path: string) => fields.lineOf(object.kind, name, path, start) };
        objects.push({ object, source });
      }
    } catch (error) {
      if (!(error instanceof YamlError)) throw error;
      const { column, reason } = error;
      problems.push({ file, line: error.line + shift, reason, ...(column !== undefined && { column }) });
    }
  }
  return { objects, problems };
}
