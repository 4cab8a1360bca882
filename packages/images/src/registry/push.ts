import { ImagesError } from '../images-error.ts';
import type { Descriptor, Digest } from '../oci/blob.ts';
import { type BuiltImage, buildIndex } from '../oci/image.ts';
import type { RegistryClient } from './client.ts';

/** What a push did. */
export interface Pushed {
  readonly repository: string;
  readonly tag: string;
  /** What the tag names now. */
  readonly digest: Digest;
  /** The manifest or index of that digest. */
  readonly descriptor: Descriptor;
  /** Bytes of layers that were sent; the others were in the registry. */
  readonly sent: number;
}

/**
 * Publishes an image for all its architectures under a tag, which changes last. `placed` remembers in which repository of the registry content is, so that
 * images share it. Raises RegistryError, and ImagesError when there is no image.
 */
export async function push(
  client: RegistryClient,
  repository: string,
  tag: string,
  images: readonly BuiltImage[],
  placed: Map<Digest, string>,
): Promise<Pushed> {
  let sent = 0;
  for (const image of images) {
    for (const blob of [...image.layers.map((layer) => layer.blob), image.config]) {
      const { digest, size } = blob.descriptor;
      const from = placed.get(digest);
      if (from === repository) continue;
      if ((await client.putBlob(repository, blob, from)) === 'sent') sent += size;
      placed.set(digest, repository);
    }
  }
  const pushed = (descriptor: Descriptor): Pushed => ({
    repository,
    tag,
    digest: descriptor.digest,
    descriptor,
    sent,
  });
  const [first, ...others] = images;
  if (first === undefined) throw new ImagesError(`there is nothing to push to ${repository}`);
  if (others.length === 0) {
    await client.putManifest(repository, tag, first.manifest);
    return pushed(first.manifest.descriptor);
  }
  for (const { manifest } of images) await client.putManifest(repository, manifest.descriptor.digest, manifest);
  const index = buildIndex(images);
  await client.putManifest(repository, tag, index);
  return pushed(index.descriptor);
}
