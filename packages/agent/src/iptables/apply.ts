import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { interceptionRules } from './rules.ts';
import type { InterceptionSettings } from './settings.ts';
import { validateInterception } from './settings.ts';
import { restoreScript } from './script.ts';

/** Thrown when the kernel or the tools refuse the rules; carries what the tool said. */
export class RuleApplyError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RuleApplyError';
  }
}

export interface ApplyOptions {
  /** `nft` or `legacy`; found out when absent. */
  readonly backend?: 'nft' | 'legacy';
  /** Path of a network namespace to work in (`/proc/PID/ns/net`, `/run/netns/NAME`); this process's own when absent. */
  readonly networkNamespace?: string;
  /** Address families to write rules for. */
  readonly families: readonly (4 | 6)[];
  /** Removes everything instead. */
  readonly cleanupOnly?: boolean;
  /** Only prints. */
  readonly dryRun?: boolean;
  readonly print: (text: string) => void;
}

/** Programs in the directories where distributions put them, as the container's PATH may lack sbin. */
const DIRECTORIES = ['/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin'];

function findProgram(name: string): string | undefined {
  return DIRECTORIES.map((directory) => `${directory}/${name}`).find((path) => existsSync(path));
}

function run(
  argv: readonly string[],
  input?: string,
): { readonly ok: boolean; readonly stdout: string; readonly stderr: string } {
  const [program = '', ...rest] = argv;
  const result = spawnSync(program, rest, { input, encoding: 'utf8', timeout: 30_000, maxBuffer: 16 << 20 });
  return { ok: result.status === 0, stdout: result.stdout ?? '', stderr: result.error?.message ?? result.stderr ?? '' };
}

/** Prefix of the programs for one family. Both back-ends have their own set of programs; plain names are the distribution's choice. */
function programs(
  backend: 'nft' | 'legacy',
  family: 4 | 6,
): { readonly save: string; readonly restore: string } | undefined {
  const base = family === 4 ? 'iptables' : 'ip6tables';
  for (const prefix of [`${base}-${backend}`, base]) {
    const save = findProgram(`${prefix}-save`);
    const restore = findProgram(`${prefix}-restore`);
    if (save !== undefined && restore !== undefined) return { save, restore };
  }
  return undefined;
}

/**
 * Whether this machine has the programs to write such rules at all, into another network namespace if one is given. Minimal nodes have none of them.
 */
export function hasPrograms(
  settings: Pick<InterceptionSettings, 'mode'>,
  { backend, families, networkNamespace }: Pick<ApplyOptions, 'backend' | 'families' | 'networkNamespace'>,
): boolean {
  const backends = backend === undefined ? (['nft', 'legacy'] as const) : [backend];
  return (
    families.every((family) => backends.some((one) => programs(one, family) !== undefined)) &&
    (networkNamespace === undefined || findProgram('nsenter') !== undefined) &&
    (settings.mode !== 'TPROXY' || findProgram('ip') !== undefined)
  );
}

/**
 * Brings the rules of a network namespace to what the settings say (or removes them). Safe to repeat.
 * Raises InterceptionError for bad settings and {@link RuleApplyError} when the rules cannot be applied.
 */
export function applyInterception(settings: InterceptionSettings, options: ApplyOptions): void {
  validateInterception(settings);
  const enter = entering(options.networkNamespace);
  const backends: readonly ('nft' | 'legacy')[] = options.backend === undefined ? ['nft', 'legacy'] : [options.backend];
  for (const family of options.families) {
    const made = interceptionRules(settings, family);
    const rules = options.cleanupOnly ? [] : made;
    if (options.dryRun) {
      options.print(`# ${family === 4 ? 'iptables' : 'ip6tables'}-restore --noflush\n${restoreScript(rules, '')}`);
      continue;
    }
    const failures: string[] = [];
    const done = backends.some((backend) => {
      const found = programs(backend, family);
      if (found === undefined) {
        failures.push(`${backend}: iptables-restore not found in ${DIRECTORIES.join(', ')}`);
        return false;
      }
      const saved = run([...enter, found.save]);
      if (!saved.ok) {
        failures.push(`${found.save}: ${saved.stderr.trim()}`);
        return false;
      }
      const script = restoreScript(rules, saved.stdout, made);
      if (script === '') return true;
      options.print(`# ${found.restore} --noflush\n${script}`);
      const restored = run([...enter, found.restore, '--noflush', '--wait=30'], script);
      if (!restored.ok) failures.push(`${found.restore}: ${restored.stderr.trim()}`);
      return restored.ok;
    });
    if (!done) {
      throw new RuleApplyError(
        `interception rules for IPv${family} cannot be applied: ${failures.join('; ')}. Whoever sets them needs the capabilities NET_ADMIN and NET_RAW, and the kernel the modules nf_nat, xt_owner and xt_REDIRECT.`,
      );
    }
    if (settings.mode === 'TPROXY') applyTproxyRoute(settings, family, enter, options);
  }
}

/** Words before a command that make it work in another network namespace. */
function entering(networkNamespace: string | undefined): readonly string[] {
  return networkNamespace === undefined ? [] : [findProgram('nsenter') ?? 'nsenter', `--net=${networkNamespace}`, '--'];
}

/**
 * All rules of one family that are in force in a network namespace, as iptables-save prints them; of both back-ends when none is named.
 * Raises {@link RuleApplyError} when no tool can read them.
 */
export function readRules(options: Pick<ApplyOptions, 'backend' | 'networkNamespace'>, family: 4 | 6): string {
  const backends: readonly ('nft' | 'legacy')[] = options.backend === undefined ? ['nft', 'legacy'] : [options.backend];
  const answers = backends.flatMap((backend) => {
    const found = programs(backend, family);
    return found === undefined ? [] : [run([...entering(options.networkNamespace), found.save])];
  });
  if (!answers.some(({ ok }) => ok))
    throw new RuleApplyError(
      `interception rules for IPv${family} cannot be read: ${answers.map(({ stderr }) => stderr.trim()).join('; ') || 'iptables-save not found'}`,
    );
  return answers.map(({ ok, stdout }) => (ok ? stdout : '')).join('\n');
}

/** Marked packets have to be delivered locally although their address is not one of this machine (kernel documentation, tproxy). */
function applyTproxyRoute(
  settings: InterceptionSettings,
  family: 4 | 6,
  enter: readonly string[],
  options: ApplyOptions,
): void {
  const ip = [...enter, findProgram('ip') ?? 'ip', family === 4 ? '-4' : '-6'];
  const rule = ['fwmark', settings.tproxyMark, 'lookup', settings.tproxyRouteTable];
  const route = ['local', family === 4 ? '0.0.0.0/0' : '::/0', 'dev', 'lo', 'table', settings.tproxyRouteTable];
  run([...ip, 'rule', 'del', ...rule]);
  run([...ip, 'route', 'del', ...route]);
  if (options.cleanupOnly) return;
  for (const words of [
    // Runtimes bring the loopback up while they call other plugins; IPv6 takes no route through a device that is down.
    ['link', 'set', 'lo', 'up'],
    ['rule', 'add', ...rule],
    ['route', 'replace', ...route],
  ]) {
    const result = run([...ip, ...words]);
    if (!result.ok) throw new RuleApplyError(`ip ${words.join(' ')}: ${result.stderr.trim()}`);
  }
}
