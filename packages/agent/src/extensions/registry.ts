import { createHash } from 'node:crypto';
import type { Fetched } from '@istio-ts/security/fetch/fetch';
import type { Ask } from './fetch.ts';
import { MAX_MODULE_BYTES, ModuleError } from './module-bytes.ts';

const succeeded = ({ status }: Fetched): boolean => status >= 200 && status < 300;

/** Image manifests are small; a larger one is none. */
const MAX_MANIFEST_BYTES = 4 << 20;
const MANIFESTS = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
].join(', ');

/** An image of a registry. */
export interface ImageReference {
  readonly host: string;
  readonly repository: string;
  /** A tag or `sha256:…`. */
  readonly reference: string;
}

/** Reads `[oci://]HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`; without a host Docker's registry is meant. Raises ModuleError. */
export function parseImage(url: string): ImageReference {
  const text = url.replace(/^oci:\/\//, '');
  const [name = '', digest] = text.split('@');
  const slash = name.indexOf('/');
  const first = slash < 0 ? '' : name.slice(0, slash);
  const hasHost = first.includes('.') || first.includes(':') || first === 'localhost';
  const path = hasHost ? name.slice(slash + 1) : name;
  const colon = path.lastIndexOf(':');
  const repository = colon > path.lastIndexOf('/') ? path.slice(0, colon) : path;
  const tag = colon > path.lastIndexOf('/') ? path.slice(colon + 1) : 'latest';
  if (!/^[a-z0-9._/-]+$/.test(repository) || !/^[\w.-]{1,128}$/.test(tag))
    throw new ModuleError(`"${url}" is no reference to an image`);
  if (digest !== undefined && !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new ModuleError(`"${url}" has a digest that is none`);
  const docker = !hasHost || first === 'docker.io';
  return {
    host: docker ? 'registry-1.docker.io' : first,
    repository: docker && !repository.includes('/') ? `library/${repository}` : repository,
    reference: digest ?? tag,
  };
}

interface Auth {
  readonly auth?: string;
  readonly username?: string;
  readonly password?: string;
}

/** Credentials for a host as `Authorization: Basic`, out of Docker's configuration; undefined for none. Raises ModuleError. */
export function basicCredentials(dockerConfig: string, host: string): string | undefined {
  if (dockerConfig === '') return undefined;
  let auths: Readonly<Record<string, Auth>>;
  try {
    auths = (JSON.parse(dockerConfig) as { readonly auths?: Readonly<Record<string, Auth>> }).auths ?? {};
  } catch {
    throw new ModuleError('the pull secret is not JSON');
  }
  const names = host === 'registry-1.docker.io' ? ['docker.io', 'index.docker.io', host] : [host];
  const found = Object.entries(auths).find(([name]) =>
    names.includes(name.replace(/^https?:\/\//, '').replace(/\/.*$/, '')),
  )?.[1];
  if (found === undefined) return undefined;
  return found.auth || Buffer.from(`${found.username ?? ''}:${found.password ?? ''}`).toString('base64');
}

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Something by HTTP. Raises ModuleError for any answer but success, and for another checksum than the one given. */
export async function download(url: string, checksum: string, ask: Ask): Promise<Buffer> {
  const response = await ask(url, {});
  if (!succeeded(response)) throw new ModuleError(`${url} answers with status ${response.status}`);
  const bytes = await response.body(MAX_MODULE_BYTES);
  if (checksum !== '' && sha256(bytes) !== checksum)
    throw new ModuleError(`what ${url} gives has the checksum ${sha256(bytes)} instead of ${checksum}`);
  return bytes;
}

interface Descriptor {
  readonly mediaType?: string;
  readonly digest?: string;
  readonly size?: number;
}
interface Manifest {
  readonly manifests?: readonly Descriptor[];
  readonly layers?: readonly Descriptor[];
}

interface RegistryOptions {
  /** Whether a registry is spoken to without TLS. */
  readonly insecure: (host: string) => boolean;
  readonly ask: Ask;
}

/** One repository of a registry (OCI distribution specification), with whatever it wants to know of who asks. */
class Repository {
  readonly #base: string;
  readonly #image: ImageReference;
  readonly #basic: string | undefined;
  readonly #ask: Ask;
  #authorization: string | undefined;

  constructor(image: ImageReference, dockerConfig: string, { insecure, ask }: RegistryOptions) {
    this.#ask = ask;
    this.#image = image;
    this.#base = `${insecure(image.host) ? 'http' : 'https'}://${image.host}/v2/${image.repository}`;
    this.#basic = basicCredentials(dockerConfig, image.host);
  }

  async get(path: string, accept: string, limit: number): Promise<Buffer> {
    const url = `${this.#base}/${path}`;
    const ask = (): Promise<Fetched> =>
      this.#ask(url, { accept, ...(this.#authorization !== undefined && { authorization: this.#authorization }) });
    let response = await ask();
    if (response.status === 401 && this.#authorization === undefined) {
      response.discard();
      this.#authorization = await this.#authorize(response.header('www-authenticate'));
      response = await ask();
    }
    if (!succeeded(response)) throw new ModuleError(`${url} answers with status ${response.status}`);
    return response.body(limit);
  }

  async #authorize(challenge: string): Promise<string> {
    const basic = this.#basic === undefined ? undefined : `Basic ${this.#basic}`;
    if (/^basic/i.test(challenge)) {
      if (basic === undefined) throw new ModuleError(`${this.#image.host} wants credentials: name an imagePullSecret`);
      return basic;
    }
    const part = (name: string): string => new RegExp(`${name}="([^"]*)"`, 'i').exec(challenge)?.[1] ?? '';
    const realm = part('realm');
    if (!/^https?:\/\//.test(realm)) throw new ModuleError(`${this.#image.host} refuses without saying how to sign in`);
    const url = new URL(realm);
    if (part('service') !== '') url.searchParams.set('service', part('service'));
    url.searchParams.set('scope', part('scope') || `repository:${this.#image.repository}:pull`);
    const response = await this.#ask(url.href, basic === undefined ? {} : { authorization: basic });
    if (!succeeded(response)) throw new ModuleError(`${url.origin} gives no token: status ${response.status}`);
    const answer = JSON.parse((await response.body(MAX_MANIFEST_BYTES)).toString()) as {
      readonly token?: string;
      readonly access_token?: string;
    };
    return `Bearer ${answer.token ?? answer.access_token ?? ''}`;
  }
}

const WASM_LAYER = 'application/vnd.module.wasm.content.layer.v1+wasm';

/** The layer of an image that holds the module. `checksum` is that of the image. Raises ModuleError. */
export async function pullImage(
  url: string,
  options: RegistryOptions & { readonly checksum: string; readonly dockerConfig: string },
): Promise<Buffer> {
  const image = parseImage(url);
  const repository = new Repository(image, options.dockerConfig, options);
  const readManifest = async (reference: string): Promise<Manifest> => {
    const bytes = await repository.get(`manifests/${reference}`, MANIFESTS, MAX_MANIFEST_BYTES);
    if (reference.startsWith('sha256:') && `sha256:${sha256(bytes)}` !== reference)
      throw new ModuleError(`the manifest ${reference} of ${url} has another digest`);
    if (reference === image.reference && options.checksum !== '' && sha256(bytes) !== options.checksum)
      throw new ModuleError(`the image ${url} has the digest ${sha256(bytes)} instead of ${options.checksum}`);
    try {
      return JSON.parse(bytes.toString()) as Manifest;
    } catch {
      throw new ModuleError(`the manifest ${reference} of ${url} is not JSON`);
    }
  };
  let manifest = await readManifest(image.reference);
  const [first] = manifest.manifests ?? [];
  if (first?.digest !== undefined) manifest = await readManifest(first.digest);
  const layers = manifest.layers ?? [];
  const layer = layers.find(({ mediaType }) => mediaType === WASM_LAYER) ?? layers.at(-1);
  if (layer?.digest === undefined) throw new ModuleError(`the image ${url} has no layers`);
  if ((layer.size ?? 0) > MAX_MODULE_BYTES) throw new ModuleError(`the module of ${url} has ${layer.size} bytes`);
  const bytes = await repository.get(`blobs/${layer.digest}`, '*/*', MAX_MODULE_BYTES);
  if (`sha256:${sha256(bytes)}` !== layer.digest)
    throw new ModuleError(`the layer ${layer.digest} of ${url} is damaged`);
  return bytes;
}
