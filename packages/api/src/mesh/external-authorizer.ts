import { tryParseDuration } from '../duration.ts';
import type { ProblemList } from '../problems.ts';
import type { ExtensionProvider } from './extension-providers.ts';

type Http = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;
type Grpc = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;
type Body = NonNullable<Http['includeRequestBodyInCheck']>;

/** Status codes that Envoy knows (envoy.type.v3.StatusCode) and may answer with when an authoriser fails. */
const STATUS_CODES: ReadonlySet<number> = new Set([
  100,
  ...range(200, 208),
  226,
  ...range(300, 308),
  ...range(400, 417),
  ...range(421, 424),
  426,
  428,
  429,
  431,
  ...range(500, 508),
  510,
  511,
]);

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** `306` was never assigned. */
const isStatus = (text: string): boolean => /^[0-9]{3}$/.test(text) && text !== '306' && STATUS_CODES.has(Number(text));

/** Characters that end a header or a string in Envoy. */
const BREAKS = /[\r\n\0]/;

function checkCommon(authorizer: Http | Grpc, path: string, problems: ProblemList): void {
  const host = authorizer.service.slice(authorizer.service.indexOf('/') + 1);
  if (host === '' || /[\s/]/.test(host)) problems.error(`${path}.service`, 'must be HOST or NAMESPACE/HOST');
  if (authorizer.port < 1 || authorizer.port > 65_535) problems.error(`${path}.port`, 'must be a port from 1 to 65535');
  const { timeout, statusOnError } = authorizer;
  if (timeout !== undefined && (tryParseDuration(timeout) ?? 0) < 1)
    problems.error(`${path}.timeout`, 'must be at least 1ms');
  if (statusOnError && !isStatus(statusOnError))
    problems.error(`${path}.statusOnError`, `${JSON.stringify(statusOnError)} is not an HTTP status such as "503"`);
  checkBody(authorizer.includeRequestBodyInCheck, `${path}.includeRequestBodyInCheck`, problems);
}

function checkBody(body: Body | undefined, path: string, problems: ProblemList): void {
  if (body !== undefined && !((body.maxRequestBytes ?? 0) > 0))
    problems.error(`${path}.maxRequestBytes`, 'must be more than 0');
}

const HEADER_LISTS = [
  'includeHeadersInCheck',
  'includeRequestHeadersInCheck',
  'headersToUpstreamOnAllow',
  'headersToDownstreamOnDeny',
  'headersToDownstreamOnAllow',
] as const;

function checkHeaders(http: Http, path: string, problems: ProblemList): void {
  for (const list of HEADER_LISTS)
    http[list]?.forEach((name, index) => {
      if (name === '' || name === '*' || BREAKS.test(name))
        problems.error(`${path}.${list}[${index}]`, 'must be a header name, or one with * at its start or end');
    });
  for (const [name, value] of Object.entries(http.includeAdditionalHeadersInCheck ?? {}))
    if (name === '' || BREAKS.test(name) || BREAKS.test(value) || value.length > 16_384)
      problems.error(`${path}.includeAdditionalHeadersInCheck`, `${JSON.stringify(name)} is no header with a value`);
}

/**
 * Finds what makes an extension provider unusable as an external authoriser (reference of MeshConfig, EnvoyExternalAuthorizationHttpProvider and
 * EnvoyExternalAuthorizationGrpcProvider; limits of Envoy's ext_authz filter). Providers of other kinds have no problems here.
 */
export function checkExternalAuthorizer(provider: ExtensionProvider, path: string, problems: ProblemList): void {
  const { envoyExtAuthzHttp: http, envoyExtAuthzGrpc: grpc } = provider;
  if (http !== undefined) {
    const at = path === '' ? 'envoyExtAuthzHttp' : `${path}.envoyExtAuthzHttp`;
    checkCommon(http, at, problems);
    checkHeaders(http, at, problems);
    if (http.pathPrefix && !http.pathPrefix.startsWith('/')) problems.error(`${at}.pathPrefix`, 'must start with /');
  }
  if (grpc !== undefined) checkCommon(grpc, path === '' ? 'envoyExtAuthzGrpc' : `${path}.envoyExtAuthzGrpc`, problems);
}
