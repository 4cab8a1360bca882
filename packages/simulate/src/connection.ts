import type { SeenRequest } from './request.ts';

/** What a listener can know of a connection before its first filter runs. */
export interface Connection {
  readonly port: number;
  readonly transport: 'raw_buffer' | 'tls';
  /** Offered by TLS, or found by looking at the first bytes. */
  readonly protocols: readonly string[];
  readonly serverName: string | undefined;
}

/** The connection that brings a request: with the ALPN of the mesh from a caller with an identity, else with that of a browser. */
export function connectionOf(request: SeenRequest, port: number): Connection {
  if (request.caller !== undefined) {
    const protocols = request.scheme === 'tcp' ? ['istio'] : ['istio-http/1.1', 'istio', 'http/1.1'];
    return { port, transport: 'tls', protocols, serverName: undefined };
  }
  if (request.scheme === 'https')
    return { port, transport: 'tls', protocols: ['h2', 'http/1.1'], serverName: request.host };
  return {
    port,
    transport: 'raw_buffer',
    protocols: request.scheme === 'http' ? ['http/1.1'] : [],
    serverName: undefined,
  };
}
