import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { findPods, selectPods } from '../pods/find-pod.ts';
import type { PodName } from '@istio-ts/envoy-dump/ask/pods';
import { podHttp } from '@istio-ts/envoy-dump/ask/pod-http';
import { adminPort } from './proxy-config.ts';

export interface ProxyLogFlags {
  readonly proxyAdminPort: string;
  readonly level?: string;
  readonly reset?: boolean;
  readonly selector?: string;
}

const levels = ['trace', 'debug', 'info', 'warning', 'error', 'critical', 'off'];
/** The level that istio-proxy starts with when nothing else is asked for. */
const defaultLevel = 'warning';

/** One request of Envoy's `/logging`: all loggers, or one. */
interface LevelChange {
  readonly scope: string | undefined;
  readonly level: string;
}

/** Reads `--level`: LEVEL or SCOPE:LEVEL, several separated by commas; a level for all comes first. Raises CliError. */
export function parseLevels(value: string): readonly LevelChange[] {
  const changes = value
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)
    .map((part): LevelChange => {
      const colon = part.lastIndexOf(':');
      const scope = colon < 0 ? undefined : part.slice(0, colon);
      const written = part.slice(colon + 1).toLowerCase();
      const level = written === 'warn' ? 'warning' : written === 'none' ? 'off' : written;
      if (!levels.includes(level) || scope === '')
        throw new CliError(`--level: "${part}" is not LEVEL or SCOPE:LEVEL with a level of ${levels.join(', ')}`);
      return { scope: scope === 'all' ? undefined : scope, level };
    });
  if (changes.length === 0) throw new CliError(`--level: name a level: ${levels.join(', ')}`);
  return [...changes.filter(({ scope }) => scope === undefined), ...changes.filter(({ scope }) => scope !== undefined)];
}

const query = ({ scope, level }: LevelChange) =>
  `?${encodeURIComponent(scope ?? 'level')}=${encodeURIComponent(level)}`;

/** Names of the loggers in an answer of `/logging`. */
const loggers = (answer: string) => [...answer.matchAll(/^\s+([\w.-]+): \w+$/gm)].map(([, name = '']) => name);

async function applyTo(session: Session, pod: PodName, port: number, changes: readonly LevelChange[]): Promise<string> {
  const ask = (text: string) => podHttp(session.client(), pod, port, `/logging${text}`, 'POST');
  const current = await ask('');
  // Nothing is changed when one of the names is wrong.
  const known = loggers(current);
  const wrong = changes.find(({ scope }) => scope !== undefined && known.length > 0 && !known.includes(scope));
  if (wrong)
    throw new CliError(
      `--level: Envoy has no logger "${wrong.scope}": see them with istioctl proxy-config log ${pod.name}.${pod.namespace}`,
    );
  let shown = current;
  for (const change of changes) shown = await ask(query(change));
  return shown;
}

/** `istioctl proxy-config log POD [--level scope:level,...]`: shows or sets Envoy's log levels, of all pods of a workload or of a selector. */
export async function runProxyConfigLog(session: Session, flags: ProxyLogFlags, target?: string): Promise<number> {
  if (target !== undefined && flags.selector !== undefined)
    throw new CliError('give either a pod or a selector, not both');
  if (target === undefined && flags.selector === undefined)
    throw new CliError('name a pod (istioctl proxy-config log POD[.NAMESPACE]) or choose pods with --selector');
  if (flags.reset && flags.level !== undefined) throw new CliError('give either --level or --reset, not both');
  const changes = flags.reset
    ? [{ scope: undefined, level: defaultLevel }]
    : flags.level === undefined
      ? []
      : parseLevels(flags.level);
  const client = session.client();
  const pods =
    target !== undefined
      ? await findPods(client, target, session.namespace())
      : await selectPods(client, flags.selector ?? '', session.namespace());
  const port = adminPort(flags);
  for (const pod of pods) {
    const shown = await applyTo(session, pod, port, changes);
    session.out(`${pod.name}.${pod.namespace}:\n${shown.trimEnd()}\n`);
  }
  return 0;
}
