/** A request whose way is asked for. */
export interface SimulatedRequest {
  /** Of the proxy: `outbound` for the client's, `inbound` for the server's and for gateways. */
  readonly direction: 'outbound' | 'inbound';
  readonly method: string;
  /** `http://host:port/path?query`; `tcp://` and `https://` for what a proxy cannot look into. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Inbound: SPIFFE identity of the caller; undefined: without mutual TLS. */
  readonly caller?: string;
  /** Verified claims of a token. */
  readonly claims?: Readonly<Record<string, unknown>>;
}

/** The request as the proxy sees it. */
export interface SeenRequest {
  readonly direction: 'outbound' | 'inbound';
  readonly scheme: 'http' | 'https' | 'tcp';
  readonly method: string;
  readonly host: string;
  readonly port: number;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** In small letters, pseudo headers too. */
  readonly headers: ReadonlyMap<string, string>;
  readonly caller: string | undefined;
  readonly claims: Readonly<Record<string, unknown>> | undefined;
}

/** The request cannot be understood; `field` is that of SimulatedRequest. */
export class RequestError extends Error {
  readonly field: 'url' | 'headers' | 'method';
  constructor(message: string, field: 'url' | 'headers' | 'method') {
    super(message);
    this.name = 'RequestError';
    this.field = field;
  }
}

const defaultPorts = { http: 80, https: 443, tcp: undefined } as const;

/** Reads what was asked. Raises RequestError. */
export function seenRequest(asked: SimulatedRequest): SeenRequest {
  const [, scheme = '', rest = ''] = /^(https?|tcp):\/\/(.*)$/i.exec(asked.url) ?? [];
  if (scheme === '')
    throw new RequestError('the URL has to begin with http://, https:// or tcp://, as http://reviews:9080/', 'url');
  // URL knows no host and no port of tcp.
  let url: URL;
  try {
    url = new URL(`http://${rest}`);
  } catch {
    throw new RequestError(`"${asked.url}" is no URL`, 'url');
  }
  const kind = scheme.toLowerCase() as SeenRequest['scheme'];
  const explicit = /^[^/?#]*:(\d+)(?:[/?#]|$)/.exec(rest.replace(/^\[[^\]]*\]/, 'host'))?.[1];
  const port = explicit === undefined ? defaultPorts[kind] : Number(explicit);
  if (port === undefined) throw new RequestError('a tcp:// URL needs a port, as tcp://mysql:3306', 'url');
  const given = new Map(Object.entries(asked.headers).map(([name, value]) => [name.toLowerCase(), value]));
  const authority =
    given.get('host') ?? given.get(':authority') ?? (explicit ? `${url.hostname}:${port}` : url.hostname);
  const headers = new Map([
    ...given,
    [':method', asked.method.toUpperCase()],
    [':authority', authority],
    [':path', `${url.pathname}${url.search}`],
    [':scheme', kind],
  ]);
  headers.delete('host');
  return {
    direction: asked.direction,
    scheme: kind,
    method: asked.method.toUpperCase(),
    host: withoutPort(authority).toLowerCase(),
    port,
    path: url.pathname,
    query: url.searchParams,
    headers,
    caller: asked.caller,
    claims: asked.claims,
  };
}

/** A host of a Host header without its port; brackets of IPv6 stay. */
export const withoutPort = (authority: string): string => authority.replace(/:\d+$/, '');
