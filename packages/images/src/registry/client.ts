import { type Blob, type Digest, MEDIA } from '../oci/blob.ts';
import type { Credentials } from './credentials.ts';

/** A registry refused something; says what, and with which answer. */
export class RegistryError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.name = 'RegistryError';
    this.status = status;
  }
}

/** Writes images into one registry (OCI distribution specification, "Push"). */
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

/** A client for the registry at `address` (with scheme). Raises {@link RegistryError} for refusals. */
export function registryClient(
  address: string,
  credentials: Credentials | undefined,
  send: typeof fetch = fetch,
): RegistryClient {
  /** Header values by repository: tokens count for one of them. */
  const authorizations = new Map<string, string>();
  const basic =
    credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64')}`;

  const authorize = async (challenge: string, scope: string): Promise<string> => {
    if (/^basic/i.test(challenge)) {
      if (basic === undefined)
        throw new RegistryError(`${address} asks for a login: docker login ${host(address)}`, 401);
      return basic;
    }
    const field = (name: string): string => new RegExp(`${name}="([^"]*)"`, 'i').exec(challenge)?.[1] ?? '';
    const realm = field('realm');
    if (!/^bearer/i.test(challenge) || realm === '')
      throw new RegistryError(
        `${address} asks for a kind of login this program does not have: ${challenge.split(' ', 1)[0]}`,
        401,
      );
    const url = new URL(realm);
    if (field('service') !== '') url.searchParams.set('service', field('service'));
    url.searchParams.set('scope', scope);
    const answer = await send(url, { headers: basic === undefined ? {} : { authorization: basic } });
    if (!answer.ok)
      throw new RegistryError(
        `${url.host} gives no token for ${scope}: ${answer.status} ${answer.statusText}`,
        answer.status,
      );
    const { token, access_token } = (await answer.json()) as {
      readonly token?: string;
      readonly access_token?: string;
    };
    return `Bearer ${token ?? access_token ?? ''}`;
  };

  const request = async (
    repository: string,
    method: string,
    url: string,
    init: RequestInit = {},
  ): Promise<Response> => {
    const attempt = (): Promise<Response> => {
      const headers = new Headers(init.headers);
      const authorization = authorizations.get(repository);
      // An upload may lead to another host, which has no business with the login.
      if (authorization !== undefined && new URL(url).host === new URL(address).host)
        headers.set('authorization', authorization);
      return send(url, { ...init, method, headers });
    };
    let answer = await connected(url, attempt);
    if (answer.status === 401) {
      await answer.body?.cancel();
      const challenge = answer.headers.get('www-authenticate') ?? '';
      authorizations.set(repository, await authorize(challenge, `repository:${repository}:pull,push`));
      answer = await connected(url, attempt);
    }
    return answer;
  };

  const refused = async (what: string, answer: Response): Promise<RegistryError> => {
    const text = (await answer.text()).slice(0, 300);
    return new RegistryError(
      `${host(address)} refuses ${what}: ${answer.status} ${answer.statusText} ${text}`.trim(),
      answer.status,
    );
  };

  return {
    putBlob: async (repository, { descriptor, data }, from) => {
      const path = `${address}/v2/${repository}/blobs/`;
      const known = await request(repository, 'HEAD', `${path}${descriptor.digest}`);
      if (known.ok) return 'there';
      const mount =
        from === undefined ? '' : `?mount=${encodeURIComponent(descriptor.digest)}&from=${encodeURIComponent(from)}`;
      const begun = await request(repository, 'POST', `${path}uploads/${mount}`);
      if (begun.status === 201) return 'mounted';
      if (begun.status !== 202) throw await refused(`an upload to ${repository}`, begun);
      await begun.body?.cancel();
      const location = new URL(begun.headers.get('location') ?? '', `${path}uploads/`);
      location.searchParams.set('digest', descriptor.digest);
      const sent = await request(repository, 'PUT', location.href, {
        headers: { 'content-type': 'application/octet-stream' },
        body: new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength),
      });
      if (sent.status !== 201) throw await refused(`a layer of ${repository}`, sent);
      await sent.body?.cancel();
      return 'sent';
    },
    putManifest: async (repository, name, { descriptor, data }) => {
      const answer = await request(repository, 'PUT', `${address}/v2/${repository}/manifests/${name}`, {
        headers: { 'content-type': descriptor.mediaType },
        body: data.toString('utf8'),
      });
      if (answer.status !== 201) throw await refused(`${repository}:${name}`, answer);
      await answer.body?.cancel();
      const stored = answer.headers.get('docker-content-digest') as Digest | null;
      if (stored !== null && stored !== descriptor.digest)
        throw new RegistryError(
          `${host(address)} stored ${repository}:${name} as ${stored} instead of ${descriptor.digest}`,
          201,
        );
      return { subject: answer.headers.get('oci-subject') ?? undefined };
    },
    manifest: async (repository, name) => {
      const answer = await request(repository, 'GET', `${address}/v2/${repository}/manifests/${name}`, {
        headers: { accept: `${MEDIA.index}, ${MEDIA.manifest}` },
      });
      if (answer.status === 404) {
        await answer.body?.cancel();
        return undefined;
      }
      if (!answer.ok) throw await refused(`to give ${repository}:${name}`, answer);
      return answer.text();
    },
  };
}

const host = (address: string): string => new URL(address).host;

async function connected(url: string, attempt: () => Promise<Response>): Promise<Response> {
  try {
    return await attempt();
  } catch (error) {
    const { cause, message } = error as Error;
    const code = (cause as NodeJS.ErrnoException | undefined)?.code ?? '';
    // What TLS says of an answer that is HTTP as it is.
    const plain = /^ERR_SSL_(WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG)$/.test(code);
    throw new RegistryError(
      plain
        ? `${new URL(url).host} does not speak TLS: --plain-http speaks to it without`
        : `cannot reach ${new URL(url).host}: ${(cause instanceof Error && cause.message) || code || message}`,
      0,
    );
  }
}
