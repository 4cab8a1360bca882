import { celRule, filled, set } from '../schema/cel.ts';
import { as, enumOf, list, object, required, string, type TypeOf, uint32, withCel } from '../schema/schema.ts';
import { connectionPoolSettings, outboundTrafficPolicy, serverTlsSettings, workloadLabelSelector } from './common.ts';

const sidecarPort = object('A port.', {
  number: uint32('Port number.'),
  protocol: string('HTTP, HTTPS, HTTP2, GRPC, GRPC-Web, MONGO, TCP or TLS.'),
  name: string('Name of the port.'),
  targetPort: uint32('Ignored.'),
});

const captureMode = enumOf(['DEFAULT', 'IPTABLES', 'NONE'], 'Whether connections are redirected here.');

const ingressListener = withCel(
  object('A port on which a sidecar takes traffic for its workload.', {
    port: required(sidecarPort),
    bind: string('Address to listen on; default the workload’s own.'),
    captureMode,
    defaultEndpoint: string('Where traffic goes: 127.0.0.1:PORT, [::1]:PORT, 0.0.0.0:PORT, [::]:PORT or unix:///path.'),
    tls: as(serverTlsSettings, 'TLS ended by the sidecar.'),
    connectionPool: as(connectionPoolSettings, 'Limits for connections to the workload.'),
  }),
  celRule("(has(self.bind) && self.bind.startsWith('unix://')) || has(self.port.number)", 'port.number is required'),
);

const egressListener = withCel(
  object('A set of services the workload may reach, for all ports or for one.', {
    port: as(sidecarPort, 'Port to listen on; absent: those of the services.'),
    bind: string('Address to listen on.'),
    captureMode,
    hosts: required(
      list(string(), 'Services, as `namespace/host`; namespace may be `*`, `.` or `~`, host may start with or be *.'),
    ),
  }),
  celRule('self.hosts.size() > 0', 'needs at least one host in hosts, for example "./*"'),
);

export const sidecarSpec = withCel(
  object('What a sidecar takes in and reaches.', {
    workloadSelector: as(workloadLabelSelector, 'Workloads this is for; absent: all of the namespace.'),
    ingress: list(ingressListener, 'Ports that take traffic in; absent: those of the workload’s services.'),
    egress: list(egressListener, 'Services that can be reached; absent: all.'),
    inboundConnectionPool: as(connectionPoolSettings, 'Limits for connections to the workload.'),
    outboundTrafficPolicy,
  }),
  celRule(
    `${filled('ingress')} || ${filled('egress')} || ${set('outboundTrafficPolicy')} || ${set('inboundConnectionPool')}`,
    'needs at least one of ingress, egress, outboundTrafficPolicy, inboundConnectionPool',
  ),
);
export type SidecarSpec = TypeOf<typeof sidecarSpec>;
export type IstioIngressListener = TypeOf<typeof ingressListener>;
export type IstioEgressListener = TypeOf<typeof egressListener>;
