import { join } from 'node:path';
import { type BuildFacts, provenance } from './documents/provenance.ts';
import { type DescribedContent, spdxDocument } from './documents/spdx.ts';
import type { MadeImage } from './make.ts';
import { layoutFiles, layoutOf } from './oci/archive.ts';
import { suffixOf } from './selection.ts';
import { tarPieces } from './tar/write-tar.ts';
import { writeWhole } from './whole-file.ts';

/** An archive that was written. */
export interface WrittenArchive {
  readonly file: string;
  /** Bytes. */
  readonly size: number;
  readonly platforms: readonly string[];
  readonly references: readonly string[];
}

/** Where and how archives are written. */
export interface ArchiveOptions {
  readonly out: string;
  /** Also an archive for each architecture alone. */
  readonly split: boolean;
  readonly seconds: number;
  /** How the images of an archive were built. */
  readonly facts: (made: readonly MadeImage[]) => BuildFacts;
}

/**
 * Writes each image of the mesh to an archive of its own, the samples and the addons to one for each group, and beside each archive its bill of materials
 * (`.spdx.json`) and its provenance (`.intoto.json`). Archives for one architecture have it in their name.
 */
export function writeArchives(made: readonly MadeImage[], options: ArchiveOptions): WrittenArchive[] {
  const groups = Map.groupBy(made, ({ publication, variant }) =>
    publication.group === 'mesh' ? publication.name + suffixOf(variant) : publication.group,
  );
  const written: WrittenArchive[] = [];
  for (const [name, images] of groups) {
    const architectures = images[0]?.images.map(({ architecture }) => architecture) ?? [];
    if (architectures.length > 1) written.push(writeArchive(name, images, options));
    if (architectures.length === 1 || options.split)
      for (const architecture of architectures)
        written.push(
          writeArchive(
            `${name}-linux-${architecture}`,
            images.map((image) => only(image, architecture)),
            options,
          ),
        );
  }
  return written;
}

/** What the documents about an image say it is: once for each of its names. */
export const describedContents = ({ references, digest, images }: MadeImage): DescribedContent[] =>
  references.map((reference) => ({ reference, digest, components: images.flatMap(({ components }) => components) }));

function only(made: MadeImage, architecture: string): MadeImage {
  const images = made.images.filter((image) => image.architecture === architecture);
  return { ...made, images, digest: images[0]?.manifest.descriptor.digest ?? made.digest };
}

function writeArchive(
  name: string,
  made: readonly MadeImage[],
  { out, seconds, facts }: ArchiveOptions,
): WrittenArchive {
  const path = join(out, `${name}.tar`);
  const size = writeWhole(path, tarPieces(layoutFiles(layoutOf(made)), seconds));
  const contents = made.flatMap(describedContents);
  writeWhole(join(out, `${name}.spdx.json`), [spdxDocument(name, contents, seconds)]);
  writeWhole(join(out, `${name}.intoto.json`), [provenance(contents, facts(made))]);
  return {
    file: path,
    size,
    platforms: made[0]?.images.map(({ architecture }) => `linux/${architecture}`) ?? [],
    references: made.flatMap(({ references }) => references),
  };
}
