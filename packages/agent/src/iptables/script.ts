import type { Rule } from './rules.ts';

const TABLES = ['raw', 'mangle', 'nat'] as const;

function isOwnChain(chain: string): boolean {
  return chain.startsWith('ISTIO_');
}

/** Every chain of ours that a table can hold, so that leftovers of other settings are removed too. */
const OWN_CHAINS: Readonly<Record<(typeof TABLES)[number], readonly string[]>> = {
  raw: ['ISTIO_INBOUND', 'ISTIO_OUTPUT_DNS'],
  mangle: ['ISTIO_INBOUND', 'ISTIO_DIVERT', 'ISTIO_TPROXY', 'ISTIO_DROP'],
  nat: [
    'ISTIO_INBOUND',
    'ISTIO_REDIRECT',
    'ISTIO_IN_REDIRECT',
    'ISTIO_OUTPUT',
    'ISTIO_OUTPUT_DNS',
    'ISTIO_OUTBOUND_VIRT',
  ],
};

/**
 * What `iptables-restore --noflush` has to be fed to reach `rules` from the present state in one transaction per table.
 * `saved` is the output of `iptables-save`. Applying the result again changes nothing.
 *
 * Rules of built-in chains that are ours are recognised in `saved` by a jump to one of our chains; others (RETURN of excluded
 * interfaces) by being the same text as one of `known`: the rules that these settings make, also where none is wanted any more.
 */
export function restoreScript(rules: readonly Rule[], saved: string, known: readonly Rule[] = rules): string {
  const present = readSaved(saved);
  let script = '';
  for (const table of TABLES) {
    const wanted = rules.filter((rule) => rule.table === table);
    const old = present.get(table);
    const oldChains = OWN_CHAINS[table].filter((chain) => old?.chains.has(chain));
    const made = known.filter((rule) => rule.table === table);
    const stale = (old?.rules ?? []).filter((line) => isOurs(line, made));
    if (wanted.length === 0 && oldChains.length === 0 && stale.length === 0) continue;
    const newChains = [...new Set(wanted.map((rule) => rule.chain).filter(isOwnChain))];
    script += `*${table}\n`;
    // Naming a chain of ours makes it, or empties it when it is there.
    for (const chain of new Set([...newChains, ...oldChains])) script += `:${chain} - [0:0]\n`;
    for (const line of stale) script += `-D ${line.slice('-A '.length)}\n`;
    for (const rule of wanted) script += `-A ${rule.chain} ${rule.match}\n`;
    for (const chain of oldChains) if (!newChains.includes(chain)) script += `-X ${chain}\n`;
    script += 'COMMIT\n';
  }
  return script;
}

function isOurs(line: string, made: readonly Rule[]): boolean {
  const [, chain = '', ...words] = line.split(' ');
  if (isOwnChain(chain)) return false;
  const target = words[words.indexOf('-j') + 1] ?? '';
  if (isOwnChain(target)) return true;
  return made.some((rule) => rule.chain === chain && worded(`-A ${chain} ${rule.match}`) === worded(line));
}

/** iptables-save adds the masks that a rule has without being told, and prints marks its own way. */
function worded(rule: string): string {
  return rule
    .replace(' --nfmask 0xffffffff --ctmask 0xffffffff', '')
    .replace(/--mark (\S+)/, (_, mark: string) => `--mark ${Number(mark)}`);
}

function readSaved(
  saved: string,
): ReadonlyMap<string, { readonly chains: ReadonlySet<string>; readonly rules: readonly string[] }> {
  const out = new Map<string, { chains: Set<string>; rules: string[] }>();
  let table: { chains: Set<string>; rules: string[] } | undefined;
  for (const raw of saved.split('\n')) {
    const line = raw.trim();
    if (line.startsWith('*')) {
      table = { chains: new Set(), rules: [] };
      out.set(line.slice(1), table);
    } else if (line.startsWith(':')) table?.chains.add(line.slice(1).split(' ')[0] ?? '');
    else if (line.startsWith('-A ')) table?.rules.push(line);
  }
  return out;
}

/** The rules as one would write them for a fresh namespace, for `--dry-run`. */
export function describeRules(rules: readonly Rule[]): string {
  return restoreScript(rules, '');
}
