import { type KnownAnnotation, knownAnnotations } from '@istio-ts/api';
import type { Proof } from './proofs.ts';

/** What the page about annotations is made of. */
export interface AnnotationEvidence {
  readonly annotationProofs: readonly Proof[];
  /** Whether the tests of a file are a client's view through a real Envoy. */
  readonly throughEnvoy: (file: string) => boolean;
  /** Whether the sources of the product mention the annotation. */
  readonly readsAnnotation: (name: string) => boolean;
}

type State = 'client through Envoy' | 'test' | 'no test names it' | 'not built';

/** The calls of `provesAnnotations` that name what is no annotation of Istio. */
export function unknownAnnotations(proofs: readonly Proof[]): readonly string[] {
  const known = new Set(knownAnnotations.map(({ name }) => name));
  return proofs.flatMap(({ field, file, line }) =>
    known.has(field) ? [] : [`${file}:${line}: there is no annotation ${field}`],
  );
}

function row(annotation: KnownAnnotation, evidence: AnnotationEvidence): string {
  const { name, on, what, deprecated } = annotation;
  const files = [
    ...new Set(evidence.annotationProofs.filter(({ field }) => field === name).map(({ file }) => file)),
  ].sort();
  const clients = files.filter(evidence.throughEnvoy);
  const state: State =
    clients.length > 0
      ? 'client through Envoy'
      : files.length > 0
        ? 'test'
        : evidence.readsAnnotation(name)
          ? 'no test names it'
          : 'not built';
  const links = (clients.length > 0 ? clients : files).map((file) => `[${file.split('/').at(-1)}](../${file})`);
  return `| \`${name}\`${deprecated ? ' (deprecated)' : ''} | ${on.join(', ')} | ${what} | ${links.join(', ')} | ${state} |`;
}

/** The page `docs/annotations.md`. */
export function annotationTable(evidence: AnnotationEvidence): string {
  const of = (isPods: boolean) =>
    knownAnnotations.filter(({ on }) => on.includes('Pod') === isPods).map((annotation) => row(annotation, evidence));
  const head = ['| annotation | on | what it does | proven by | state |', '|---|---|---|---|---|'];
  return `${[
    '# Annotations and their proofs',
    '',
    'Written by `npm run docs` out of `packages/api/src/annotations.ts` and of the calls of `provesAnnotations` in the tests.',
    '',
    '- **client through Envoy**: a test observes the effect on a real Envoy, with the agent or on the local cluster.',
    '- **test**: a test observes it elsewhere, such as in the pod that injection makes.',
    '- **no test names it**: the product reads it; no test claims its effect.',
    '- **not built**: nothing reads it.',
    '',
    '## Of pods',
    '',
    ...head,
    ...of(true),
    '',
    '## Of other objects',
    '',
    ...head,
    ...of(false),
  ].join('\n')}\n`;
}
