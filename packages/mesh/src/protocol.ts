import type { Protocol } from './model.ts';

const byName: Readonly<Record<string, Protocol>> = {
  http: 'HTTP',
  http2: 'HTTP2',
  grpc: 'GRPC',
  'grpc-web': 'GRPC-Web',
  https: 'HTTPS',
  tls: 'TLS',
  tcp: 'TCP',
  mongo: 'Mongo',
  redis: 'Redis',
  mysql: 'MySQL',
  udp: 'UDP',
  hbone: 'HBONE',
  // Application protocols that Kubernetes itself defines (KEP-3726) and those of the WebSocket.
  'kubernetes.io/h2c': 'HTTP2',
  'kubernetes.io/ws': 'HTTP',
  'kubernetes.io/wss': 'HTTPS',
};

/** Ports whose protocols let the server speak first: sniffing would hold every connection up (Istio documentation, "Protocol Selection"). */
const serverFirstPorts: ReadonlySet<number> = new Set([25, 53, 3306, 27017]);

/** The protocol that a name stands for, in any case (`GRPC-Web`), or undefined. */
export function parseProtocol(name: string): Protocol | undefined {
  return Object.hasOwn(byName, name.toLowerCase()) ? byName[name.toLowerCase()] : undefined;
}

/** Whether requests can be routed one by one. */
export const isHttp = (protocol: Protocol): boolean =>
  protocol === 'HTTP' || protocol === 'HTTP2' || protocol === 'GRPC' || protocol === 'GRPC-Web';

/** Whether the application speaks HTTP/2. */
export const isHttp2 = (protocol: Protocol): boolean => protocol === 'HTTP2' || protocol === 'GRPC';

/**
 * The protocol of a Kubernetes service port: `appProtocol`, else the port's name (`grpc`, `grpc-web-shop`, `http-metrics`), else TCP for ports of
 * protocols in which the server speaks first, else 'Auto' (Istio documentation, "Protocol Selection").
 */
export function servicePortProtocol(port: {
  readonly name: string;
  readonly number: number;
  readonly transport: string;
  readonly appProtocol: string;
}): Protocol {
  if (port.transport === 'UDP') return 'UDP';
  if (port.appProtocol !== '') {
    const declared = parseProtocol(port.appProtocol);
    if (declared !== undefined) return declared;
  }
  const name = port.name.toLowerCase();
  if (name === 'grpc-web' || name.startsWith('grpc-web-')) return 'GRPC-Web';
  const named = parseProtocol(name.split('-', 1)[0] ?? '');
  if (named !== undefined) return named;
  return serverFirstPorts.has(port.number) ? 'TCP' : 'Auto';
}
