import { list, map, object, required, string, type TypeOf, uint32 } from '../schema/schema.ts';
import { serverTlsSettings } from './common.ts';

const server = object('A port of the gateway and the hosts it serves there.', {
  port: required(
    object('The port.', {
      number: required(uint32('Port number; 0 is not allowed.')),
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
});

export const gatewaySpec = object('What a gateway at the edge of the mesh listens for.', {
  servers: list(server, 'Ports and hosts.'),
  selector: map(string(), 'Labels of the gateway’s pods, in every namespace.'),
});
export type GatewaySpec = TypeOf<typeof gatewaySpec>;
export type Server = TypeOf<typeof server>;
