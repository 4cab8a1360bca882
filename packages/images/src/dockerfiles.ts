import type { Variant } from './references.ts';
import type { Layer, Start } from './oci/image.ts';

/** A Dockerfile with the files it adds. */
export interface DockerContext {
  readonly dockerfile: string;
  /** Layers by the names that the Dockerfile adds them under. */
  readonly layers: readonly { readonly file: string; readonly layer: Layer }[];
}

const quoted = (words: readonly string[]): string => JSON.stringify(words);

/**
 * A Dockerfile that gives the same image with an engine: from nothing, with the very layers of the archive and the same start. Its digests differ, since
 * engines write their own history and times; what is in the image does not.
 */
export function dockerContext(
  name: string,
  variant: Variant,
  architecture: string,
  layers: readonly Layer[],
  start: Start,
): DockerContext {
  const files = layers.map((layer, index) => ({
    file: `${String(index + 1).padStart(2, '0')}-${layer.title.toLowerCase().replace(/[^a-z0-9.]+/g, '-')}-${architecture}.tar.gz`,
    layer,
  }));
  const [user, group] = start.user.split(':');
  const lines = [
    `# ${name} (${variant}) for linux/${architecture}, written by npm run images -- dockerfiles.`,
    `# docker build --platform linux/${architecture} -f Dockerfile.${architecture} -t ${name} .`,
    'FROM scratch',
    ...files.flatMap(({ file, layer }) => [`# ${layer.title}`, `ADD ${file} /`]),
    ...Object.entries(start.env).map(([key, value]) => `ENV ${key}=${JSON.stringify(value)}`),
    ...Object.entries(start.labels).map(([key, value]) => `LABEL ${key}=${JSON.stringify(value)}`),
    `WORKDIR ${start.workingDir}`,
    `USER ${user}:${group}`,
    ...(start.entrypoint.length > 0 ? [`ENTRYPOINT ${quoted(start.entrypoint)}`] : []),
    ...(start.cmd.length > 0 ? [`CMD ${quoted(start.cmd)}`] : []),
  ];
  return { dockerfile: `${lines.join('\n')}\n`, layers: files };
}
