import { celRule, filled } from '../schema/cel.ts';
import {
  as,
  defaulted,
  enumOf,
  list,
  object,
  required,
  string,
  type TypeOf,
  uint32,
  withCel,
} from '../schema/schema.ts';
import { workloadLabelSelector } from './common.ts';
import { workloadEntries } from './workload-entry.ts';

const servicePort = object('A port of the service.', {
  number: required(uint32('Port number, 1 to 65535.', { minimum: 0, maximum: 65535 })),
  protocol: string('HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, TCP or TLS; default TCP.', { maxLength: 256 }),
  name: required(string('Name of the port.', { minLength: 1, maxLength: 256 })),
  targetPort: uint32('Port of the endpoints, when it is another.', { minimum: 0, maximum: 65535 }),
});

export const serviceEntrySpec = withCel(
  object('A service that Kubernetes does not know, added to the mesh.', {
    hosts: required(list(string(), 'Names of the service; a leading * is allowed.', { minItems: 1, maxItems: 256 })),
    addresses: list(
      string('Address or CIDR.', { maxLength: 64 }),
      'Virtual addresses of the service, or address ranges.',
      {
        maxItems: 256,
      },
    ),
    ports: list(servicePort, 'Ports of the service.', { maxItems: 256 }),
    location: defaulted(
      enumOf(
        ['MESH_EXTERNAL', 'MESH_INTERNAL'],
        'Whether the service is part of the mesh; that decides about mutual TLS.',
      ),
      'MESH_EXTERNAL',
    ),
    resolution: defaulted(
      enumOf(
        ['NONE', 'STATIC', 'DNS', 'DNS_ROUND_ROBIN', 'DYNAMIC_DNS'],
        'How addresses are found: as the client dialled (NONE), from the endpoints (STATIC), by DNS, or by DNS at request time.',
      ),
      'NONE',
    ),
    endpoints: workloadEntries,
    workloadSelector: as(
      workloadLabelSelector,
      'Selects pods and WorkloadEntries as endpoints; not together with endpoints.',
    ),
    exportTo: list(string(), 'Namespaces that see this object: names, `.` for its own, `*` for all.'),
    subjectAltNames: list(string(), 'Names of which the servers’ certificates must have one.'),
  }),
  celRule("self.hosts.all(host, host != '*')", 'hosts: "*" is not allowed; name the hosts, for example *.example.com'),
  celRule(
    "!has(self.addresses) || !self.addresses.exists(address, address.contains('/')) || !has(self.resolution) || self.resolution in ['NONE', 'STATIC']",
    'address ranges need resolution NONE or STATIC',
  ),
  celRule(
    `!${filled('endpoints')} || (has(self.resolution) && self.resolution != 'NONE')`,
    'endpoints must be empty with resolution NONE; use STATIC or DNS',
  ),
  celRule(
    "!has(self.resolution) || self.resolution != 'DNS_ROUND_ROBIN' || !has(self.endpoints) || self.endpoints.size() <= 1",
    'at most one of endpoints with resolution DNS_ROUND_ROBIN',
  ),
  celRule(
    '!has(self.ports) || self.ports.all(port, self.ports.exists_one(other, other.number == port.number))',
    'the numbers of ports must be unique',
  ),
  celRule(
    '!has(self.ports) || self.ports.all(port, self.ports.exists_one(other, other.name == port.name))',
    'the names of ports must be unique',
  ),
);
export type ServiceEntrySpec = TypeOf<typeof serviceEntrySpec>;
export type ServiceEntryPort = TypeOf<typeof servicePort>;
