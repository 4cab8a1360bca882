import { celRule, filled } from '../schema/cel.ts';
import { list, map, object, required, string, type TypeOf, uint32, withCel } from '../schema/schema.ts';
import { serverTlsSettings } from './common.ts';

const server = withCel(
  object('A port of the gateway and the hosts it serves there.', {
    port: required(
      object('The port.', {
        number: required(uint32('Port number, 1 to 65535.', { minimum: 0, maximum: 65535 })),
        protocol: required(string('HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, TCP, TLS or HBONE.')),
        name: required(string('Name of the port.')),
        targetPort: uint32('Ignored.'),
      }),
    ),
    bind: string('Address to listen on; default all.'),
    hosts: required(list(string(), 'Hosts served, as `host` or `namespace/host`; a leading * is allowed.')),
    tls: serverTlsSettings,
    defaultEndpoint: string('Ignored.'),
    name: string('Name for logs; unique in the gateway.'),
  }),
  celRule('self.hosts.size() > 0', 'needs at least one host in hosts; use "*" for all'),
  celRule(
    "has(self.tls) || !(self.port.protocol in ['HTTPS', 'https', 'TLS', 'tls'])",
    'tls is required for protocols HTTPS and TLS',
  ),
  celRule(
    "(has(self.bind) && self.bind.startsWith('unix://')) || self.port.number > 0",
    'port.number must be between 1 and 65535',
  ),
);

export const gatewaySpec = withCel(
  object('What a gateway at the edge of the mesh listens for.', {
    servers: list(server, 'Ports and hosts.'),
    selector: map(string(), 'Labels of the gateway’s pods, in every namespace.'),
  }),
  celRule(filled('servers'), 'needs at least one server'),
);
export type GatewaySpec = TypeOf<typeof gatewaySpec>;
export type Server = TypeOf<typeof server>;
