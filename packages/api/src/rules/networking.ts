import { isIP } from 'node:net';
import type { RuleContext } from '../kind.ts';
import type { DestinationRuleSpec, TrafficPolicy } from '../networking/destination-rule.ts';
import type { GatewaySpec, Server } from '../networking/gateway.ts';
import type { ServiceEntrySpec } from '../networking/service-entry.ts';
import type { SidecarSpec } from '../networking/sidecar.ts';
import type { WorkloadEntrySpec, WorkloadGroupSpec } from '../networking/workload-entry.ts';
import { fieldPath, itemPath, type ProblemList, quote } from '../problems.ts';
import {
  checkExportTo,
  checkFqdn,
  checkHost,
  checkLabels,
  checkNamespacedHost,
  checkPort,
  checkPositive,
  checkProtocol,
  checkUnique,
  isDnsLabel,
  isHostName,
  isSubnet,
} from './checks.ts';
import {
  checkClientTls,
  checkConnectionPool,
  checkLoadBalancer,
  checkOutlierDetection,
  checkProbe,
  checkServerTls,
} from './traffic-settings.ts';

/** Rules of DestinationRule (istio.io, reference of Destination Rule). */
export function checkDestinationRule(spec: DestinationRuleSpec, problems: ProblemList): void {
  if (spec.host !== '') checkHost(spec.host, 'spec.host', problems);
  checkTrafficPolicy(spec.trafficPolicy, 'spec.trafficPolicy', problems);
  spec.subsets?.forEach((subset, index) => {
    const path = itemPath('spec.subsets', index);
    if (subset.name !== '' && !isDnsLabel(subset.name)) {
      problems.error(`${path}.name`, `${quote(subset.name)} is not a subset name; use letters, digits and "-"`);
    }
    checkLabels(subset.labels, `${path}.labels`, problems);
    checkTrafficPolicy(subset.trafficPolicy, `${path}.trafficPolicy`, problems);
  });
  checkUnique(
    (spec.subsets ?? []).map((subset) => subset.name),
    (index) => `${itemPath('spec.subsets', index)}.name`,
    problems,
  );
  checkExportTo(spec.exportTo, 'spec.exportTo', problems);
  checkLabels(spec.workloadSelector?.matchLabels, 'spec.workloadSelector.matchLabels', problems);
}

function checkTrafficPolicy(policy: TrafficPolicy | undefined, path: string, problems: ProblemList): void {
  if (!policy) return;
  if (Object.keys(policy).length === 0) problems.error(path, 'must not be empty; set at least one field or remove it');
  checkLoadBalancer(policy.loadBalancer, `${path}.loadBalancer`, problems);
  checkConnectionPool(policy.connectionPool, `${path}.connectionPool`, problems);
  checkOutlierDetection(policy.outlierDetection, `${path}.outlierDetection`, problems);
  checkClientTls(policy.tls, `${path}.tls`, problems);
  policy.portLevelSettings?.forEach((port, index) => {
    const at = itemPath(`${path}.portLevelSettings`, index);
    if (port.port?.number === undefined) problems.error(`${at}.port.number`, 'is required');
    checkLoadBalancer(port.loadBalancer, `${at}.loadBalancer`, problems);
    checkConnectionPool(port.connectionPool, `${at}.connectionPool`, problems);
    checkOutlierDetection(port.outlierDetection, `${at}.outlierDetection`, problems);
    checkClientTls(port.tls, `${at}.tls`, problems);
  });
  checkUnique(
    (policy.portLevelSettings ?? []).map((port) => port.port?.number),
    (index) => `${itemPath(`${path}.portLevelSettings`, index)}.port.number`,
    problems,
  );
  const { tunnel } = policy;
  if (tunnel) {
    if (tunnel.protocol && tunnel.protocol !== 'CONNECT' && tunnel.protocol !== 'POST') {
      problems.error(`${path}.tunnel.protocol`, `must be CONNECT or POST, not ${quote(tunnel.protocol)}`);
    }
    checkFqdn(tunnel.targetHost, `${path}.tunnel.targetHost`, problems);
    checkPort(tunnel.targetPort, `${path}.tunnel.targetPort`, problems);
  }
  checkPositive(policy.retryBudget?.budgetInterval, `${path}.retryBudget.budgetInterval`, problems);
}

/** Rules of Gateway (istio.io, reference of Gateway). */
export function checkGateway(spec: GatewaySpec, problems: ProblemList): void {
  const servers = spec.servers ?? [];
  if (servers.length === 0) problems.error('spec.servers', 'needs at least one server');
  checkLabels(spec.selector, 'spec.selector', problems);
  servers.forEach((server, index) => {
    checkServer(server, itemPath('spec.servers', index), problems);
  });
  checkUnique(
    servers.map((server) => server.port.name),
    (index) => `${itemPath('spec.servers', index)}.port.name`,
    problems,
  );
  checkUnique(
    servers.map((server) => server.name),
    (index) => `${itemPath('spec.servers', index)}.name`,
    problems,
  );
}

function checkServer(server: Server, path: string, problems: ProblemList): void {
  const unix = server.bind?.startsWith('unix://') === true;
  if (server.bind && !unix && isIP(server.bind) === 0) {
    problems.error(`${path}.bind`, `${quote(server.bind)} is not an IP address or unix:// path`);
  }
  if (unix) {
    if (server.port.number !== 0) problems.error(`${path}.port.number`, 'must be 0 with a Unix socket');
  } else checkPort(server.port.number, `${path}.port.number`, problems);
  if (server.hosts.length === 0) problems.error(`${path}.hosts`, 'needs at least one host; use "*" for all');
  server.hosts.forEach((host, index) => {
    checkNamespacedHost(host, itemPath(`${path}.hosts`, index), problems, false);
  });
  if (server.port.protocol === '') return;
  checkProtocol(server.port.protocol, `${path}.port.protocol`, problems);
  const secure = /^(https|tls|hbone)$/i.test(server.port.protocol);
  const { tls } = server;
  if (secure && !tls && !/^hbone$/i.test(server.port.protocol)) {
    problems.error(`${path}.tls`, `is required for protocol ${server.port.protocol}`);
  }
  if (!tls) return;
  if (!secure) {
    const onlyRedirect = tls.httpsRedirect === true && Object.keys(tls).length === 1;
    if (/^(http|http2|grpc)$/i.test(server.port.protocol)) {
      if (!onlyRedirect && Object.keys(tls).some((field) => field !== 'httpsRedirect')) {
        problems.error(
          `${path}.tls`,
          `protocol ${server.port.protocol} cannot have TLS settings other than httpsRedirect; use HTTPS`,
        );
      }
    } else if (tls.mode !== undefined || tls.credentialName !== undefined) {
      problems.error(`${path}.tls`, `protocol ${server.port.protocol} cannot have TLS settings; use TLS`);
    }
    return;
  }
  if (tls.httpsRedirect) problems.error(`${path}.tls.httpsRedirect`, 'works only on a server with protocol HTTP');
  checkServerTls(tls, `${path}.tls`, problems);
}

/** Rules of ServiceEntry (istio.io, reference of Service Entry). */
export function checkServiceEntry(spec: ServiceEntrySpec, problems: ProblemList): void {
  spec.hosts.forEach((host, index) => {
    const path = itemPath('spec.hosts', index);
    if (host === '*') problems.error(path, '"*" is not allowed; name the hosts, for example *.example.com');
    else checkHost(host, path, problems);
  });
  checkUnique(spec.hosts, (index) => itemPath('spec.hosts', index), problems);
  checkExportTo(spec.exportTo, 'spec.exportTo', problems);
  const ports = spec.ports ?? [];
  ports.forEach((port, index) => {
    const path = itemPath('spec.ports', index);
    checkPort(port.number, `${path}.number`, problems);
    if (port.targetPort) checkPort(port.targetPort, `${path}.targetPort`, problems);
    if (port.name !== '' && !isDnsLabel(port.name))
      problems.error(`${path}.name`, `${quote(port.name)} is not a port name`);
    if (port.protocol) checkProtocol(port.protocol, `${path}.protocol`, problems);
  });
  checkUnique(
    ports.map((port) => port.number),
    (index) => `${itemPath('spec.ports', index)}.number`,
    problems,
  );
  checkUnique(
    ports.map((port) => port.name),
    (index) => `${itemPath('spec.ports', index)}.name`,
    problems,
  );
  checkAddresses(spec, problems);
  checkLabels(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', problems);
  const endpoints = spec.endpoints ?? [];
  if (endpoints.length > 0 && spec.workloadSelector)
    problems.error('spec', 'only one of endpoints, workloadSelector may be set');
  const names = new Set(ports.map((port) => port.name));
  endpoints.forEach((endpoint, index) => {
    const path = itemPath('spec.endpoints', index);
    checkEndpoint(endpoint, spec.resolution, path, problems);
    for (const name of Object.keys(endpoint.ports ?? {})) {
      if (!names.has(name)) problems.error(fieldPath(`${path}.ports`, name), 'spec.ports has no port of this name');
    }
  });
  checkResolution(spec, problems);
}

function checkAddresses(spec: ServiceEntrySpec, problems: ProblemList): void {
  spec.addresses?.forEach((address, index) => {
    const path = itemPath('spec.addresses', index);
    if (!isSubnet(address)) problems.error(path, `${quote(address)} is not an IP address or range such as 10.0.0.0/8`);
    else if (address.includes('/') && spec.resolution !== 'NONE' && spec.resolution !== 'STATIC') {
      problems.error(path, `address ranges need resolution NONE or STATIC, not ${spec.resolution}`);
    }
  });
}

function checkEndpoint(
  endpoint: WorkloadEntrySpec,
  resolution: ServiceEntrySpec['resolution'],
  path: string,
  problems: ProblemList,
): void {
  checkWorkloadEntry(endpoint, path, problems);
  const { address } = endpoint;
  if (resolution === 'STATIC' && address && isIP(address) === 0 && !address.startsWith('unix://')) {
    problems.error(
      `${path}.address`,
      `${quote(address)} must be an IP address with resolution STATIC; use DNS for names`,
    );
  }
}

function checkResolution(spec: ServiceEntrySpec, problems: ProblemList): void {
  const endpoints = spec.endpoints ?? [];
  const wildcard = spec.hosts.find((host) => host.startsWith('*'));
  switch (spec.resolution) {
    case 'NONE':
      if (endpoints.length > 0) {
        problems.error('spec.endpoints', 'must be empty with resolution NONE; use STATIC or DNS');
      }
      break;
    case 'STATIC':
      break;
    case 'DNS':
    case 'DNS_ROUND_ROBIN':
      if (endpoints.length === 0 && !spec.workloadSelector && wildcard !== undefined) {
        problems.error(
          'spec.hosts',
          `${quote(wildcard)} cannot be resolved by DNS; name endpoints, or use resolution NONE or DYNAMIC_DNS`,
        );
      }
      if (spec.resolution === 'DNS_ROUND_ROBIN' && endpoints.length > 1) {
        problems.error('spec.endpoints', 'must have at most one item with resolution DNS_ROUND_ROBIN');
      }
      break;
    case 'DYNAMIC_DNS':
      if (endpoints.length > 0 || spec.workloadSelector) {
        problems.error(
          'spec',
          'resolution DYNAMIC_DNS takes names from requests: remove endpoints and workloadSelector',
        );
      }
      if (spec.hosts.some((host) => host !== '' && !host.startsWith('*'))) {
        problems.error('spec.hosts', 'must be wildcards with resolution DYNAMIC_DNS; use DNS for single hosts');
      }
      if (spec.location === 'MESH_INTERNAL') {
        problems.error('spec.location', 'must be MESH_EXTERNAL with resolution DYNAMIC_DNS');
      }
      break;
    default:
      spec.resolution satisfies never;
  }
}

/** Rules of a workload outside Kubernetes; `path` is `spec`, or an endpoint of a ServiceEntry. */
export function checkWorkloadEntry(spec: WorkloadEntrySpec, path: string, problems: ProblemList): void {
  const { address } = spec;
  if (!address) {
    if (!spec.network)
      problems.error(`${path}.address`, 'is required (only a workload behind a network gateway may lack it)');
  } else if (address.startsWith('unix://')) {
    if (!/^unix:\/\/[/@]/.test(address))
      problems.error(`${path}.address`, 'a Unix socket needs an absolute path: unix:///path');
    if (Object.keys(spec.ports ?? {}).length > 0) problems.error(`${path}.ports`, 'must be empty with a Unix socket');
  } else if (isIP(address) === 0 && !isHostName(address)) {
    problems.error(`${path}.address`, `${quote(address)} is not an IP address, host name or unix:// path`);
  }
  for (const name of Object.keys(spec.ports ?? {})) {
    if (!isDnsLabel(name)) problems.error(fieldPath(`${path}.ports`, name), `${quote(name)} is not a port name`);
  }
  checkLabels(spec.labels, `${path}.labels`, problems);
}

/** Rules of WorkloadGroup (istio.io, reference of Workload Group). */
export function checkWorkloadGroup(spec: WorkloadGroupSpec, problems: ProblemList): void {
  checkLabels(spec.metadata?.labels, 'spec.metadata.labels', problems);
  checkLabels(spec.template.labels, 'spec.template.labels', problems);
  if (spec.template.address)
    problems.warning('spec.template.address', 'is not used: each workload has its own address');
  checkProbe(spec.probe, 'spec.probe', problems);
}

/** Rules of Sidecar (istio.io, reference of Sidecar). */
export function checkSidecar(spec: SidecarSpec, problems: ProblemList, context: RuleContext): void {
  const ingress = spec.ingress ?? [];
  const egress = spec.egress ?? [];
  checkLabels(spec.workloadSelector?.labels, 'spec.workloadSelector.labels', problems);
  if (spec.workloadSelector && Object.keys(spec.workloadSelector.labels ?? {}).length === 0) {
    problems.warning(
      'spec.workloadSelector',
      `selects nothing in particular; remove it to select all workloads of ${context.namespace || 'the namespace'}`,
    );
  }
  if (ingress.length + egress.length === 0 && !spec.outboundTrafficPolicy && !spec.inboundConnectionPool) {
    problems.error('spec', 'needs at least one of ingress, egress, outboundTrafficPolicy, inboundConnectionPool');
  }
  checkConnectionPool(spec.inboundConnectionPool, 'spec.inboundConnectionPool', problems);
  ingress.forEach((listener, index) => {
    const path = itemPath('spec.ingress', index);
    checkSidecarPort(listener.port, listener.bind, `${path}.port`, problems);
    const { defaultEndpoint } = listener;
    if (defaultEndpoint && !/^(127\.0\.0\.1|0\.0\.0\.0|\[::1?\]):[0-9]{1,5}$|^unix:\/\/[/@]./.test(defaultEndpoint)) {
      problems.error(
        `${path}.defaultEndpoint`,
        `${quote(defaultEndpoint)} must be 127.0.0.1:PORT, 0.0.0.0:PORT, [::1]:PORT, [::]:PORT or unix:///path`,
      );
    } else if (defaultEndpoint && !defaultEndpoint.startsWith('unix://')) {
      checkPort(
        Number(defaultEndpoint.slice(defaultEndpoint.lastIndexOf(':') + 1)),
        `${path}.defaultEndpoint`,
        problems,
      );
    }
    if (listener.tls) {
      if (listener.tls.httpsRedirect) problems.error(`${path}.tls.httpsRedirect`, 'is not supported in a Sidecar');
      checkServerTls(listener.tls, `${path}.tls`, problems);
    }
    checkConnectionPool(listener.connectionPool, `${path}.connectionPool`, problems);
  });
  checkUnique(
    ingress.map((listener) => listener.port.number),
    (index) => `${itemPath('spec.ingress', index)}.port.number`,
    problems,
  );
  egress.forEach((listener, index) => {
    const path = itemPath('spec.egress', index);
    if (listener.port) checkSidecarPort(listener.port, listener.bind, `${path}.port`, problems);
    else if (index !== egress.length - 1) {
      problems.error(path, 'the listener without a port takes all ports and must be the only such one, at the end');
    } else if (listener.bind) problems.error(`${path}.bind`, 'needs a port');
    if (listener.bind?.startsWith('unix://') && listener.captureMode === 'IPTABLES') {
      problems.error(`${path}.captureMode`, 'must be DEFAULT or NONE with a Unix socket');
    }
    if (listener.hosts.length === 0) problems.error(`${path}.hosts`, 'needs at least one host, for example "./*"');
    listener.hosts.forEach((host, at) => {
      checkNamespacedHost(host, itemPath(`${path}.hosts`, at), problems, true);
    });
  });
  const proxy = spec.outboundTrafficPolicy?.egressProxy;
  if (proxy) {
    if (spec.outboundTrafficPolicy?.mode !== 'ALLOW_ANY') {
      problems.error('spec.outboundTrafficPolicy.egressProxy', 'needs mode: ALLOW_ANY');
    }
    checkFqdn(proxy.host, 'spec.outboundTrafficPolicy.egressProxy.host', problems);
  }
}

function checkSidecarPort(
  port: { readonly number?: number; readonly protocol?: string },
  bind: string | undefined,
  path: string,
  problems: ProblemList,
): void {
  if (bind?.startsWith('unix://')) {
    if (port.number) problems.error(`${path}.number`, 'must be 0 with a Unix socket');
  } else if (port.number === undefined) problems.error(`${path}.number`, 'is required');
  else checkPort(port.number, `${path}.number`, problems);
  if (bind && !bind.startsWith('unix://') && isIP(bind) === 0) {
    problems.error(path.replace(/port$/, 'bind'), `${quote(bind)} is not an IP address or unix:// path`);
  }
  if (port.protocol) checkProtocol(port.protocol, `${path}.protocol`, problems);
}
