import type { Variant } from './references.ts';
import type { Layer, Start } from './oci/image.ts';

/** A Dockerfile with the files it adds. */
export interface DockerContext {
  readonly dockerfile: string;
  /** Layers by the names that the Dockerfile adds them under. */
  readonly layers: readonly { readonly file: string; readonly layer: Layer }[];
}

const quoted = (words: readonly string[]): string => JSON.stringify(words);

/** A value in double quotes, in which Dockerfiles replace variables. */
const literal = (value: string): string => JSON.stringify(value).replaceAll('$', '\\$');

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
  const files = layers.map((layer, index) => ({ file: layerFile(index, layer, architecture), layer }));
  const lines = [
    `# ${name} (${variant}) for linux/${architecture}, written by npm run images -- dockerfiles.`,
    `# docker build --platform linux/${architecture} -f Dockerfile.${architecture} -t ${name} .`,
    'FROM scratch',
    ...instructions(files, start),
  ];
  return { dockerfile: `${lines.join('\n')}\n`, layers: files };
}

/**
 * A Dockerfile for all architectures at once, beside those for one: engines that build for several platforms say in `TARGETARCH` which one it is. Undefined when
 * the images differ in more than what their layers are compiled for.
 */
export function platformsDockerfile(
  name: string,
  variant: Variant,
  images: readonly { readonly architecture: string; readonly layers: readonly Layer[]; readonly start: Start }[],
): string | undefined {
  const forms = images.map(({ layers, start }) =>
    instructions(
      layers.map((layer, index) => ({ file: layerFile(index, layer, '$TARGETARCH'), layer })),
      start,
    ),
  );
  const [first] = forms;
  if (first === undefined || forms.some((form) => form.join('\n') !== first.join('\n'))) return undefined;
  const platforms = images.map(({ architecture }) => `linux/${architecture}`).join(',');
  const lines = [
    `# ${name} (${variant}) for ${platforms}, written by npm run images -- dockerfiles.`,
    `# docker buildx build --platform ${platforms} -t ${name} .`,
    `# buildah build --platform ${platforms} --manifest ${name} .`,
    'FROM scratch',
    'ARG TARGETARCH',
    ...first,
  ];
  return `${lines.join('\n')}\n`;
}

const layerFile = (index: number, { title }: Layer, architecture: string): string =>
  `${String(index + 1).padStart(2, '0')}-${title.toLowerCase().replace(/[^a-z0-9.]+/g, '-')}-${architecture}.tar.gz`;

function instructions(files: DockerContext['layers'], start: Start): string[] {
  const [user, group] = start.user.split(':');
  return [
    ...files.flatMap(({ file, layer }) => [`# ${layer.title}`, `ADD ${file} /`]),
    ...Object.entries(start.env).map(([key, value]) => `ENV ${key}=${literal(value)}`),
    ...Object.entries(start.labels).map(([key, value]) => `LABEL ${key}=${literal(value)}`),
    `WORKDIR ${start.workingDir}`,
    `USER ${user}:${group}`,
    ...(start.entrypoint.length > 0 ? [`ENTRYPOINT ${quoted(start.entrypoint)}`] : []),
    ...(start.cmd.length > 0 ? [`CMD ${quoted(start.cmd)}`] : []),
  ];
}
