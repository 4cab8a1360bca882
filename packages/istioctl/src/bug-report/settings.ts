import { readFileSync } from 'node:fs';
import { parseYaml } from '@istio-ts/kube';
import { durationMs, wholeNumber } from '../cli/duration.ts';
import { CliError, unreadable, usageExitCode } from '../cli/failure.ts';
import { defaultExcludes, parseFilter, type PodFilter } from './filter.ts';

/** The flags as they were given. */
export interface BugReportFlags {
  readonly criticalErrs: readonly string[];
  readonly dir?: string;
  readonly dryRun?: boolean;
  readonly duration?: string;
  readonly endTime?: string;
  readonly exclude: readonly string[];
  readonly filename?: string;
  readonly fullSecrets?: boolean;
  readonly ignoreErrs: readonly string[];
  readonly include: readonly string[];
  readonly outputDir?: string;
  readonly proxyAdminPort: string;
  readonly rqConcurrency: string;
  readonly skipAnalyze?: boolean;
  readonly skipClusterDump?: boolean;
  readonly skipCoredumps?: boolean;
  readonly skipNetstat?: boolean;
  readonly skipProxyDebug?: boolean;
  readonly startTime?: string;
  readonly tail: string;
  readonly timeout: string;
}

/** What goes into a report. */
export interface BugReportSettings {
  readonly filters: { readonly include: readonly PodFilter[]; readonly exclude: readonly PodFilter[] };
  /** Lines of logs from then on. */
  readonly start: Date | undefined;
  readonly end: Date;
  /** Last lines of each log; undefined: all. */
  readonly tail: number | undefined;
  readonly critical: readonly string[];
  readonly ignored: readonly string[];
  readonly timeoutMs: number;
  readonly concurrency: number;
  readonly adminPort: number;
  readonly fullSecrets: boolean;
  readonly skip: {
    readonly analyze: boolean;
    readonly clusterDump: boolean;
    readonly coredumps: boolean;
    readonly netstat: boolean;
    readonly proxyDebug: boolean;
  };
}

const defaultConcurrency = 8;

type Fields = Readonly<Record<string, unknown>>;

/** What a file of settings says, in the form of flags; flags win over it. Raises CliError. */
function fromFile(file: string): Partial<BugReportFlags> {
  let root: unknown;
  try {
    root = parseYaml(readFileSync(file === '-' ? 0 : file, 'utf8'), file) ?? {};
  } catch (error) {
    throw new CliError(`-f ${file}: ${unreadable(error)}`);
  }
  if (typeof root !== 'object' || root === null || Array.isArray(root))
    throw new CliError(`-f ${file}: it must be a mapping of settings`);
  const fields = root as Fields;
  const text = (key: string) => (fields[key] === undefined ? undefined : String(fields[key]));
  const list = (key: string) => (Array.isArray(fields[key]) ? (fields[key] as readonly unknown[]) : undefined);
  const filters = (key: string) =>
    list(key)?.map((entry) => (typeof entry === 'string' ? entry : filterText(entry as Fields)));
  const given = {
    include: filters('include'),
    exclude: filters('exclude'),
    startTime: text('startTime'),
    endTime: text('endTime'),
    duration: text('since') ?? text('duration'),
    timeout: text('commandTimeout') ?? text('timeout'),
    criticalErrs: (list('criticalErrors') ?? list('criticalErrs'))?.map(String),
    ignoreErrs: (list('ignoredErrors') ?? list('ignoreErrs'))?.map(String),
    rqConcurrency: text('requestConcurrency') ?? text('rqConcurrency'),
    proxyAdminPort: text('proxyAdminPort'),
    tail: text('tail'),
    fullSecrets: fields.fullSecrets === true ? true : undefined,
    dryRun: fields.dryRun === true ? true : undefined,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function filterText(fields: Fields): string {
  const words = (key: string) => (Array.isArray(fields[key]) ? (fields[key] as readonly unknown[]).join(',') : '');
  const pairs = (key: string) =>
    Object.entries((fields[key] ?? {}) as Fields)
      .map(([name, value]) => `${name}=${String(value)}`)
      .join(',');
  return [
    words('namespaces'),
    words('deployments') || words('daemonsets'),
    words('pods'),
    pairs('labels'),
    pairs('annotations'),
    words('containers'),
  ].join('/');
}

function time(text: string | undefined, flag: string): Date | undefined {
  if (!text) return undefined;
  const date = new Date(text);
  if (Number.isNaN(date.getTime()))
    throw new CliError(`${flag}: "${text}" is not a time: write for example 2026-01-31T12:00:00Z`, usageExitCode);
  return date;
}

/** Reads flags and the file that they name. Raises CliError. */
export function readSettings(
  given: BugReportFlags,
  isGiven: (flag: string) => boolean,
  now: Date,
): BugReportSettings & {
  readonly flags: BugReportFlags;
} {
  const file = given.filename === undefined ? {} : fromFile(given.filename);
  const onLine = Object.fromEntries(Object.entries(given).filter(([key]) => isGiven(key)));
  const flags: BugReportFlags = { ...given, ...file, ...onLine };
  const end = time(flags.endTime, '--end-time') ?? now;
  const start = time(flags.startTime, '--start-time');
  if (start && flags.duration)
    throw new CliError('--start-time and --duration both say where the logs begin: give one of them', usageExitCode);
  const begin = flags.duration ? new Date(end.getTime() - durationMs(flags.duration, '--duration')) : start;
  if (begin && begin > end)
    throw new CliError('the logs would end before they begin: see --start-time and --end-time', usageExitCode);
  const include = flags.include.map((text) => parseFilter(text, '--include'));
  // What is asked for by name is not left out by default.
  const asked = new Set(include.flatMap(({ namespaces }) => namespaces));
  const exclude = flags.exclude.length > 0 ? flags.exclude : defaultExcludes.filter((name) => !asked.has(name));
  const tail = wholeNumber(flags.tail, '--tail');
  const concurrency = wholeNumber(flags.rqConcurrency, '--rq-concurrency', { max: 256 });
  return {
    flags,
    filters: { include, exclude: exclude.map((text) => parseFilter(text, '--exclude')) },
    start: begin,
    end,
    tail: tail === 0 ? undefined : tail,
    critical: flags.criticalErrs,
    ignored: flags.ignoreErrs,
    timeoutMs: durationMs(flags.timeout, '--timeout'),
    concurrency: concurrency === 0 ? defaultConcurrency : concurrency,
    adminPort: wholeNumber(flags.proxyAdminPort, '--proxy-admin-port', { min: 1, max: 65_535 }),
    fullSecrets: flags.fullSecrets === true,
    skip: {
      analyze: flags.skipAnalyze === true,
      clusterDump: flags.skipClusterDump === true,
      coredumps: flags.skipCoredumps === true,
      netstat: flags.skipNetstat === true,
      proxyDebug: flags.skipProxyDebug === true,
    },
  };
}
