import { celRule, filled, set } from '../schema/cel.ts';
import {
  as,
  boolean,
  bytes,
  duration,
  enumOf,
  int32,
  list,
  map,
  object,
  regex,
  required,
  string,
  type TypeOf,
  uint32,
  withCel,
} from '../schema/schema.ts';
import { destination, percent, stringMatch } from './common.ts';

const headerOperations = object('Changes of headers.', {
  set: map(string(), 'Headers to overwrite.'),
  add: map(string(), 'Headers to append.'),
  remove: list(string(), 'Headers to remove.'),
});

const headers = object('Changes of request and response headers.', {
  request: as(headerOperations, 'Changes of the request before it goes upstream.'),
  response: as(headerOperations, 'Changes of the response before it goes back.'),
});

const gateways = list(string(), 'Gateways the rule applies to, instead of those of the whole object.');

export const httpMatchRequest = object('Conditions on a request; all of them must hold.', {
  name: string('Name for logs.'),
  uri: as(stringMatch, 'Path of the request.'),
  scheme: as(stringMatch, 'http or https.'),
  method: as(stringMatch, 'HTTP method.'),
  authority: as(stringMatch, 'Host of the request.'),
  headers: map(stringMatch, 'Headers by lower-case name; an empty match asks for presence.'),
  withoutHeaders: map(stringMatch, 'Headers that must not match.'),
  queryParams: map(stringMatch, 'Query parameters by name.'),
  ignoreUriCase: boolean('Compare paths without regard to case (exact and prefix).'),
  port: uint32('Port on which the request came in.', { minimum: 0, maximum: 65535 }),
  sourceLabels: map(string(), 'Labels of the workload that sends the request.'),
  sourceNamespace: string('Namespace of the workload that sends the request.'),
  gateways,
  statPrefix: string('Prefix of statistics for requests that match.'),
});

export const httpRouteDestination = object('A destination and its share of the requests.', {
  destination: required(destination),
  weight: int32('Share relative to the sum of all weights.', { minimum: 0 }),
  headers,
});

export const routeDestination = object('A destination and its share of the connections.', {
  destination: required(destination),
  weight: int32('Share relative to the sum of all weights.', { minimum: 0 }),
});

export const httpRetry = object('When and how often a failed request is sent again.', {
  attempts: int32('Number of retries; 0 disables them.', { minimum: 0 }),
  perTryTimeout: duration('Time for each attempt; default the timeout of the route.'),
  retryOn: string('Conditions, separated by commas: Envoy’s names or status codes.'),
  retryRemoteLocalities: boolean('Whether retries may go to other localities.'),
  retryIgnorePreviousHosts: boolean('Whether retries avoid hosts that were tried; default true.'),
  backoff: duration('Shortest wait between retries; default 25ms.'),
});

export const corsPolicy = object('Cross-origin resource sharing.', {
  allowOrigin: list(string(), 'Deprecated: use allowOrigins.'),
  allowOrigins: list(stringMatch, 'Origins that are allowed.'),
  allowMethods: list(string(), 'Methods that are allowed.'),
  allowHeaders: list(string(), 'Request headers that are allowed.'),
  exposeHeaders: list(string(), 'Response headers that scripts may read.'),
  maxAge: duration('How long browsers may keep the answer to a preflight request.'),
  allowCredentials: boolean('Whether requests may carry credentials.'),
  unmatchedPreflights: enumOf(['UNSPECIFIED', 'FORWARD', 'IGNORE'], 'What happens to preflights that do not match.'),
});

export const httpFaultInjection = withCel(
  object('Faults put into requests on purpose.', {
    delay: object(
      'A delay before the request goes on.',
      {
        percent: int32('Deprecated: use percentage.'),
        fixedDelay: duration('The delay.'),
        exponentialDelay: duration('Not implemented by Envoy.'),
        percentage: as(percent, 'Share of requests that are delayed.'),
      },
      [['fixedDelay', 'exponentialDelay']],
    ),
    abort: object(
      'An error instead of an answer.',
      {
        httpStatus: int32('HTTP status of the answer.'),
        grpcStatus: string('gRPC status of the answer, by name.'),
        http2Error: string('Not implemented by Envoy.'),
        percentage: as(percent, 'Share of requests that are aborted.'),
      },
      [['httpStatus', 'grpcStatus', 'http2Error']],
    ),
  }),
  celRule(`${set('delay')} || ${set('abort')}`, 'needs delay or abort'),
);

export const httpRoute = withCel(
  object('A rule for HTTP requests: conditions and what happens.', {
    name: string('Name for logs.'),
    match: list(httpMatchRequest, 'Conditions; one of them must hold. Absent: all requests.'),
    route: list(httpRouteDestination, 'Where requests go.'),
    redirect: object(
      'Answers with a redirect.',
      {
        uri: string('Replaces the path.'),
        authority: string('Replaces the host.'),
        port: uint32('Replaces the port.', { minimum: 0, maximum: 65535 }),
        derivePort: enumOf(['FROM_PROTOCOL_DEFAULT', 'FROM_REQUEST_PORT'], 'Where the port comes from.'),
        scheme: string('Replaces the scheme.'),
        redirectCode: uint32('Status code; default 301.'),
        prefixRewrite: string('Replaces the matched prefix of the path.'),
      },
      [['port', 'derivePort']],
    ),
    directResponse: object('Answers by itself.', {
      status: required(uint32('Status code.')),
      body: object('Body of the answer.', { string: string('Text.'), bytes: bytes('Bytes, base64.') }, [
        ['string', 'bytes'],
      ]),
    }),
    delegate: object('Another VirtualService, without hosts, that has the rules for these requests.', {
      name: string('Its name.'),
      namespace: string('Its namespace; default that of this object.'),
    }),
    rewrite: object('Changes of the request before it goes on.', {
      uri: string('Replaces the path, or the matched prefix of it.'),
      authority: string('Replaces the host.'),
      uriRegexRewrite: object('Replaces what an expression matches in the path.', {
        match: regex('RE2 expression.'),
        rewrite: string('What replaces it; \\1 and so on are its groups.'),
      }),
    }),
    timeout: duration('Time until the answer is complete; default none.'),
    retries: httpRetry,
    fault: httpFaultInjection,
    mirror: as(destination, 'Service that gets a copy of the requests; its answers are dropped.'),
    mirrors: list(
      object('A service that gets a copy of the requests.', {
        destination: required(destination),
        percentage: as(percent, 'Share of requests that are copied; default all.'),
      }),
      'Services that get a copy of the requests.',
    ),
    mirrorPercent: uint32('Deprecated: use mirrorPercentage.'),
    mirrorPercentage: as(percent, 'Share of requests that are copied to `mirror`; default all.'),
    corsPolicy,
    headers,
  }),
  celRule(
    `${set('route')} || ${set('redirect')} || ${set('directResponse')} || ${set('delegate')}`,
    'needs one of route, redirect, directResponse, delegate',
  ),
  celRule(
    `!${set('redirect')} || !(${set('directResponse')} || ${set('delegate')})`,
    'redirect cannot stand together with directResponse or delegate',
  ),
  celRule(`!${set('directResponse')} || !${set('delegate')}`, 'directResponse cannot stand together with delegate'),
  celRule(`!${filled('route')} || !${set('redirect')}`, 'route cannot stand together with redirect'),
  celRule(`!${filled('route')} || !${set('directResponse')}`, 'route cannot stand together with directResponse'),
  celRule(`!${filled('route')} || !${set('delegate')}`, 'route cannot stand together with delegate'),
  celRule(
    `!${set('rewrite')} || !(${set('redirect')} || ${set('directResponse')})`,
    'rewrite cannot stand together with redirect or directResponse',
  ),
  celRule(`!${set('mirror')} || !${filled('mirrors')}`, 'only one of mirror, mirrors may be set'),
);

export const tlsRoute = object('A rule for TLS connections that are not ended here.', {
  match: required(
    list(
      object('Conditions on a connection; all of them must hold.', {
        sniHosts: required(list(string(), 'Server names; a leading * is allowed.')),
        destinationSubnets: list(string(), 'Address ranges of the destination.'),
        port: uint32('Port on which the connection came in.', { minimum: 0, maximum: 65535 }),
        sourceLabels: map(string(), 'Labels of the workload that connects.'),
        gateways,
        sourceNamespace: string('Namespace of the workload that connects.'),
      }),
      'Conditions; one of them must hold.',
    ),
  ),
  route: list(routeDestination, 'Where connections go.'),
});

export const tcpRoute = object('A rule for TCP connections.', {
  match: list(
    object('Conditions on a connection; all of them must hold.', {
      destinationSubnets: list(string(), 'Address ranges of the destination.'),
      port: uint32('Port on which the connection came in.', { minimum: 0, maximum: 65535 }),
      sourceSubnet: string('Address range of the client; not implemented.'),
      sourceLabels: map(string(), 'Labels of the workload that connects.'),
      gateways,
      sourceNamespace: string('Namespace of the workload that connects.'),
    }),
    'Conditions; one of them must hold.',
  ),
  route: list(routeDestination, 'Where connections go.'),
});

export const virtualServiceSpec = withCel(
  object('Where traffic for a set of hosts goes.', {
    hosts: list(string(), 'Hosts that the rules are for; empty only for a delegate.'),
    gateways: list(string(), 'Gateways and, as `mesh`, all sidecars that the rules apply to; default mesh.'),
    http: list(httpRoute, 'Rules for HTTP, in order.'),
    tls: list(tlsRoute, 'Rules for TLS that passes through, in order.'),
    tcp: list(tcpRoute, 'Rules for other TCP, in order.'),
    exportTo: list(string(), 'Namespaces that see this object: names, `.` for its own, `*` for all.'),
  }),
  celRule(`${filled('http')} || ${filled('tls')} || ${filled('tcp')}`, 'needs at least one of http, tls, tcp'),
  celRule(
    `${filled('hosts')} || !(${filled('gateways')} || ${filled('tls')} || ${filled('tcp')})`,
    'without hosts (a delegate) there can be http only, and no gateways',
  ),
);
export type VirtualServiceSpec = TypeOf<typeof virtualServiceSpec>;
export type HTTPRoute = TypeOf<typeof httpRoute>;
export type HTTPMatchRequest = TypeOf<typeof httpMatchRequest>;
export type HTTPRouteDestination = TypeOf<typeof httpRouteDestination>;
export type RouteDestination = TypeOf<typeof routeDestination>;
export type HTTPRetry = TypeOf<typeof httpRetry>;
export type CorsPolicy = TypeOf<typeof corsPolicy>;
export type HTTPFaultInjection = TypeOf<typeof httpFaultInjection>;
export type TLSRoute = TypeOf<typeof tlsRoute>;
export type TCPRoute = TypeOf<typeof tcpRoute>;
export type HeaderOperations = TypeOf<typeof headerOperations>;
