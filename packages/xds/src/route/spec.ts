import type { DestinationRuleSpec, VirtualServiceSpec } from '@istio-ts/api';

/** The parts of a VirtualService and DestinationRule by name. */
export type HttpRoute = NonNullable<VirtualServiceSpec['http']>[number];
export type HttpMatch = NonNullable<HttpRoute['match']>[number];
export type HttpDestination = NonNullable<HttpRoute['route']>[number];
export type Destination = NonNullable<HttpDestination['destination']>;
export type Headers = NonNullable<HttpRoute['headers']>;
export type HeaderOperations = NonNullable<Headers['request']>;
export type StringMatch = NonNullable<HttpMatch['uri']>;
export type Retries = NonNullable<HttpRoute['retries']>;
export type Fault = NonNullable<HttpRoute['fault']>;
export type Redirect = NonNullable<HttpRoute['redirect']>;
export type Rewrite = NonNullable<HttpRoute['rewrite']>;
export type DirectResponse = NonNullable<HttpRoute['directResponse']>;
export type Cors = NonNullable<HttpRoute['corsPolicy']>;
export type TcpRoute = NonNullable<VirtualServiceSpec['tcp']>[number];
export type TlsRoute = NonNullable<VirtualServiceSpec['tls']>[number];
export type L4Match = NonNullable<TcpRoute['match']>[number];
export type TlsMatch = NonNullable<TlsRoute['match']>[number];
export type L4Destination = NonNullable<TcpRoute['route']>[number];
export type TrafficPolicy = NonNullable<DestinationRuleSpec['trafficPolicy']>;
export type LoadBalancer = NonNullable<TrafficPolicy['loadBalancer']>;
