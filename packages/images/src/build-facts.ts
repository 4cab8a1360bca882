import type { BuildFacts } from './documents/provenance.ts';
import type { MadeImage } from './make.ts';
import type { Selection } from './selection.ts';
import type { Surroundings } from './surroundings.ts';

/** How images were built. It is about these only: which others the same command line asks for makes no difference. */
export const factsOf = (
  made: readonly MadeImage[],
  { hub, tag }: Pick<Selection, 'hub' | 'tag'>,
  { revision, modified }: Pick<Surroundings, 'revision' | 'modified'>,
): BuildFacts => ({
  revision,
  modified,
  parameters: {
    hub,
    tag,
    architectures: unique(made.flatMap(({ images }) => images.map(({ architecture }) => architecture))),
    variants: unique(made.map(({ variant }) => variant)),
    images: unique(made.map(({ publication }) => publication.name)),
  },
  node: process.version,
});

const unique = (values: readonly string[]): string[] => [...new Set(values)];

/** What images say their sources are: the commit, `-dirty` behind it where the sources differed from it; '' when unknown. */
export const revisionOf = ({ revision, modified }: Pick<Surroundings, 'revision' | 'modified'>): string =>
  revision !== '' && modified ? `${revision}-dirty` : revision;
