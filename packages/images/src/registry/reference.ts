import { ImagesError } from '../images-error.ts';

/** Where an image is in a registry. */
export interface RemoteImage {
  /** Host and port as users write it: `docker.io`, `localhost:5000`. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
}

/** Whether the first part of a name is a registry's, as docker tells it from a part of a path. */
export const namesRegistry = (name: string): boolean => {
  const [first = ''] = name.split('/', 1);
  return /[.:]/.test(first) || first === 'localhost';
};

/** Splits `REGISTRY/PATH/NAME:TAG`. Raises ImagesError for a name without a registry. */
export function remoteImage(reference: string): RemoteImage {
  const slash = reference.indexOf('/');
  const registry = reference.slice(0, slash);
  const colon = reference.lastIndexOf(':');
  if (slash < 0 || !namesRegistry(registry) || colon < slash)
    throw new ImagesError(`"${reference}" does not name a registry, a repository and a tag: REGISTRY/PATH/NAME:TAG`);
  return { registry, repository: reference.slice(slash + 1, colon), tag: reference.slice(colon + 1) };
}

/** Address of a registry's API. Docker Hub has another host than its name; a registry on this machine speaks HTTP. Raises ImagesError for what is no host. */
export function registryAddress(registry: string, plainHttp: boolean): string {
  const host = registry === 'docker.io' ? 'registry-1.docker.io' : registry;
  const local = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/.test(host);
  const address = `${plainHttp || local ? 'http' : 'https'}://${host}`;
  if (!URL.canParse(address)) throw new ImagesError(`"${registry}" is not the host of a registry`);
  return address;
}
