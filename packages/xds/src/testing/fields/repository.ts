import { existsSync, globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadAll } from 'js-yaml';
import type { AnnotationEvidence } from './annotations.ts';
import { proofsIn, type SourceFile, usesEnvoy } from './proofs.ts';
import type { Evidence } from './table.ts';
import { networkingKinds, telemetryKinds } from './tree.ts';

/** Where proofs stand: tests beside the code and all of the end-to-end tests. */
const testSources = ['packages/*/src/**/*.test.ts', 'packages/xds/src/**/*.cases.ts', 'e2e/**/*.ts'];
/** What reads these APIs. */
const productSources = 'packages/{mesh,xds,istiod,agent,injector}/src/**/*.ts';

/** What reads annotations: programs and injection templates. The list of all of them, and what looks for wrong ones, give them no effect. */
const annotationReaders = [
  'packages/{mesh,xds,istiod,agent,injector,cni,istioctl}/src/**/*.ts',
  'packages/analysis/src/suppression.ts',
  'packages/charts/manifests/istiod/files/*.yaml',
];
/** The agent reads those about statistics by what follows the slash. */
const ownPart = (name: string): string => name.split('/').at(-1) ?? name;

/** Names of the fields that a value sets; `[]` after lists. Maps and messages look alike here, so entries of maps are named both ways. */
function fieldNames(value: unknown, name: string): readonly string[] {
  if (Array.isArray(value)) return value.flatMap((item) => fieldNames(item, `${name}[]`));
  if (typeof value !== 'object' || value === null) return [name];
  return Object.entries(value).flatMap(([field, inside]) => [
    ...fieldNames(inside, `${name}.${field}`),
    ...fieldNames(inside, `${name}[]`),
  ]);
}

function goldenFields(text: string): readonly string[] {
  return loadAll(text).flatMap((document) => {
    const { kind, spec } = (document ?? {}) as { readonly kind?: string; readonly spec?: unknown };
    if (kind === 'MeshConfig') return fieldNames(spec, kind);
    return [...networkingKinds, ...telemetryKinds].some((known) => known === kind)
      ? fieldNames(spec, `${kind}.spec`)
      : [];
  });
}

/** All that the tests and the sources of this repository say about fields. */
export function evidenceOf(root: string): Evidence & AnnotationEvidence {
  const files = (pattern: string | string[]) =>
    globSync(pattern, { cwd: root })
      .filter((path) => !path.includes('node_modules'))
      .sort();
  const read = (path: string): string | undefined =>
    existsSync(join(root, path)) ? readFileSync(join(root, path), 'utf8') : undefined;
  const sources = (pattern: string | string[]): SourceFile[] =>
    files(pattern).map((path) => ({ path, text: read(path) ?? '' }));
  const words = new Set(
    sources(productSources)
      .filter(({ path }) => !/\.test\.ts$|\/testing\//.test(path))
      .flatMap(({ text }) => text.match(/\b[A-Za-z][A-Za-z0-9]*\b/g) ?? []),
  );
  // Tests of this very table name fields as examples.
  const tests = sources(testSources).filter(({ path }) => !path.includes('/testing/fields/'));
  const readers = sources(annotationReaders).filter(({ path }) => !/\.test\.ts$|\/testing\/|test-support/.test(path));
  return {
    proofs: tests.flatMap((source) => proofsIn(source)),
    refusals: tests.flatMap((source) => proofsIn(source, 'refusals')),
    annotationProofs: tests.flatMap((source) => proofsIn(source, 'annotations')),
    throughEnvoy: (file) => usesEnvoy(file, read),
    inGoldens: new Set(sources('packages/xds/src/**/*.in.yaml').flatMap(({ text }) => goldenFields(text))),
    isRead: (name) => words.has(name),
    readsAnnotation: (name) =>
      readers.some(({ text }) => text.includes(name.includes('/stats') ? ownPart(name) : name)),
  };
}
