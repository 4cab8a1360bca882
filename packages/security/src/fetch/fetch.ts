import { lookup as lookUp } from 'node:dns';
import { type IncomingMessage, type RequestOptions, request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import type { Duplex } from 'node:stream';
import { connect as connectTls, getCACertificates } from 'node:tls';
import type { ChooseProxy } from './proxies.ts';

/** A document that could not be fetched; the message names its URL, without a password in it, and says why. */
export class FetchError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FetchError';
  }
}

/** Whom a program may ask, and whom it trusts. */
export interface FetchPolicy {
  /** Whether nothing is fetched from an IP address; see `forbiddenAddresses`. */
  readonly forbids: (address: string) => boolean;
  /** What the operator may do to have something fetched from there after all; ends the message of a refusal. */
  readonly remedy: string;
  /** Hosts (`HOST[:PORT]` as in the URL) that may be anywhere, because the operator has named them. */
  readonly exempts?: (host: string) => boolean;
  /** Certificates of authorities that are trusted beside the system's, in PEM form; read anew for each request. */
  readonly extraRoots?: () => string | undefined;
  /** Certificates are not looked at. */
  readonly insecure?: boolean;
  /** The operator's proxies; without it everything is asked for directly. */
  readonly proxies?: ChooseProxy;
  /** How names are resolved; the system's way where it is not given. */
  readonly resolve?: typeof lookUp;
}

export interface FetchRequest {
  readonly headers?: Readonly<Record<string, string>>;
  /** For all of it: redirects and the body too. */
  readonly timeoutMs: number;
}

/** What was asked for, after redirects. */
export interface Fetched {
  readonly status: number;
  readonly url: string;
  header(name: string): string;
  /** Raises FetchError for more than `limit` bytes. */
  body(limit: number): Promise<Buffer>;
  discard(): void;
}

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Names that lead to the machine of whoever resolves them, a proxy included. */
const LOCAL_NAME = /(^|\.)(localhost|metadata\.google\.internal|metadata\.goog|instance-data(\..*)?)$/;

let systemRoots: readonly string[] | undefined;

/** Authorities for public names: those that come with Node and those of the system (SSL_CERT_FILE, SSL_CERT_DIR). */
function publicRoots(): readonly string[] {
  systemRoots ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return systemRoots;
}

const plainHost = (url: URL): string => url.hostname.replace(/^\[|\]$/g, '');

/** One fetch: its policy and the time that it has left. */
class Fetch {
  readonly #policy: FetchPolicy;
  readonly #signal: AbortSignal;
  readonly #resolve: typeof lookUp;

  constructor(policy: FetchPolicy, signal: AbortSignal) {
    this.#policy = policy;
    this.#signal = signal;
    this.#resolve = policy.resolve ?? lookUp;
  }

  /** `host` is a name that leads there; left out where the URL itself has the address. */
  #refusal(address: string, host?: string): FetchError {
    return new FetchError(
      `${host === undefined ? '' : `${host} is at ${address}: `}nothing is fetched from this address (${this.#policy.remedy})`,
    );
  }

  /** Looks up names as usual and refuses those that lead to forbidden addresses, at the moment of connecting: nobody can answer otherwise later. */
  readonly #guarded: LookupFunction = (host, options, done) =>
    this.#resolve(host, options, (error, found, family) => {
      if (error) {
        done(error, found as string, family);
        return;
      }
      const addresses = (Array.isArray(found) ? found : [{ address: String(found) }]).map(({ address }) => address);
      // Also where another address of the name would do: the next answer may have only the bad one.
      const bad = addresses.find(this.#policy.forbids);
      if (bad === undefined) done(null, found as string, family);
      else done(this.#refusal(bad, host), '', 0);
    });

  #tls(): { readonly ca: string[]; readonly rejectUnauthorized: boolean } {
    const extra = this.#policy.extraRoots?.();
    return {
      ca: [...publicRoots(), ...(extra === undefined ? [] : [extra])],
      rejectUnauthorized: this.#policy.insecure !== true,
    };
  }

  /**
   * A proxy resolves names itself. Those that mean something forbidden here are refused before it is asked; a name that nobody here knows is the proxy's
   * to judge, for then it leads into the proxy's network and not to this machine.
   */
  async #guardName(host: string): Promise<void> {
    if (LOCAL_NAME.test(host)) throw new FetchError(`nothing is fetched from ${host} (${this.#policy.remedy})`);
    const found = await new Promise<readonly { readonly address: string }[]>((done) =>
      this.#resolve(host, { all: true }, (error, addresses) => done(error ? [] : addresses)),
    );
    const bad = found.find(({ address }) => this.#policy.forbids(address));
    if (bad !== undefined) throw this.#refusal(bad.address, host);
  }

  async get(url: URL, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    const host = plainHost(url);
    const exempt = this.#policy.exempts?.(url.host) === true;
    if (!exempt && isIP(host) !== 0 && this.#policy.forbids(host)) throw this.#refusal(host);
    const options: RequestOptions = {
      signal: this.#signal,
      agent: false,
      headers: { 'accept-encoding': 'identity', ...headers },
      ...(!exempt && { lookup: this.#guarded }),
    };
    const proxy = this.#policy.proxies?.(url);
    if (proxy === undefined)
      return answer((done) =>
        url.protocol === 'https:'
          ? httpsRequest(url, { ...options, ...this.#tls() }, done)
          : httpRequest(url, options, done),
      );
    if (!exempt && isIP(host) === 0) await this.#guardName(host.toLowerCase().replace(/\.$/, ''));
    return url.protocol === 'https:'
      ? this.#throughTunnel(url, proxy, options)
      : this.#throughProxy(url, proxy, options);
  }

  /** How a proxy is asked: it may be anywhere, for the operator has named it. */
  #toProxy(proxy: URL, options: RequestOptions): RequestOptions & { readonly isSecure: boolean } {
    const { username, password } = proxy;
    const credentials = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`);
    const isSecure = proxy.protocol === 'https:';
    return {
      ...options,
      isSecure,
      lookup: this.#resolve as LookupFunction,
      host: plainHost(proxy),
      port: proxy.port || (isSecure ? 443 : 80),
      headers: {
        ...(options.headers as Readonly<Record<string, string>>),
        ...(username !== '' && { 'proxy-authorization': `Basic ${credentials.toString('base64')}` }),
      },
      ...(isSecure && this.#tls()),
    };
  }

  #throughProxy(url: URL, proxy: URL, options: RequestOptions): Promise<IncomingMessage> {
    const { isSecure, ...rest } = this.#toProxy(proxy, options);
    const { username, password, host } = url;
    const own = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
    const bare = new URL(url);
    bare.username = '';
    bare.password = '';
    const asked: RequestOptions = {
      ...rest,
      path: bare.href,
      headers: {
        ...(username !== '' && { authorization: `Basic ${own}` }),
        ...(rest.headers as Readonly<Record<string, string>>),
        host,
      },
    };
    return answer((done) => (isSecure ? httpsRequest(asked, done) : httpRequest(asked, done)));
  }

  async #throughTunnel(url: URL, proxy: URL, options: RequestOptions): Promise<IncomingMessage> {
    const authority = `${url.hostname}:${url.port || 443}`;
    const { isSecure, ...rest } = this.#toProxy(proxy, { ...options, headers: {} });
    const asked: RequestOptions = {
      ...rest,
      method: 'CONNECT',
      path: authority,
      headers: { ...(rest.headers as Readonly<Record<string, string>>), host: authority },
    };
    const tunnel = await new Promise<Duplex>((resolve, reject) => {
      const outgoing = isSecure ? httpsRequest(asked) : httpRequest(asked);
      outgoing.on('connect', ({ statusCode }, socket: Duplex) => {
        if (statusCode === 200) resolve(socket);
        else {
          socket.destroy();
          reject(new FetchError(`the proxy ${proxy.host} refuses with status ${statusCode}`));
        }
      });
      // A proxy may refuse by an ordinary answer.
      outgoing.on('response', (response) => {
        response.destroy();
        reject(new FetchError(`the proxy ${proxy.host} refuses with status ${response.statusCode}`));
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
    const host = plainHost(url);
    const { agent: _none, lookup: _resolved, ...through } = options;
    return answer((done) =>
      httpsRequest(
        url,
        {
          ...through,
          // Known by the agent of https otherwise; the port would stand in the header Host.
          defaultPort: 443,
          createConnection: () =>
            connectTls({ socket: tunnel, host, ...(isIP(host) === 0 && { servername: host }), ...this.#tls() }),
        },
        done,
      ),
    );
  }
}

function answer(
  start: (done: (response: IncomingMessage) => void) => ReturnType<typeof httpRequest>,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const outgoing = start(resolve);
    outgoing.on('error', reject);
    outgoing.end();
  });
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Several addresses were tried: each has an error of its own.
  return error instanceof AggregateError ? error.errors.map(reason).join('; ') : error.message;
}

/** Messages go to logs and to the status of objects. */
const withoutPassword = (text: string): string => text.replace(/\/\/[^/@\s]*@/g, '//');

/**
 * Asks for something by http or https, following redirects but never from https to http, never for longer than the request says and never at a forbidden
 * address, whether the URL, a redirect or a name leads there. Any status is an answer. Raises {@link FetchError}.
 */
export async function fetchFrom(start: string, request: FetchRequest, policy: FetchPolicy): Promise<Fetched> {
  const signal = AbortSignal.timeout(request.timeoutMs);
  const one = new Fetch(policy, signal);
  let at = start;
  let headers = request.headers ?? {};
  const failure = (error: unknown): FetchError => {
    const from = at === start ? start : `${start}, redirected to ${at}`;
    const why = signal.aborted ? `gives no answer within ${request.timeoutMs / 1000} s` : reason(error);
    return new FetchError(`${withoutPassword(from)}: ${withoutPassword(why)}`);
  };
  try {
    for (let redirects = 0; ; redirects++) {
      if (!URL.canParse(at)) throw new FetchError('is not a URL');
      const url = new URL(at);
      if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new FetchError('is neither https nor http');
      const response = await one.get(url, headers);
      const status = response.statusCode ?? 0;
      const { location } = response.headers;
      if (!REDIRECTS.has(status) || location === undefined) return fetched(response, url, failure);
      response.destroy();
      if (redirects === MAX_REDIRECTS) throw new FetchError(`redirects more than ${MAX_REDIRECTS} times`);
      if (!URL.canParse(location, url.href)) throw new FetchError('redirects to what is not a URL');
      const next = new URL(location, url);
      if (url.protocol === 'https:' && next.protocol !== 'https:')
        throw new FetchError(`redirects from https to ${next.href}`);
      // Credentials are for the host that asked for them.
      if (next.host !== url.host)
        headers = Object.fromEntries(
          Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'),
        );
      at = next.href;
    }
  } catch (error) {
    throw failure(error);
  }
}

function fetched(response: IncomingMessage, url: URL, failure: (error: unknown) => FetchError): Fetched {
  return {
    status: response.statusCode ?? 0,
    url: url.href,
    header: (name) => String(response.headers[name] ?? ''),
    discard: () => void response.destroy(),
    body: async (limit) => {
      const parts: Buffer[] = [];
      let size = 0;
      try {
        for await (const part of response as AsyncIterable<Buffer>) {
          size += part.length;
          if (size > limit) throw new FetchError(`answers with more than ${limit} bytes`);
          parts.push(part);
        }
      } catch (error) {
        throw failure(error);
      } finally {
        response.destroy();
      }
      return Buffer.concat(parts);
    },
  };
}

const MAX_DOCUMENT_BYTES = 1024 * 1024;

/** The text of a document of no more than a mebibyte, with the status 200. Raises {@link FetchError}. */
export async function fetchDocument(start: string, timeoutMs: number, policy: FetchPolicy): Promise<string> {
  const headers = { accept: 'application/json', 'user-agent': 'istiod' };
  const response = await fetchFrom(start, { headers, timeoutMs }, policy);
  if (response.status !== 200) {
    response.discard();
    const from = response.url === new URL(start).href ? start : `${start}, redirected to ${response.url}`;
    throw new FetchError(`${withoutPassword(from)}: answers with status ${response.status}`);
  }
  return (await response.body(MAX_DOCUMENT_BYTES)).toString('utf8');
}
