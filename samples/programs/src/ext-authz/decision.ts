/** Names of the headers by which Istio's sample authoriser is talked to. */
export const names = {
  /** Of the request: the value `allow` lets it through. */
  check: 'x-ext-authz',
  /** Of the request, and overridden by the authoriser: shows that it may write over what clients send. */
  override: 'x-ext-authz-additional-header-override',
  /** Of the answer: `allowed` or `denied`. */
  result: 'x-ext-authz-check-result',
  /** Of the answer: what the authoriser got to see. */
  received: 'x-ext-authz-check-received',
} as const;

/** Values of a header are cut here, as proxies limit them. */
const longestHeader = 8 * 1024;

const deniedText = `denied: the request has no header "${names.check}: allow"`;

/** What a check asks about. */
export interface Check {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** SPIFFE identity of who calls, as the proxy knows it; empty without mutual TLS. */
  readonly principal: string;
  readonly body: string;
}

export interface Decision {
  readonly allowed: boolean;
  /** Headers for the application where the request is let through, else for the client. */
  readonly headers: Readonly<Record<string, string>>;
  /** For the client of a request that is refused. */
  readonly body: string;
}

/** Lets through what says `x-ext-authz: allow` of itself, or comes from a service account that is always allowed. */
export function decide(check: Check, allowedAccount: string): Decision {
  const allowed =
    check.headers[names.check] === 'allow' ||
    (allowedAccount !== '' && check.principal.endsWith(`/sa/${allowedAccount}`));
  const shown = [`${check.method} ${check.host}${check.path}`, `headers: ${JSON.stringify(check.headers)}`, check.body];
  return {
    allowed,
    headers: {
      [names.result]: allowed ? 'allowed' : 'denied',
      ...(check.headers[names.override] !== undefined && { [names.override]: 'set by the authoriser' }),
      // A header has one line and no characters beyond ASCII.
      [names.received]: shown
        .filter((part) => part !== '')
        .join(', ')
        .replace(/[^\x20-\x7e]/g, '?')
        .slice(0, longestHeader),
    },
    body: allowed ? '' : deniedText,
  };
}
