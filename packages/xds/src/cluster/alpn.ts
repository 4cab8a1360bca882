import type { Protocol } from '@istio-ts/mesh/model';
import { isHttp } from '@istio-ts/mesh';
import type { AlpnChoice } from '../filter/alpn.ts';
import type { UpstreamProtocol } from './http-protocol.ts';

/**
 * What a client's sidecar offers in the handshake with another one, so that the server can tell the mesh's HTTP and TCP from each other and from
 * TLS of applications. With the client's own protocol upstream, one list cannot hold both families: `istio` stands for TCP, and the filter
 * `istio.alpn` chooses for each request (envoy-notes, "ALPN").
 */
export function meshAlpn(protocol: Protocol, upstream: UpstreamProtocol): readonly string[] {
  if (!isHttp(protocol) || upstream === 'downstream') return ['istio'];
  return upstream === 'http2' ? ['istio-h2', 'istio', 'h2'] : ['istio-http/1.1', 'istio', 'http/1.1'];
}

/** What requests have to offer instead of the `istio` of a sniffed port, or undefined where the cluster's own list says it all. */
export function requestAlpn(protocol: Protocol, upstream: UpstreamProtocol): AlpnChoice | undefined {
  if (upstream === 'downstream') return 'downstream';
  return upstream !== 'none' && !isHttp(protocol) ? upstream : undefined;
}
