import type { Protocol } from '@istio-ts/mesh/model';

/** How a proxy treats a port: as HTTP, as bytes, by looking at the first bytes, or not at all (UDP passes around Envoy). */
export type Handling = 'http' | 'tcp' | 'sniff' | 'ignore';

/** Handling of a declared protocol. */
export function handlingOf(protocol: Protocol): Handling {
  switch (protocol) {
    case 'HTTP':
    case 'HTTP2':
    case 'GRPC':
    case 'GRPC-Web':
      return 'http';
    case 'HTTPS':
    case 'TLS':
    case 'TCP':
    case 'Mongo':
    case 'Redis':
    case 'MySQL':
    case 'HBONE':
      return 'tcp';
    case 'UDP':
      return 'ignore';
    case 'Auto':
      return 'sniff';
    default: {
      const unknown: never = protocol;
      return unknown;
    }
  }
}

/** Whether the client's first bytes are a TLS handshake with a server name that can be routed on. */
export const isTls = (protocol: Protocol): boolean => protocol === 'HTTPS' || protocol === 'TLS';

/** What is left of a protocol where the proxy ends its TLS. */
export const insideTls = (protocol: Protocol): Protocol =>
  protocol === 'HTTPS' ? 'HTTP' : protocol === 'TLS' ? 'TCP' : protocol;
