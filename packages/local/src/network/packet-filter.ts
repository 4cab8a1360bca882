import type { RunCommand } from './command.ts';
import type { PortRules } from './service-rules.ts';

const TABLE = 'ip istio-local';

/** The table without any service. Replaces what an earlier process left. */
const SKELETON = `
table ${TABLE} { }
delete table ${TABLE}
table ${TABLE} {
  map services {
    type ipv4_addr . inet_proto . inet_service : verdict
  }
  set refused {
    type ipv4_addr . inet_proto . inet_service
  }
  set loops {
    type ipv4_addr . ipv4_addr
  }
  chain refuse {
    meta l4proto tcp reject with tcp reset
    reject
  }
  chain refuse-forwarded {
    type filter hook prerouting priority -110
    ip daddr . meta l4proto . th dport @refused goto refuse
  }
  chain refuse-own {
    type filter hook output priority -110
    ip daddr . meta l4proto . th dport @refused goto refuse
  }
  chain translate-forwarded {
    type nat hook prerouting priority -100
    ip daddr . meta l4proto . th dport vmap @services
  }
  chain translate-own {
    type nat hook output priority -100
    ip daddr . meta l4proto . th dport vmap @services
  }
  chain loop-back {
    type nat hook postrouting priority 100
    ct status dnat ip saddr . ip daddr @loops masquerade
  }
}
`;

/** The nftables rules of all services of a cluster. */
export interface PacketFilter {
  /** Sets the rules of one service (none: removes them). They take effect with the next flush. */
  set(service: string, rules: readonly PortRules[]): void;
  /** Applies all changes in one transaction. */
  flush(): Promise<void>;
}

interface State {
  readonly chains: ReadonlyMap<string, string>;
  readonly matches: ReadonlyMap<string, string>;
  readonly refused: ReadonlySet<string>;
  readonly loops: ReadonlySet<string>;
}

const EMPTY: State = { chains: new Map(), matches: new Map(), refused: new Set(), loops: new Set() };

/** Calls to `run` happen in the namespace the rules are for. */
export function createPacketFilter(run: RunCommand): PacketFilter {
  const services = new Map<string, readonly PortRules[]>();
  let applied: State | undefined;
  let flushing: Promise<void> = Promise.resolve();
  return {
    set(service, rules) {
      if (rules.length === 0) services.delete(service);
      else services.set(service, rules);
    },
    flush() {
      const next = flushing
        .catch(() => {})
        .then(async () => {
          const wanted = stateOf(services.values());
          const script = applied === undefined ? SKELETON + changes(EMPTY, wanted) : changes(applied, wanted);
          if (script === '') return;
          try {
            await run('nft', ['-f', '-'], { input: script });
            applied = wanted;
          } catch (error) {
            // What the kernel has now is not known for sure: the next flush starts from an empty table.
            applied = undefined;
            throw error;
          }
        });
      flushing = next;
      return next;
    },
  };
}

function stateOf(services: Iterable<readonly PortRules[]>): State {
  const chains = new Map<string, string>();
  const matches = new Map<string, string>();
  const refused = new Set<string>();
  const loops = new Set<string>();
  for (const rules of services) {
    for (const { chain, rule, matches: own, addresses } of rules) {
      if (rule !== undefined) chains.set(chain, rule);
      for (const match of own) {
        // Two services may claim one external address; the first one keeps it.
        if (matches.has(match) || refused.has(match)) continue;
        if (rule === undefined) refused.add(match);
        else matches.set(match, chain);
      }
      for (const address of addresses) loops.add(`${address} . ${address}`);
    }
  }
  return { chains, matches, refused, loops };
}

/** Commands that turn `from` into `to`. Pure. */
function changes(from: State, to: State): string {
  const lines: string[] = [];
  const elements = (verb: string, set: string, list: readonly string[]) => {
    if (list.length > 0) lines.push(`${verb} element ${TABLE} ${set} { ${list.join(', ')} }`);
  };
  for (const [chain, rule] of to.chains) {
    const before = from.chains.get(chain);
    if (before === rule) continue;
    if (before === undefined) lines.push(`add chain ${TABLE} ${chain}`);
    else lines.push(`flush chain ${TABLE} ${chain}`);
    lines.push(`add rule ${TABLE} ${chain} ${rule}`);
  }
  const goneMatches = [...from.matches].filter(([match, chain]) => to.matches.get(match) !== chain);
  elements(
    'delete',
    'services',
    goneMatches.map(([match]) => match),
  );
  elements(
    'add',
    'services',
    [...to.matches]
      .filter(([match, chain]) => from.matches.get(match) !== chain)
      .map(([match, chain]) => `${match} : goto ${chain}`),
  );
  elements(
    'delete',
    'refused',
    [...from.refused].filter((match) => !to.refused.has(match)),
  );
  elements(
    'add',
    'refused',
    [...to.refused].filter((match) => !from.refused.has(match)),
  );
  elements(
    'delete',
    'loops',
    [...from.loops].filter((pair) => !to.loops.has(pair)),
  );
  elements(
    'add',
    'loops',
    [...to.loops].filter((pair) => !from.loops.has(pair)),
  );
  for (const chain of from.chains.keys()) {
    if (!to.chains.has(chain)) lines.push(`flush chain ${TABLE} ${chain}`, `delete chain ${TABLE} ${chain}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
