import { lookup as lookUp } from 'node:dns';
import { type IncomingMessage, request as httpRequest, type RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { getCACertificates } from 'node:tls';

/** A document that could not be fetched; the message names its URL and says why. */
export class FetchError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FetchError';
  }
}

/** What istiod may ask, and whom it trusts. */
export interface FetchPolicy {
  /** Whether nothing is fetched from an IP address. */
  readonly forbids: (address: string) => boolean;
  /** Certificates of authorities that are trusted beside the system's, in PEM form; read anew for each request. */
  readonly extraRoots: () => string | undefined;
  /** JWKS_RESOLVER_INSECURE_SKIP_VERIFY: certificates are not looked at. */
  readonly insecure: boolean;
}

const MAX_REDIRECTS = 5;
const MAX_BYTES = 1024 * 1024;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** `host` is a name that leads there; left out where the URL itself has the address. */
const refusal = (address: string, host?: string): FetchError =>
  new FetchError(
    `${host === undefined ? '' : `${host} is at ${address}: `}nothing is fetched from this address (ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS of istiod may allow it)`,
  );

/** Looks up names as usual and refuses those that lead to forbidden addresses, at the moment of connecting: nobody can answer otherwise later. */
function guarded(forbids: FetchPolicy['forbids'], resolve: typeof lookUp): LookupFunction {
  return (host, options, done) =>
    resolve(host, options, (error, found, family) => {
      if (error) {
        done(error, found as string, family);
        return;
      }
      const addresses = (Array.isArray(found) ? found : [{ address: String(found) }]).map(({ address }) => address);
      const bad = addresses.find(forbids);
      if (bad === undefined) done(null, found as string, family);
      else done(refusal(bad, host), '', 0);
    });
}

let systemRoots: readonly string[] | undefined;

/** Authorities for public names: those that come with Node and those of the system. */
function publicRoots(): readonly string[] {
  systemRoots ??= [...new Set([...getCACertificates('default'), ...getCACertificates('system')])];
  return systemRoots;
}

function get(url: URL, policy: FetchPolicy, signal: AbortSignal, resolve: typeof lookUp): Promise<IncomingMessage> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(host) !== 0 && policy.forbids(host)) return Promise.reject(refusal(host));
  const options: RequestOptions = {
    signal,
    agent: false,
    headers: { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'istiod' },
    lookup: guarded(policy.forbids, resolve),
  };
  return new Promise((done, reject) => {
    const extra = policy.extraRoots();
    const outgoing =
      url.protocol === 'https:'
        ? httpsRequest(
            url,
            {
              ...options,
              ca: [...publicRoots(), ...(extra === undefined ? [] : [extra])],
              rejectUnauthorized: !policy.insecure,
            },
            done,
          )
        : httpRequest(url, options, done);
    outgoing.on('error', reject);
    outgoing.end();
  });
}

async function textOf(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > MAX_BYTES) throw new FetchError(`answers with more than ${MAX_BYTES} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Several addresses were tried: each has an error of its own.
  return error instanceof AggregateError ? error.errors.map(reason).join('; ') : error.message;
}

/**
 * Fetches a document by http or https, following redirects but never from https to http, never for longer than `timeoutMs`, never more than a mebibyte and
 * never from a forbidden address. Raises {@link FetchError}.
 */
export async function fetchDocument(
  start: string,
  timeoutMs: number,
  policy: FetchPolicy,
  resolve: typeof lookUp = lookUp,
): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  let at = start;
  try {
    for (let redirects = 0; ; redirects++) {
      if (!URL.canParse(at)) throw new FetchError('is not a URL');
      const url = new URL(at);
      if (url.protocol !== 'https:' && url.protocol !== 'http:') throw new FetchError('is neither https nor http');
      const response = await get(url, policy, signal, resolve);
      try {
        const status = response.statusCode ?? 0;
        const { location } = response.headers;
        if (status === 200) return await textOf(response);
        if (!REDIRECTS.has(status) || location === undefined) throw new FetchError(`answers with status ${status}`);
        if (redirects === MAX_REDIRECTS) throw new FetchError(`redirects more than ${MAX_REDIRECTS} times`);
        if (!URL.canParse(location, url.href)) throw new FetchError('redirects to what is not a URL');
        const next = new URL(location, url);
        if (url.protocol === 'https:' && next.protocol !== 'https:')
          throw new FetchError(`redirects from https to ${next.href}`);
        at = next.href;
      } finally {
        response.destroy();
      }
    }
  } catch (error) {
    const from = at === start ? start : `${start}, redirected to ${at}`;
    const why = signal.aborted ? `gives no answer within ${timeoutMs / 1000} s` : reason(error);
    throw new FetchError(`${withoutPassword(from)}: ${why}`);
  }
}

/** Messages go to logs and to the status of objects. */
const withoutPassword = (text: string): string => text.replace(/\/\/[^/@\s]*@/g, '//');
