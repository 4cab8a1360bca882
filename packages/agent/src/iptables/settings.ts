/** Which traffic of a pod goes through its proxy: the flags and variables of `pilot-agent istio-iptables`, decoded. */
export interface InterceptionSettings {
  readonly mode: 'REDIRECT' | 'TPROXY';
  /** Port of Envoy that takes outbound connections. */
  readonly outboundPort: number;
  /** Port of Envoy that takes inbound connections. */
  readonly inboundPort: number;
  /** Port of the mutual-TLS tunnel, which is never redirected. */
  readonly tunnelPort: number;
  /** Users and groups whose connections are the proxy's own. */
  readonly proxyUids: readonly string[];
  readonly proxyGids: readonly string[];
  /** `*` for all ports, else the ports captured; empty captures nothing. */
  readonly inboundPorts: readonly string[];
  readonly excludedInboundPorts: readonly string[];
  /** `*` for all addresses, else CIDRs of both families. */
  readonly outboundCidrs: readonly string[];
  readonly excludedOutboundCidrs: readonly string[];
  /** Ports captured whatever their address. */
  readonly outboundPorts: readonly string[];
  readonly excludedOutboundPorts: readonly string[];
  /** Interfaces of virtual machines whose traffic counts as outbound. */
  readonly virtualInterfaces: readonly string[];
  readonly excludedInterfaces: readonly string[];
  /** Only connections of these groups are captured (`*` for all), except the excluded ones. */
  readonly outboundGroups: readonly string[];
  readonly excludedOutboundGroups: readonly string[];
  readonly redirectDns: boolean;
  /** Captures DNS to any server, not only to those of resolv.conf. */
  readonly captureAllDns: boolean;
  /** Name servers of resolv.conf, both families. */
  readonly dnsServers: readonly string[];
  readonly tproxyMark: string;
  readonly tproxyRouteTable: string;
  readonly dropInvalid: boolean;
  /** Loopback range of IPv4 that stays inside the pod. */
  readonly loopbackCidr: string;
}

export const DEFAULT_INTERCEPTION: InterceptionSettings = {
  mode: 'REDIRECT',
  outboundPort: 15001,
  inboundPort: 15006,
  tunnelPort: 15008,
  proxyUids: ['1337'],
  proxyGids: ['1337'],
  inboundPorts: [],
  excludedInboundPorts: [],
  outboundCidrs: [],
  excludedOutboundCidrs: [],
  outboundPorts: [],
  excludedOutboundPorts: [],
  virtualInterfaces: [],
  excludedInterfaces: [],
  outboundGroups: ['*'],
  excludedOutboundGroups: [],
  redirectDns: false,
  captureAllDns: false,
  dnsServers: [],
  tproxyMark: '1337',
  tproxyRouteTable: '133',
  dropInvalid: false,
  loopbackCidr: '127.0.0.1/32',
};

/** Thrown for a setting that would give a wrong or dangerous rule; names the flag. */
export class InterceptionError extends Error {
  constructor(flag: string, message: string) {
    super(`${flag}: ${message}`);
    this.name = 'InterceptionError';
  }
}

/** Checks every value that reaches a rule. The values come from annotations of pods, so nothing but what each field needs passes. */
export function validateInterception(settings: InterceptionSettings): void {
  const ports = (flag: string, list: readonly string[], wildcard: boolean): void => {
    for (const port of list) {
      if (wildcard && port === '*') continue;
      if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65535)
        throw new InterceptionError(flag, `"${port}" is not a port`);
    }
  };
  const cidrs = (flag: string, list: readonly string[], wildcard: boolean): void => {
    for (const cidr of list) {
      if (wildcard && cidr === '*') continue;
      if (familyOf(cidr) === undefined)
        throw new InterceptionError(flag, `"${cidr}" is not a CIDR such as 10.0.0.0/16`);
    }
  };
  const names = (flag: string, list: readonly string[], pattern: RegExp): void => {
    for (const name of list)
      if (!pattern.test(name)) throw new InterceptionError(flag, `"${name}" is not a valid name`);
  };
  ports('--istio-inbound-ports', settings.inboundPorts, true);
  ports('--istio-local-exclude-ports', settings.excludedInboundPorts, false);
  ports('--istio-outbound-ports', settings.outboundPorts, false);
  ports('--istio-local-outbound-ports-exclude', settings.excludedOutboundPorts, false);
  ports('--envoy-port', [String(settings.outboundPort)], false);
  ports('--inbound-capture-port', [String(settings.inboundPort)], false);
  ports('--inbound-tunnel-port', [String(settings.tunnelPort)], false);
  cidrs('--istio-service-cidr', settings.outboundCidrs, true);
  cidrs('--istio-service-exclude-cidr', settings.excludedOutboundCidrs, true);
  cidrs('ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR', [settings.loopbackCidr], false);
  const owner = /^[a-z0-9_][a-z0-9_-]{0,31}$/i;
  names('--proxy-uid', settings.proxyUids, owner);
  names('--proxy-gid', settings.proxyGids, owner);
  names(
    'ISTIO_OUTBOUND_OWNER_GROUPS',
    settings.outboundGroups.filter((group) => group !== '*'),
    owner,
  );
  names('ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE', settings.excludedOutboundGroups, owner);
  const device = /^[A-Za-z0-9_.@-]{1,15}\+?$/;
  names('--kube-virt-interfaces', settings.virtualInterfaces, device);
  names('--istio-exclude-interfaces', settings.excludedInterfaces, device);
  names('--istio-inbound-tproxy-mark', [settings.tproxyMark], /^(0x[0-9a-f]{1,8}|\d{1,10})$/i);
  names('--istio-inbound-tproxy-route-table', [settings.tproxyRouteTable], /^\d{1,10}$/);
}

/** Family of an address or CIDR in text form. */
export function familyOf(cidr: string): 4 | 6 | undefined {
  const [address = '', length, ...rest] = cidr.split('/');
  if (rest.length > 0 || (length !== undefined && !/^\d{1,3}$/.test(length))) return undefined;
  if (/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
    return address.split('.').every((part) => Number(part) <= 255) && Number(length ?? 32) <= 32 ? 4 : undefined;
  }
  return /^[0-9a-f:.]{2,45}$/i.test(address) && address.includes(':') && Number(length ?? 128) <= 128 ? 6 : undefined;
}
