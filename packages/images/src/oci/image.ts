import { type Blob, type Digest, jsonBlob, MEDIA } from './blob.ts';

/** A layer as it is stored and as it is when unpacked. */
export interface Layer {
  readonly blob: Blob;
  /** Digest of the tar archive before compression. */
  readonly diffId: Digest;
  /** Bytes before compression. */
  readonly unpacked: number;
  /** What it holds, for the image's history. */
  readonly title: string;
}

/** How a container of the image starts. */
export interface Start {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** `UID:GID`. */
  readonly user: string;
  readonly workingDir: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** An image for one architecture. */
export interface BuiltImage {
  readonly architecture: string;
  readonly config: Blob;
  readonly manifest: Blob;
  readonly layers: readonly Layer[];
}

/** Puts layers and start together (OCI image specification, "Image Configuration" and "Image Manifest"). `seconds` is the time of creation. */
export function buildImage(architecture: string, layers: readonly Layer[], start: Start, seconds: number): BuiltImage {
  const created = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  const config = jsonBlob(MEDIA.config, {
    created,
    architecture,
    os: 'linux',
    config: {
      User: start.user,
      Env: Object.entries(start.env).map(([name, value]) => `${name}=${value}`),
      ...(start.entrypoint.length > 0 && { Entrypoint: start.entrypoint }),
      ...(start.cmd.length > 0 && { Cmd: start.cmd }),
      WorkingDir: start.workingDir,
      Labels: start.labels,
    },
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history: layers.map(({ title }) => ({ created, created_by: title })),
  });
  const manifest = jsonBlob(MEDIA.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA.manifest,
    config: config.descriptor,
    layers: layers.map(({ blob }) => blob.descriptor),
    annotations: { ...start.labels },
  });
  return { architecture, config, manifest, layers };
}

/** One image for several architectures (OCI image specification, "Image Index"). */
export const buildIndex = (images: readonly BuiltImage[]): Blob =>
  jsonBlob(MEDIA.index, {
    schemaVersion: 2,
    mediaType: MEDIA.index,
    manifests: images.map(({ manifest, architecture }) => ({
      ...manifest.descriptor,
      platform: { architecture, os: 'linux' },
    })),
  });
