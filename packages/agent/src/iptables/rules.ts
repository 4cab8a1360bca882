import { familyOf } from './settings.ts';
import type { InterceptionSettings } from './settings.ts';

/** One rule: table, chain and the words after `-A CHAIN`. */
export interface Rule {
  readonly table: 'raw' | 'mangle' | 'nat';
  readonly chain: string;
  readonly match: string;
}

/** Prometheus, health and agent ports of the proxy: asked directly, never through Envoy's inbound listener. */
const OWN_PORTS = ['15090', '15021', '15020'];

/**
 * The rules of one address family that send a pod's TCP through Envoy (and DNS through the agent, if asked).
 * Chain names and order are Istio's ("Sidecar traffic interception": ISTIO_INBOUND, ISTIO_IN_REDIRECT, ISTIO_OUTPUT, ISTIO_REDIRECT).
 */
export function interceptionRules(settings: InterceptionSettings, family: 4 | 6): readonly Rule[] {
  const nat = (chain: string, match: string): Rule => ({ table: 'nat', chain, match });
  const mangle = (chain: string, match: string): Rule => ({ table: 'mangle', chain, match });
  const loopback = family === 4 ? settings.loopbackCidr : '::1/128';
  // Envoy opens connections to the application from this address; they must not come back to Envoy.
  const passthrough = family === 4 ? '127.0.0.6/32' : '::6/128';
  const rules: Rule[] = [];

  if (settings.dropInvalid)
    rules.push(
      mangle('ISTIO_DROP', '-m conntrack --ctstate INVALID -j DROP'),
      mangle('PREROUTING', '-p tcp -j ISTIO_DROP'),
    );

  // Some interfaces are left alone altogether.
  for (const name of settings.excludedInterfaces) {
    rules.push(nat('PREROUTING', `-i ${name} -j RETURN`), nat('OUTPUT', `-o ${name} -j RETURN`));
    if (settings.mode === 'TPROXY')
      rules.push(mangle('PREROUTING', `-i ${name} -j RETURN`), mangle('OUTPUT', `-o ${name} -j RETURN`));
  }

  // Where captured connections go.
  rules.push(nat('ISTIO_REDIRECT', `-p tcp -j REDIRECT --to-ports ${settings.outboundPort}`));
  rules.push(nat('ISTIO_IN_REDIRECT', `-p tcp -j REDIRECT --to-ports ${settings.inboundPort}`));

  rules.push(...inboundRules(settings, family, loopback, passthrough));

  // Outbound.
  if (settings.excludedOutboundPorts.length > 0) {
    for (const port of settings.excludedOutboundPorts) {
      rules.push(nat('ISTIO_OUTPUT', `-p tcp --dport ${port} -j RETURN`));
      if (settings.redirectDns) rules.push(nat('ISTIO_OUTPUT', `-p udp --dport ${port} -j RETURN`));
    }
  }
  rules.push(nat('ISTIO_OUTPUT', `-o lo -s ${passthrough} -j RETURN`));
  const owners = [
    ...settings.proxyUids.map((id) => ({ owner: `--uid-owner ${id}`, not: `! --uid-owner ${id}` })),
    ...settings.proxyGids.map((id) => ({ owner: `--gid-owner ${id}`, not: `! --gid-owner ${id}` })),
  ];
  const notDns = settings.redirectDns ? '-p tcp ! --dport 53' : '';
  for (const { owner, not } of owners) {
    // The proxy calls its own pod's service: in through the inbound listener, except for the tunnel.
    rules.push(
      nat(
        'ISTIO_OUTPUT',
        `-o lo ! -d ${loopback} -p tcp ! --dport ${settings.tunnelPort} -m owner ${owner} -j ISTIO_IN_REDIRECT`,
      ),
    );
    // The application calls itself by the pod's address: straight.
    rules.push(nat('ISTIO_OUTPUT', `-o lo ${notDns === '' ? '' : `${notDns} `}-m owner ${not} -j RETURN`));
    // The proxy's own connections to the world: straight.
    rules.push(nat('ISTIO_OUTPUT', `-m owner ${owner} -j RETURN`));
  }
  if (!settings.outboundGroups.includes('*')) {
    for (const group of settings.outboundGroups)
      rules.push(nat('ISTIO_OUTPUT', `-m owner ! --gid-owner ${group} -j RETURN`));
  }
  for (const group of settings.excludedOutboundGroups)
    rules.push(nat('ISTIO_OUTPUT', `-m owner --gid-owner ${group} -j RETURN`));
  if (settings.redirectDns) {
    const servers = settings.dnsServers.filter((server) => familyOf(server) === family);
    if (settings.captureAllDns) rules.push(nat('ISTIO_OUTPUT', '-p tcp --dport 53 -j REDIRECT --to-ports 15053'));
    else
      for (const server of servers)
        rules.push(nat('ISTIO_OUTPUT', `-d ${server} -p tcp --dport 53 -j REDIRECT --to-ports 15053`));
    rules.push(...udpDnsRules(settings, servers, owners));
  }
  rules.push(nat('ISTIO_OUTPUT', `-d ${loopback} -j RETURN`));
  for (const cidr of ofFamily(settings.excludedOutboundCidrs, family))
    rules.push(nat('ISTIO_OUTPUT', `-d ${cidr} -j RETURN`));
  for (const name of settings.virtualInterfaces) rules.push(nat('PREROUTING', `-i ${name} -j ISTIO_OUTBOUND_VIRT`));
  for (const port of settings.outboundPorts)
    rules.push(nat('ISTIO_OUTPUT', `-p tcp --dport ${port} -j ISTIO_REDIRECT`));
  if (settings.outboundCidrs.includes('*')) {
    rules.push(nat('ISTIO_OUTPUT', '-j ISTIO_REDIRECT'));
    for (const _ of settings.virtualInterfaces.slice(0, 1))
      rules.push(nat('ISTIO_OUTBOUND_VIRT', '-p tcp -j ISTIO_REDIRECT'));
  } else {
    for (const cidr of ofFamily(settings.outboundCidrs, family)) {
      rules.push(nat('ISTIO_OUTPUT', `-d ${cidr} -j ISTIO_REDIRECT`));
      for (const _ of settings.virtualInterfaces.slice(0, 1))
        rules.push(nat('ISTIO_OUTBOUND_VIRT', `-d ${cidr} -p tcp -j ISTIO_REDIRECT`));
    }
    for (const _ of settings.virtualInterfaces.slice(0, 1)) rules.push(nat('ISTIO_OUTBOUND_VIRT', '-j RETURN'));
  }
  rules.push(nat('OUTPUT', '-j ISTIO_OUTPUT'));
  return rules;
}

function inboundRules(
  settings: InterceptionSettings,
  family: 4 | 6,
  loopback: string,
  passthrough: string,
): readonly Rule[] {
  if (settings.inboundPorts.length === 0) return [];
  const tproxy = settings.mode === 'TPROXY';
  const table = tproxy ? 'mangle' : 'nat';
  const rule = (chain: string, match: string): Rule => ({ table, chain, match });
  const target = tproxy ? 'ISTIO_TPROXY' : 'ISTIO_IN_REDIRECT';
  const mark = settings.tproxyMark;
  const rules: Rule[] = [];
  if (tproxy) {
    rules.push(
      rule('ISTIO_DIVERT', `-j MARK --set-mark ${mark}`),
      rule('ISTIO_DIVERT', '-j ACCEPT'),
      rule(
        'ISTIO_TPROXY',
        `! -d ${loopback} -p tcp -j TPROXY --on-port ${settings.inboundPort} --on-ip ${family === 4 ? '127.0.0.1' : '::1'} --tproxy-mark ${mark}/0xffffffff`,
      ),
      // Replies of the application to connections that Envoy opened with the client's own address.
      rule('PREROUTING', `-p tcp -m mark --mark ${mark} -j CONNMARK --save-mark`),
      rule('OUTPUT', `-p tcp -m connmark --mark ${mark} -j CONNMARK --restore-mark`),
      rule('ISTIO_INBOUND', `-p tcp -m mark --mark ${mark} -j RETURN`),
      rule('ISTIO_INBOUND', `-s ${passthrough} -i lo -p tcp -j RETURN`),
      rule('ISTIO_INBOUND', `-i lo -p tcp -m mark ! --mark ${mark} -j RETURN`),
    );
  }
  rules.push(rule('ISTIO_INBOUND', `-p tcp --dport ${settings.tunnelPort} -j RETURN`));
  if (settings.inboundPorts.includes('*')) {
    for (const port of new Set([...settings.excludedInboundPorts, ...OWN_PORTS]))
      rules.push(rule('ISTIO_INBOUND', `-p tcp --dport ${port} -j RETURN`));
    if (tproxy) rules.push(rule('ISTIO_INBOUND', '-p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT'));
    rules.push(rule('ISTIO_INBOUND', `-p tcp -j ${target}`));
  } else {
    for (const port of settings.inboundPorts) {
      if (tproxy)
        rules.push(
          rule('ISTIO_INBOUND', `-p tcp --dport ${port} -m conntrack --ctstate RELATED,ESTABLISHED -j ISTIO_DIVERT`),
        );
      rules.push(rule('ISTIO_INBOUND', `-p tcp --dport ${port} -j ${target}`));
    }
  }
  rules.push(rule('PREROUTING', '-p tcp -j ISTIO_INBOUND'));
  return rules;
}

/** UDP queries go to the agent's DNS port. Separate conntrack zones keep the agent's own queries apart from the application's. */
function udpDnsRules(
  settings: InterceptionSettings,
  servers: readonly string[],
  owners: readonly { readonly owner: string }[],
): readonly Rule[] {
  const nat = (match: string): Rule => ({ table: 'nat', chain: 'ISTIO_OUTPUT_DNS', match });
  const raw = (chain: string, match: string): Rule => ({ table: 'raw', chain, match });
  const rules: Rule[] = [];
  for (const { owner } of owners) {
    rules.push(nat(`-p udp --dport 53 -m owner ${owner} -j RETURN`));
    rules.push(raw('ISTIO_OUTPUT_DNS', `-p udp --dport 53 -m owner ${owner} -j CT --zone 1`));
    rules.push(raw('ISTIO_OUTPUT_DNS', `-p udp --sport 15053 -m owner ${owner} -j CT --zone 2`));
  }
  if (settings.captureAllDns) {
    rules.push(nat('-p udp --dport 53 -j REDIRECT --to-ports 15053'));
    rules.push(raw('ISTIO_OUTPUT_DNS', '-p udp --dport 53 -j CT --zone 2'));
    rules.push(raw('ISTIO_INBOUND', '-p udp --sport 53 -j CT --zone 1'));
  } else {
    for (const server of servers) {
      rules.push(nat(`-d ${server} -p udp --dport 53 -j REDIRECT --to-ports 15053`));
      rules.push(raw('ISTIO_OUTPUT_DNS', `-d ${server} -p udp --dport 53 -j CT --zone 2`));
      rules.push(raw('ISTIO_INBOUND', `-s ${server} -p udp --sport 53 -j CT --zone 1`));
    }
  }
  rules.push({ table: 'nat', chain: 'OUTPUT', match: '-p udp -j ISTIO_OUTPUT_DNS' });
  rules.push(raw('OUTPUT', '-p udp -j ISTIO_OUTPUT_DNS'));
  rules.push(raw('PREROUTING', '-p udp -j ISTIO_INBOUND'));
  return rules;
}

function ofFamily(cidrs: readonly string[], family: 4 | 6): readonly string[] {
  return cidrs.flatMap((cidr) =>
    cidr === '*' ? [family === 4 ? '0.0.0.0/0' : '::/0'] : familyOf(cidr) === family ? [cidr] : [],
  );
}
