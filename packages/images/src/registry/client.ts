import { type Blob, type Digest, MEDIA } from '../oci/blob.ts';
import type { Credentials } from './credentials.ts';
import { loginHint, registryLogin } from './login.ts';
import { discard, exchange, NETWORK, type Network, persistently, refusal, textOf } from './network.ts';
import { RegistryError } from './registry-error.ts';
import { reading, type Scope, writing } from './scope.ts';

/** Writes images into one registry (OCI distribution specification, "Push"). All of it raises RegistryError, and tries again what may only fail for a moment. */
export interface RegistryClient {
  /** Puts content into a repository unless it is there; takes it over from `from` when that repository of the registry has it. Gives how it came there. */
  putBlob(repository: string, blob: Blob, from: string | undefined): Promise<'there' | 'mounted' | 'sent'>;
  /**
   * Puts a manifest or an index into a repository, by its tag or its digest. Gives the digest of the manifest it belongs to where the registry says that it
   * keeps a list of those (`OCI-Subject`).
   */
  putManifest(repository: string, name: string, manifest: Blob): Promise<{ readonly subject: string | undefined }>;
  /** The manifest or index of a tag or digest, undefined when there is none. */
  manifest(repository: string, name: string): Promise<string | undefined>;
}

interface Request {
  readonly method: string;
  readonly url: string;
  /** What it needs a token for. */
  readonly scopes: readonly Scope[];
  /** What a refusal refuses. */
  readonly what: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

/** A client for the registry at `address` (with scheme). */
export function registryClient(
  address: string,
  credentials: Credentials | undefined,
  network: Network = NETWORK,
): RegistryClient {
  const registry = new URL(address);
  const login = registryLogin(address, credentials, network);
  /** Pairs of repositories between which the registry takes nothing over. */
  const unmountable = new Set<string>();

  const request = async ({ method, url, scopes, what, headers, body }: Request): Promise<Response> => {
    const attempt = (authorization: string | undefined): Promise<Response> =>
      exchange(network, `refuses ${what}`, url, {
        method,
        headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
        body,
      });
    // An upload may lead to another server, which has no business with the login: neither gets it nor may ask for it.
    const own = (place: string): boolean => new URL(place).origin === registry.origin;
    const answer = await attempt(own(url) ? await login.authorization(scopes) : undefined);
    if (answer.status !== 401 || !own(url) || !own(answer.url || url)) return answer;
    await discard(answer);
    return attempt(await login.renewed(answer.headers.get('www-authenticate') ?? '', scopes));
  };

  const refused = async (what: string, answer: Response): Promise<RegistryError> => {
    const { message, status } = await refusal(`refuses ${what}`, address, answer);
    const anonymous = status === 401 && credentials === undefined;
    return new RegistryError(anonymous ? `${message} (nobody is logged in: ${loginHint(registry)})` : message, status);
  };

  const blobs = (repository: string): string => `${address}/v2/${repository}/blobs/`;

  const has = async (repository: string, digest: Digest): Promise<boolean> => {
    const what = `to say whether ${repository} has ${digest}`;
    const url = blobs(repository) + digest;
    const answer = await request({ method: 'HEAD', url, scopes: [writing(repository)], what });
    if (answer.status !== 200 && answer.status !== 404) throw await refused(what, answer);
    await discard(answer);
    return answer.status === 200;
  };

  /** Whether the registry took content over from another of its repositories; otherwise it may have begun an upload. */
  const mount = async (repository: string, digest: Digest, from: string): Promise<Response | undefined> => {
    const pair = `${repository} ${from}`;
    if (unmountable.has(pair)) return undefined;
    try {
      const answer = await request({
        method: 'POST',
        url: `${blobs(repository)}uploads/?mount=${encodeURIComponent(digest)}&from=${encodeURIComponent(from)}`,
        scopes: [writing(repository), reading(from)],
        what: `${repository} content of ${from}`,
      });
      if (answer.status === 201 || answer.status === 202) return answer;
      await discard(answer);
    } catch (error) {
      // The token server's own refusal; for what passes, everything is tried again.
      if (!(error instanceof RegistryError) || ![401, 403].includes(error.status)) throw error;
    }
    unmountable.add(pair);
    return undefined;
  };

  return {
    putBlob: (repository, { descriptor: { digest }, data }, from) =>
      // An upload that broke off is begun again: what of it arrived is not known.
      persistently(network, async () => {
        if (await has(repository, digest)) return 'there';
        const scopes = [writing(repository)];
        const uploads = `${blobs(repository)}uploads/`;
        const what = `an upload to ${repository}`;
        const begun =
          (from === undefined ? undefined : await mount(repository, digest, from)) ??
          (await request({ method: 'POST', url: uploads, scopes, what }));
        if (begun.status === 201) {
          await discard(begun);
          return 'mounted';
        }
        if (begun.status !== 202) throw await refused(what, begun);
        await discard(begun);
        const sent = await request({
          method: 'PUT',
          url: uploadAddress(registry, begun.headers.get('location'), begun.url || uploads, digest),
          scopes,
          what: `a layer of ${repository}`,
          headers: { 'content-type': 'application/octet-stream' },
          body: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
        });
        if (sent.status !== 201) throw await refused(`a layer of ${repository}`, sent);
        await discard(sent);
        return 'sent';
      }),
    putManifest: (repository, name, { descriptor, data }) =>
      persistently(network, async () => {
        const what = `${repository}:${name}`;
        const answer = await request({
          method: 'PUT',
          url: `${address}/v2/${repository}/manifests/${name}`,
          scopes: [writing(repository)],
          what,
          headers: { 'content-type': descriptor.mediaType },
          body: data.toString('utf8'),
        });
        if (answer.status !== 201) throw await refused(what, answer);
        await discard(answer);
        const stored = answer.headers.get('docker-content-digest');
        if (stored !== null && stored !== descriptor.digest)
          throw new RegistryError(`${registry.host} stored ${what} as ${stored} instead of ${descriptor.digest}`, 201);
        return { subject: answer.headers.get('oci-subject') ?? undefined };
      }),
    manifest: (repository, name) =>
      persistently(network, async () => {
        const url = `${address}/v2/${repository}/manifests/${name}`;
        const what = `to give ${repository}:${name}`;
        const headers = { accept: `${MEDIA.index}, ${MEDIA.manifest}` };
        const answer = await request({ method: 'GET', url, scopes: [writing(repository)], what, headers });
        if (answer.status === 404) {
          await discard(answer);
          return undefined;
        }
        if (!answer.ok) throw await refused(what, answer);
        return textOf(url, answer);
      }),
  };
}

/** Where content goes, as the answer to the begin of an upload says it. Raises RegistryError when it says nothing, or would have it sent without TLS. */
function uploadAddress(registry: URL, location: string | null, asked: string, digest: Digest): string {
  if (location === null || !URL.canParse(location, asked))
    throw new RegistryError(
      `${registry.host} does not say where an upload goes${location === null ? '' : `: "${location}" is no address`}`,
      202,
    );
  const url = new URL(location, asked);
  if (registry.protocol === 'https:' && url.protocol !== 'https:') {
    // Registries behind a proxy that ends TLS often take themselves for plain ones.
    if (url.host !== registry.host)
      throw new RegistryError(`${registry.host} sends uploads to ${url.origin}, without TLS`, 202);
    url.protocol = 'https:';
  }
  url.hash = '';
  // The rest of the query is the registry's own and stays as it is, to the letter.
  url.search = `${url.search === '' ? '?' : `${url.search}&`}digest=${encodeURIComponent(digest)}`;
  return url.href;
}
