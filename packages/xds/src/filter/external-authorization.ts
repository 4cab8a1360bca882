import { type ExtensionProvider, checkExternalAuthorizer, ProblemList } from '@istio-ts/api';
import type {
  BufferSettings,
  ConfigListenerFilter,
  HttpFilter,
  ListStringMatcher,
  MetadataMatcher,
  StatusCode,
} from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { protoDuration } from '../duration.ts';
import { outboundCluster } from '../names.ts';
import { followAlias } from '../route/destination.ts';
import { typed } from '../typed.ts';
import type { HttpFilterName } from './order.ts';

type Http = NonNullable<ExtensionProvider['envoyExtAuthzHttp']>;
type Grpc = NonNullable<ExtensionProvider['envoyExtAuthzGrpc']>;

/** An external authoriser that a proxy can reach. */
export type Authorizer =
  | { readonly kind: 'http'; readonly config: Http; readonly cluster: string; readonly hostname: string }
  | { readonly kind: 'grpc'; readonly config: Grpc; readonly cluster: string; readonly hostname: string };

/** Authorisers by the name of their extension provider. */
export type Authorizers = ReadonlyMap<string, Authorizer>;

/** What an authoriser of a proxy is made of. */
export type AuthorizerScope = Pick<ProxyScope, 'mesh' | 'serviceByHost'>;

/**
 * The authoriser behind a name; undefined when there is none that could be asked: no provider of the name or one of another kind, settings that Envoy
 * would refuse, or a service that the proxy does not see or that has no such port.
 */
export function authorizer({ mesh, serviceByHost }: AuthorizerScope, name: string): Authorizer | undefined {
  const provider = mesh.extensionProviders?.find((one) => one.name === name);
  const config = provider?.envoyExtAuthzHttp ?? provider?.envoyExtAuthzGrpc;
  if (provider === undefined || config === undefined) return undefined;
  const problems = new ProblemList();
  checkExternalAuthorizer(provider, '', problems);
  if (problems.problems.length > 0) return undefined;
  const slash = config.service.indexOf('/');
  const service = followAlias({ serviceByHost }, config.service.slice(slash + 1).toLowerCase());
  if (service === undefined || (slash > 0 && service.namespace !== config.service.slice(0, slash))) return undefined;
  if (!service.ports.some(({ number, protocol }) => number === config.port && protocol !== 'UDP')) return undefined;
  const { hostname } = service;
  const cluster = outboundCluster(config.port, '', hostname);
  return provider.envoyExtAuthzHttp !== undefined
    ? { kind: 'http', config: provider.envoyExtAuthzHttp, cluster, hostname }
    : provider.envoyExtAuthzGrpc !== undefined
      ? { kind: 'grpc', config: provider.envoyExtAuthzGrpc, cluster, hostname }
      : undefined;
}

/** How long an answer is waited for where nothing is said (MeshConfig reference). */
const DEFAULT_TIMEOUT = '600s';
const timeoutOf = (config: Http | Grpc): string => protoDuration(config.timeout) ?? DEFAULT_TIMEOUT;

/** Envoy's names of the status codes that it may answer with. */
const STATUS_NAMES = new Map<number, StatusCode>([
  [100, 'Continue'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [203, 'NonAuthoritativeInformation'],
  [204, 'NoContent'],
  [205, 'ResetContent'],
  [206, 'PartialContent'],
  [207, 'MultiStatus'],
  [208, 'AlreadyReported'],
  [226, 'IMUsed'],
  [300, 'MultipleChoices'],
  [301, 'MovedPermanently'],
  [302, 'Found'],
  [303, 'SeeOther'],
  [304, 'NotModified'],
  [305, 'UseProxy'],
  [307, 'TemporaryRedirect'],
  [308, 'PermanentRedirect'],
  [400, 'BadRequest'],
  [401, 'Unauthorized'],
  [402, 'PaymentRequired'],
  [403, 'Forbidden'],
  [404, 'NotFound'],
  [405, 'MethodNotAllowed'],
  [406, 'NotAcceptable'],
  [407, 'ProxyAuthenticationRequired'],
  [408, 'RequestTimeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'LengthRequired'],
  [412, 'PreconditionFailed'],
  [413, 'PayloadTooLarge'],
  [414, 'URITooLong'],
  [415, 'UnsupportedMediaType'],
  [416, 'RangeNotSatisfiable'],
  [417, 'ExpectationFailed'],
  [421, 'MisdirectedRequest'],
  [422, 'UnprocessableEntity'],
  [423, 'Locked'],
  [424, 'FailedDependency'],
  [426, 'UpgradeRequired'],
  [428, 'PreconditionRequired'],
  [429, 'TooManyRequests'],
  [431, 'RequestHeaderFieldsTooLarge'],
  [500, 'InternalServerError'],
  [501, 'NotImplemented'],
  [502, 'BadGateway'],
  [503, 'ServiceUnavailable'],
  [504, 'GatewayTimeout'],
  [505, 'HTTPVersionNotSupported'],
  [506, 'VariantAlsoNegotiates'],
  [507, 'InsufficientStorage'],
  [508, 'LoopDetected'],
  [510, 'NotExtended'],
  [511, 'NetworkAuthenticationRequired'],
]);

/** Header names as providers write them: exact, `prefix*` or `*suffix`, without regard to case. */
function headers(names: readonly string[]): { readonly patterns: NonNullable<ListStringMatcher['patterns']> } {
  return {
    patterns: names.map((name) => ({
      ...(name.startsWith('*')
        ? { suffix: name.slice(1) }
        : name.endsWith('*')
          ? { prefix: name.slice(0, -1) }
          : { exact: name }),
      ignoreCase: true,
    })),
  };
}

const some = <T>(list: readonly T[] | undefined): list is readonly T[] => list !== undefined && list.length > 0;

function bodyOf(body: Http['includeRequestBodyInCheck']): { readonly withRequestBody?: BufferSettings } {
  return body === undefined
    ? {}
    : {
        withRequestBody: {
          maxRequestBytes: body.maxRequestBytes ?? 0,
          allowPartialMessage: body.allowPartialMessage === true,
          packAsBytes: body.packAsBytes === true,
        },
      };
}

function grpcService({ config, cluster, hostname }: Extract<Authorizer, { readonly kind: 'grpc' }>) {
  return { envoyGrpc: { clusterName: cluster, authority: hostname }, timeout: timeoutOf(config) };
}

function httpService({ config, cluster, hostname }: Extract<Authorizer, { readonly kind: 'http' }>) {
  const added = Object.entries(config.includeAdditionalHeadersInCheck ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  const { headersToUpstreamOnAllow: upstream, headersToDownstreamOnDeny: onDeny } = config;
  const { headersToDownstreamOnAllow: onAllow } = config;
  return {
    serverUri: { uri: `http://${hostname}`, cluster, timeout: timeoutOf(config) },
    ...(config.pathPrefix ? { pathPrefix: config.pathPrefix } : {}),
    ...(added.length > 0
      ? { authorizationRequest: { headersToAdd: added.map(([key, value]) => ({ key, value })) } }
      : {}),
    ...(some(upstream) || some(onDeny) || some(onAllow)
      ? {
          authorizationResponse: {
            ...(some(upstream) ? { allowedUpstreamHeaders: headers(upstream) } : {}),
            ...(some(onDeny) ? { allowedClientHeaders: headers(onDeny) } : {}),
            ...(some(onAllow) ? { allowedClientHeadersOnSuccess: headers(onAllow) } : {}),
          },
        }
      : {}),
  };
}

/** Asks only about what the check before has marked with this key. */
const marked = (filter: string, key: string): MetadataMatcher => ({
  filter,
  path: [{ key }],
  value: { stringMatch: { prefix: 'istio-ext-authz-' } },
});

const NAME: HttpFilterName = 'envoy.filters.http.ext_authz';

/** The HTTP filter that asks an authoriser about the requests marked with `key`. */
export function httpQuestion(asked: Authorizer, key: string): HttpFilter {
  const { config } = asked;
  const status = config.statusOnError ? STATUS_NAMES.get(Number(config.statusOnError)) : undefined;
  const sent =
    asked.kind === 'http' ? [asked.config.includeRequestHeadersInCheck, asked.config.includeHeadersInCheck] : [];
  const names = sent.find(some);
  return {
    name: NAME,
    typedConfig: typed('envoy.extensions.filters.http.ext_authz.v3.ExtAuthz', {
      ...(asked.kind === 'http' ? { httpService: httpService(asked) } : { grpcService: grpcService(asked) }),
      ...(names !== undefined ? { allowedHeaders: headers(names) } : {}),
      transportApiVersion: 'V3',
      failureModeAllow: config.failOpen === true,
      ...(status !== undefined ? { statusOnError: { code: status } } : {}),
      ...(config.clearRouteCache === true ? { clearRouteCache: true } : {}),
      ...bodyOf(config.includeRequestBodyInCheck),
      filterEnabledMetadata: marked('envoy.filters.http.rbac', key),
    }),
  };
}

/** The same for connections; undefined for an authoriser that speaks HTTP, which can be asked about requests only (as in Istio). */
export function networkQuestion(asked: Authorizer, key: string): ConfigListenerFilter | undefined {
  if (asked.kind === 'http') return undefined;
  return {
    name: 'envoy.filters.network.ext_authz',
    typedConfig: typed('envoy.extensions.filters.network.ext_authz.v3.ExtAuthz', {
      statPrefix: 'tcp.',
      grpcService: grpcService(asked),
      transportApiVersion: 'V3',
      failureModeAllow: asked.config.failOpen === true,
      filterEnabledMetadata: marked('envoy.filters.network.rbac', key),
    }),
  };
}
