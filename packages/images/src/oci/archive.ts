import { type Entry, directory, file } from '../tar/entry.ts';
import { type Blob, type Descriptor, MEDIA } from './blob.ts';
import { type BuiltImage, buildIndex } from './image.ts';

/** Images of one name for the platforms it has, in order of preference. */
export interface NamedImage {
  readonly references: readonly string[];
  readonly images: readonly BuiltImage[];
}

/** Everything a layout holds: content by digest, and what its index points to. */
export interface Layout {
  readonly blobs: ReadonlyMap<string, Blob>;
  readonly index: readonly Descriptor[];
  readonly manifest: readonly DockerManifest[];
}

/** A line of `manifest.json`, which docker and older tools read instead of the index. */
interface DockerManifest {
  readonly Config: string;
  readonly RepoTags: readonly string[];
  readonly Layers: readonly string[];
}

const pathOf = (digest: string): string => `blobs/${digest.replace(':', '/')}`;

/** The layout of images (OCI image specification, "Image Layout"); layers that images share are in it once. */
export function layoutOf(named: readonly NamedImage[]): Layout {
  const blobs = new Map<string, Blob>();
  const add = (blob: Blob): Blob => {
    blobs.set(blob.descriptor.digest, blob);
    return blob;
  };
  const index: Descriptor[] = [];
  const manifest: DockerManifest[] = [];
  for (const { references, images } of named) {
    for (const image of images)
      for (const blob of [image.config, image.manifest, ...image.layers.map((layer) => layer.blob)]) add(blob);
    const [first] = images;
    if (first === undefined) continue;
    const single = images.length === 1;
    const top = single ? first.manifest : add(buildIndex(images));
    for (const reference of references) {
      index.push({
        ...top.descriptor,
        ...(single && { platform: { architecture: first.architecture, os: 'linux' } }),
        annotations: {
          // containerd and docker read the first, podman and skopeo the second.
          'io.containerd.image.name': reference,
          'org.opencontainers.image.ref.name': reference,
        },
      });
    }
    manifest.push({
      Config: pathOf(first.config.descriptor.digest),
      RepoTags: references,
      Layers: first.layers.map(({ blob }) => pathOf(blob.descriptor.digest)),
    });
  }
  return { blobs, index, manifest };
}

/** The files of a layout, for an archive or a folder. */
export function layoutFiles(layout: Layout): Entry[] {
  return [
    file('oci-layout', JSON.stringify({ imageLayoutVersion: '1.0.0' })),
    file('index.json', JSON.stringify({ schemaVersion: 2, mediaType: MEDIA.index, manifests: layout.index })),
    file('manifest.json', JSON.stringify(layout.manifest)),
    directory('blobs'),
    directory('blobs/sha256'),
    ...[...layout.blobs.values()]
      .sort((a, b) => (a.descriptor.digest < b.descriptor.digest ? -1 : 1))
      .map(({ descriptor, data }) => file(pathOf(descriptor.digest), data)),
  ];
}
