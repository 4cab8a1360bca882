import { type Blob, type Descriptor, type Digest, jsonBlob, MEDIA } from '../oci/blob.ts';
import type { RegistryClient } from './client.ts';
import { RegistryError } from './registry-error.ts';

/** A document about an image, as a registry keeps it beside the image. */
export interface AttachedDocument {
  /** Name of the file it is fetched as. */
  readonly title: string;
  /** The document; its media type says what kind of document it is. */
  readonly content: Blob;
}

/** What stands for "no configuration" (OCI image specification, "Guidance for an Empty Descriptor"). */
const EMPTY = jsonBlob('application/vnd.oci.empty.v1+json', {});

/** What an index says of a manifest that belongs to another one. */
interface Referrer extends Descriptor {
  readonly artifactType: string;
}

interface ReferrersIndex {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
}

/** The tag under which registries without the referrers API keep what belongs to a manifest (OCI distribution specification, "Referrers Tag Schema"). */
export const referrersTag = (digest: Digest): string => digest.replace(':', '-');

/**
 * Attaches documents to a published image, so that who has the image finds them: each as a manifest whose subject is the image, listed by the registry itself
 * or, where it does not say that it does, in an index under {@link referrersTag}. Doing it twice changes nothing. Raises RegistryError.
 */
export async function attach(
  client: RegistryClient,
  repository: string,
  subject: Descriptor,
  documents: readonly AttachedDocument[],
): Promise<void> {
  const unlisted: Referrer[] = [];
  for (const { title, content } of documents) {
    const artifactType = content.descriptor.mediaType;
    const manifest = jsonBlob(MEDIA.manifest, {
      schemaVersion: 2,
      mediaType: MEDIA.manifest,
      artifactType,
      config: EMPTY.descriptor,
      layers: [{ ...content.descriptor, annotations: { 'org.opencontainers.image.title': title } }],
      subject: { mediaType: subject.mediaType, digest: subject.digest, size: subject.size },
    });
    for (const blob of [EMPTY, content]) await client.putBlob(repository, blob, undefined);
    const { subject: listed } = await client.putManifest(repository, manifest.descriptor.digest, manifest);
    if (listed !== subject.digest) unlisted.push({ ...manifest.descriptor, artifactType });
  }
  if (unlisted.length === 0) return;
  const tag = referrersTag(subject.digest);
  const known = await listedBefore(client, repository, tag);
  const added = unlisted.filter(({ digest }) => !known.some((other) => other.digest === digest));
  if (added.length === 0) return;
  const index: ReferrersIndex = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [...known, ...added] };
  await client.putManifest(repository, tag, jsonBlob(MEDIA.index, index));
}

async function listedBefore(client: RegistryClient, repository: string, tag: string): Promise<readonly Descriptor[]> {
  const text = await client.manifest(repository, tag);
  if (text === undefined) return [];
  const listed = manifestsOf(text);
  // What cannot be read is not replaced: it may list what others have attached.
  if (listed === undefined)
    throw new RegistryError(`${repository}:${tag} is not an index of what belongs to an image`, 200);
  return listed;
}

function manifestsOf(text: string): readonly Descriptor[] | undefined {
  let index: unknown;
  try {
    index = JSON.parse(text);
  } catch {
    return undefined;
  }
  const manifests: unknown = (index as Partial<ReferrersIndex> | null)?.manifests;
  const right = Array.isArray(manifests) && manifests.every((each) => typeof each?.digest === 'string');
  return right ? (manifests as Descriptor[]) : undefined;
}
