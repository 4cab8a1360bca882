import { createHash } from 'node:crypto';

/** How content is called by its hash: `sha256:…`. */
export type Digest = `sha256:${string}`;

/** What points to content (OCI image specification, "Content Descriptors"). */
export interface Descriptor {
  readonly mediaType: string;
  readonly digest: Digest;
  readonly size: number;
  readonly platform?: Platform;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Platform {
  readonly architecture: string;
  readonly os: 'linux';
}

export const MEDIA = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const;

export const digestOf = (data: Buffer): Digest => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** Content with its descriptor. */
export interface Blob {
  readonly descriptor: Descriptor;
  readonly data: Buffer;
}

export const blob = (mediaType: string, data: Buffer): Blob => ({
  descriptor: { mediaType, digest: digestOf(data), size: data.length },
  data,
});

export const jsonBlob = (mediaType: string, value: unknown): Blob =>
  blob(mediaType, Buffer.from(JSON.stringify(value)));
