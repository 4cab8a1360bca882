import { CliError } from '../cli/failure.ts';
import { formatFrom, structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { table } from '../cli/table.ts';
import { findPod } from '../pods/find-pod.ts';
import { type PodName, podName, runningPods } from '@istio-ts/envoy-dump/ask/pods';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { portFlag } from './proxy-config.ts';

export interface AdminLogFlags {
  readonly selector: string;
  readonly ctrlz_port: string;
  readonly level?: string;
  readonly stackTraceLevel?: string;
  readonly reset?: boolean;
  readonly logReset?: boolean;
  readonly stackTraceReset?: boolean;
  readonly output: string;
  readonly revision?: string;
}

/** A scope of istiod's log as ControlZ tells it (`/scopej/`). */
interface Scope {
  readonly name: string;
  readonly description: string;
  readonly output_level: string;
  readonly stack_trace_level: string;
  readonly log_callers: boolean;
}

type LevelField = 'output_level' | 'stack_trace_level';
/** What one request changes; no scope stands for all. */
interface Change {
  readonly scope: string | undefined;
  readonly field: LevelField;
  readonly level: string;
}

const levels = ['debug', 'info', 'warn', 'error', 'fatal', 'none'];

/** Reads `SCOPE:LEVEL,...` or `LEVEL`; what is for all scopes comes first. Raises CliError that names the flag. */
export function levelChanges(flag: string, field: LevelField, value: string | undefined): readonly Change[] {
  const parts = (value ?? '')
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean);
  if (value !== undefined && parts.length === 0) throw new CliError(`--${flag}: name a level: ${levels.join(', ')}`);
  const changes = parts.map((part): Change => {
    const [scope, level] = part.includes(':') ? part.split(':', 2) : [undefined, part];
    const written = level?.toLowerCase() ?? '';
    if (scope === '' || !levels.includes(written))
      throw new CliError(`--${flag}: "${part}" is not SCOPE:LEVEL with a level of ${levels.join(', ')}`);
    return { scope: scope === 'all' ? undefined : scope, field, level: written };
  });
  return [...changes.filter(({ scope }) => scope === undefined), ...changes.filter(({ scope }) => scope !== undefined)];
}

function changesOf(flags: AdminLogFlags): readonly Change[] {
  const all = (field: LevelField, level: string): Change => ({ scope: undefined, field, level });
  const setting = flags.level !== undefined || flags.stackTraceLevel !== undefined;
  if (flags.reset && setting) throw new CliError('give either levels or --reset, not both');
  if (flags.logReset && flags.level !== undefined) throw new CliError('give either --level or --log-reset, not both');
  if (flags.stackTraceReset && flags.stackTraceLevel !== undefined)
    throw new CliError('give either --stack-trace-level or --stack-trace-reset, not both');
  return [
    ...(flags.reset || flags.logReset ? [all('output_level', 'info')] : []),
    ...(flags.reset || flags.stackTraceReset ? [all('stack_trace_level', 'none')] : []),
    ...levelChanges('level', 'output_level', flags.level),
    ...levelChanges('stack-trace-level', 'stack_trace_level', flags.stackTraceLevel),
  ];
}

async function podsOf(session: Session, flags: AdminLogFlags, target: string | undefined): Promise<readonly PodName[]> {
  const { istioNamespace } = session.flags;
  if (target !== undefined) return [await findPod(session.client(), target, istioNamespace)];
  const selector = `${flags.selector}${flags.revision ? `,istio.io/rev=${flags.revision}` : ''}`;
  const pods = (await runningPods(session.client(), istioNamespace, selector)).map(podName);
  if (pods.length === 0)
    throw new CliError(`no running pod in namespace ${istioNamespace} has the labels ${selector}: is Istio installed?`);
  return pods;
}

/** Applies the changes to one istiod and resolves with its scopes afterwards. Nothing is changed when one of the scopes is unknown. */
async function applyTo(
  session: Session,
  pod: PodName,
  port: number,
  changes: readonly Change[],
): Promise<readonly Scope[]> {
  const read = async () => JSON.parse(await podHttp(session.client(), pod, port, '/scopej/')) as readonly Scope[];
  const scopes = await read();
  if (changes.length === 0) return scopes;
  const names = new Set(scopes.map(({ name }) => name));
  const unknown = changes.find(({ scope }) => scope !== undefined && !names.has(scope));
  if (unknown) throw new CliError(`istiod has no log scope "${unknown.scope}": it has ${[...names].sort().join(', ')}`);
  for (const { name } of scopes) {
    const asked = changes.filter(({ scope }) => scope === undefined || scope === name);
    if (asked.length === 0) continue;
    const body = JSON.stringify({ name, ...Object.fromEntries(asked.map(({ field, level }) => [field, level])) });
    await podHttp(session.client(), pod, port, `/scopej/${encodeURIComponent(name)}`, { method: 'PUT', body });
  }
  return read();
}

/** The table of one istiod's scopes. The column of call stacks is there when some scope writes them. */
export function scopeTable(scopes: readonly Scope[]): string {
  const stacks = scopes.some(({ stack_trace_level: level }) => level !== 'none');
  return table(
    ['ACTIVE SCOPE', 'DESCRIPTION', 'LOG LEVEL', ...(stacks ? ['STACK TRACES'] : [])],
    [...scopes]
      .sort((a, b) => a.name.localeCompare(b.name))
      .map((scope) => [
        scope.name,
        scope.description,
        scope.output_level,
        ...(stacks ? [scope.stack_trace_level] : []),
      ]),
    3,
  );
}

/** `istioctl admin log [POD]`: shows the levels of istiod's log, or changes them in every istiod that is meant. */
export async function runAdminLog(session: Session, flags: AdminLogFlags, target?: string): Promise<number> {
  const format = formatFrom(flags.output);
  const changes = changesOf(flags);
  const port = portFlag('ctrlz_port', flags.ctrlz_port) ?? 9876;
  const pods = await podsOf(session, flags, target);
  const answers: { readonly pod: PodName; readonly scopes: readonly Scope[] }[] = [];
  for (const pod of pods) answers.push({ pod, scopes: await applyTo(session, pod, port, changes) });
  if (format !== 'short') {
    const only = answers.length === 1 ? answers[0]?.scopes : undefined;
    session.out(structured(only ?? answers.map(({ pod, scopes }) => ({ pod: pod.name, scopes })), format));
    return 0;
  }
  session.out(
    answers
      .map(({ pod, scopes }) => `${answers.length > 1 ? `${pod.name}.${pod.namespace}:\n` : ''}${scopeTable(scopes)}`)
      .join('\n'),
  );
  return 0;
}
