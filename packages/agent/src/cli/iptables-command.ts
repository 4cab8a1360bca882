import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { FlagSpec, ParsedArguments } from './arguments.ts';
import { applyInterception } from '../iptables/apply.ts';
import { probeInterception } from '../iptables/probe.ts';
import { DEFAULT_INTERCEPTION, InterceptionError } from '../iptables/settings.ts';
import type { InterceptionSettings } from '../iptables/settings.ts';
import { parseDuration } from '../duration.ts';

/** Flags of `pilot-agent istio-iptables`; names, short forms and defaults are Istio's. */
export const IPTABLES_FLAGS: readonly FlagSpec[] = [
  { name: 'capture-all-dns', kind: 'boolean', help: 'Capture DNS to any server, not only to those of resolv.conf' },
  { name: 'cleanup-only', kind: 'boolean', help: 'Remove the rules and do nothing else' },
  { name: 'cni-mode', kind: 'boolean', help: 'Called by the CNI plugin' },
  { name: 'drop-invalid', kind: 'boolean', help: 'Drop packets that connection tracking finds invalid' },
  { name: 'dry-run', short: 'n', kind: 'boolean', help: 'Print the rules, apply nothing' },
  { name: 'dual-stack', kind: 'boolean', help: 'Write rules for IPv4 and IPv6' },
  {
    name: 'envoy-port',
    short: 'p',
    kind: 'text',
    default: '15001',
    help: 'Port of Envoy that takes outbound connections',
  },
  { name: 'force-apply', kind: 'boolean', help: 'Apply the rules even if they are there' },
  { name: 'force-iptables-binary', kind: 'text', help: 'nft or legacy' },
  {
    name: 'inbound-capture-port',
    short: 'z',
    kind: 'text',
    default: '15006',
    help: 'Port of Envoy that takes inbound connections',
  },
  { name: 'inbound-tunnel-port', short: 'e', kind: 'text', default: '15008', help: 'Port of the mutual TLS tunnel' },
  {
    name: 'iptables-probe-port',
    kind: 'integer',
    default: '15002',
    help: 'Port that the check of the rules connects to',
  },
  { name: 'istio-exclude-interfaces', short: 'c', kind: 'list', help: 'Interfaces left alone' },
  { name: 'istio-inbound-interception-mode', short: 'm', kind: 'text', help: 'REDIRECT or TPROXY' },
  { name: 'istio-inbound-ports', short: 'b', kind: 'list', help: 'Inbound ports captured, * for all' },
  { name: 'istio-inbound-tproxy-mark', short: 't', kind: 'text', default: '1337', help: 'Mark of TPROXY packets' },
  {
    name: 'istio-inbound-tproxy-route-table',
    short: 'r',
    kind: 'text',
    default: '133',
    help: 'Routing table of TPROXY packets',
  },
  { name: 'istio-local-exclude-ports', short: 'd', kind: 'list', help: 'Inbound ports not captured' },
  { name: 'istio-local-outbound-ports-exclude', short: 'o', kind: 'list', help: 'Outbound ports not captured' },
  { name: 'istio-outbound-ports', short: 'q', kind: 'list', help: 'Outbound ports captured whatever the address' },
  { name: 'istio-service-cidr', short: 'i', kind: 'list', help: 'Outbound addresses captured, * for all' },
  { name: 'istio-service-exclude-cidr', short: 'x', kind: 'list', help: 'Outbound addresses not captured' },
  {
    name: 'kube-virt-interfaces',
    short: 'k',
    kind: 'list',
    help: 'Interfaces whose inbound traffic counts as outbound',
  },
  { name: 'native-nftables', kind: 'boolean', help: 'Use the nft back-end' },
  { name: 'network-namespace', kind: 'text', help: 'Path of the network namespace to work in' },
  { name: 'probe-timeout', kind: 'text', default: '5s', help: 'Time the check of the rules may take' },
  { name: 'proxy-gid', short: 'g', kind: 'list', help: "Groups whose connections are the proxy's own" },
  { name: 'proxy-uid', short: 'u', kind: 'list', help: "Users whose connections are the proxy's own" },
  { name: 'reconcile', kind: 'boolean', help: 'Replace rules that differ (always done)' },
  { name: 'redirect-dns', kind: 'boolean', help: 'Send DNS to the agent' },
  { name: 'run-validation', kind: 'boolean', help: 'Check that the rules work' },
  { name: 'skip-rule-apply', kind: 'boolean', help: 'Apply nothing, for use with --run-validation' },
];

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings from flags, with the variables that Istio reads beside them. */
export function readInterception(args: ParsedArguments, env: Environment, resolvConf: string): InterceptionSettings {
  const words = (text: string | undefined): readonly string[] =>
    (text ?? '')
      .split(',')
      .map((word) => word.trim())
      .filter((word) => word !== '');
  const port = (name: string): number => {
    const text = args.text(name);
    if (!/^\d{1,5}$/.test(text)) throw new InterceptionError(`--${name}`, `"${text}" is not a port`);
    return Number(text);
  };
  const mode = (
    args.text('istio-inbound-interception-mode') ||
    env.INBOUND_INTERCEPTION_MODE ||
    'REDIRECT'
  ).toUpperCase();
  if (mode !== 'REDIRECT' && mode !== 'TPROXY')
    throw new InterceptionError('--istio-inbound-interception-mode', `"${mode}" is neither REDIRECT nor TPROXY`);
  const orDefault = (list: readonly string[], fallback: readonly string[]): readonly string[] =>
    list.length === 0 ? fallback : list;
  return {
    mode,
    outboundPort: port('envoy-port'),
    inboundPort: port('inbound-capture-port'),
    tunnelPort: port('inbound-tunnel-port'),
    proxyUids: orDefault(args.list('proxy-uid'), DEFAULT_INTERCEPTION.proxyUids),
    proxyGids: orDefault(args.list('proxy-gid'), DEFAULT_INTERCEPTION.proxyGids),
    inboundPorts: args.list('istio-inbound-ports'),
    excludedInboundPorts: args.list('istio-local-exclude-ports'),
    outboundCidrs: args.list('istio-service-cidr'),
    excludedOutboundCidrs: args.list('istio-service-exclude-cidr'),
    outboundPorts: args.list('istio-outbound-ports'),
    excludedOutboundPorts: args.list('istio-local-outbound-ports-exclude'),
    virtualInterfaces: args.list('kube-virt-interfaces'),
    excludedInterfaces: args.list('istio-exclude-interfaces'),
    outboundGroups: orDefault(words(env.ISTIO_OUTBOUND_OWNER_GROUPS), ['*']),
    excludedOutboundGroups: words(env.ISTIO_OUTBOUND_OWNER_GROUPS_EXCLUDE),
    redirectDns: args.boolean('redirect-dns') || env.ISTIO_META_DNS_CAPTURE === 'true',
    captureAllDns: args.boolean('capture-all-dns'),
    dnsServers: nameServers(resolvConf),
    tproxyMark: args.given('istio-inbound-tproxy-mark')
      ? args.text('istio-inbound-tproxy-mark')
      : env.INBOUND_TPROXY_MARK || '1337',
    tproxyRouteTable: args.text('istio-inbound-tproxy-route-table'),
    dropInvalid: args.boolean('drop-invalid') || env.INVALID_DROP === 'true',
    loopbackCidr: env.ISTIO_OUTBOUND_IPV4_LOOPBACK_CIDR || '127.0.0.1/32',
  };
}

/** Addresses of `nameserver` lines (resolv.conf(5)); zones of link-local addresses are dropped. */
export function nameServers(resolvConf: string): readonly string[] {
  return resolvConf
    .split('\n')
    .map((line) => /^\s*nameserver\s+([0-9A-Fa-f:.]+)/.exec(line)?.[1])
    .filter((address): address is string => address !== undefined);
}

export async function runIptables(args: ParsedArguments, env: Environment): Promise<void> {
  let resolvConf = '';
  try {
    resolvConf = readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    // A pod without resolv.conf has no name servers to capture.
  }
  const settings = readInterception(args, env, resolvConf);
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter((address) => !address.internal && !address.address.startsWith('fe80:'));
  const hasV6 = addresses.some((address) => address.family === 'IPv6');
  const backend = args.text('force-iptables-binary');
  if (!['', 'nft', 'legacy'].includes(backend))
    throw new InterceptionError('--force-iptables-binary', `"${backend}" is neither nft nor legacy`);
  if (!args.boolean('skip-rule-apply')) {
    applyInterception(settings, {
      backend:
        args.boolean('native-nftables') || backend === 'nft' ? 'nft' : backend === 'legacy' ? 'legacy' : undefined,
      networkNamespace: args.text('network-namespace') || undefined,
      families: args.boolean('dual-stack') || hasV6 ? [4, 6] : [4],
      cleanupOnly: args.boolean('cleanup-only'),
      dryRun: args.boolean('dry-run'),
      print: (text) => process.stdout.write(text),
    });
  }
  if (!args.boolean('run-validation') || args.boolean('dry-run')) return;
  const podIp =
    env.INSTANCE_IP?.split(',')[0] ||
    addresses.find((address) => address.family === 'IPv4')?.address ||
    addresses[0]?.address;
  if (podIp === undefined)
    throw new InterceptionError('--run-validation', 'this network namespace has no address besides loopback');
  await probeInterception({
    podIp,
    probePort: args.integer('iptables-probe-port'),
    inboundPort: settings.inboundPort,
    timeoutMs: parseDuration(args.text('probe-timeout'), '--probe-timeout'),
    uid: Number(settings.proxyUids[0]),
    gid: Number(settings.proxyGids[0]),
  });
  process.stdout.write('interception rules work\n');
}
