import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import {
  type Analyzer,
  analyze,
  analyzers,
  type ClusterObjects,
  createSnapshot,
  inputsOf,
  type Level,
  type Message,
  messageJson,
  parseLevel,
  parseSuppression,
  reaches,
  type Suppression,
} from '@istio-ts/analysis';
import { createKubeClient, loadKubeConfig, parseYaml, YamlError } from '@istio-ts/kube';
import { durationMs } from '../cli/duration.ts';
import { CliError, unreadable, usageExitCode } from '../cli/failure.ts';
import { structured } from '../cli/output.ts';
import type { Session } from '../cli/session.ts';
import { readClusterObjects } from './cluster-objects.ts';
import { levelText, messageLine } from './message-line.ts';
import { readManifestFiles, standardInput } from './manifest-files.ts';

/** How istioctl ends when the analysis has found something, and when a file could not be read (Istio's exit codes). */
export const foundIssuesExitCode = 79;
export const unreadableFileExitCode = 65;

export interface AnalyzeFlags {
  readonly allNamespaces: boolean;
  readonly analyzer?: readonly string[];
  readonly color?: boolean;
  readonly failureThreshold: string;
  readonly ignoreUnknown: boolean;
  readonly listAnalyzers: boolean;
  readonly meshConfigFile?: string;
  readonly output: string;
  readonly outputThreshold: string;
  readonly remoteContexts?: readonly string[];
  readonly revision: string;
  readonly suppress?: readonly string[];
  readonly timeout: string;
  readonly useKube: boolean;
  readonly verbose: boolean;
}

/** `istioctl analyze [FILE...]`. Ends with 79 when a message reaches the failure threshold, with 65 when a file could not be read. */
export async function runAnalyze(session: Session, flags: AnalyzeFlags, words: unknown): Promise<number> {
  const paths = (words as readonly string[] | undefined) ?? [];
  if (flags.listAnalyzers) {
    for (const { name, description } of analyzers) session.out(`* ${name}:\n${description}\n`);
    return 0;
  }
  if (!['log', 'json', 'yaml'].includes(flags.output))
    throw new CliError(`output format "${flags.output}" is not supported: use one of log, json, yaml`, usageExitCode);
  const failureThreshold = level(flags.failureThreshold, '--failure-threshold');
  const outputThreshold = level(flags.outputThreshold, '--output-threshold');
  if (!flags.useKube && paths.length === 0)
    throw new CliError('--use-kube=false leaves nothing to analyse: name files or folders', usageExitCode);
  const chosen = chosenAnalyzers(flags.analyzer);
  const suppressions = readSuppressions(session, flags.suppress ?? []);

  const files = readManifestFiles(paths, standardInput);
  const unreadable = files.filter(({ problems }) => problems.length > 0).length;
  if (!flags.ignoreUnknown) {
    for (const { problems } of files)
      for (const { file, line, reason } of problems)
        session.err(`${levelText('Error', coloured(session, flags))} ${file}:${line}: ${reason}\n`);
  }
  const objects = files.flatMap((file) => file.objects);
  const clusters = flags.useKube ? await readClusters(session, flags, chosen) : [];
  const namespace = flags.useKube ? session.namespace() : (session.flags.namespace ?? '');
  const selected = flags.allNamespaces ? '' : namespace;
  if (flags.verbose) {
    session.err(`Analyzers:\n${chosen.map(({ name }) => `  ${name}\n`).join('')}`);
    for (const { cluster, objects: read } of clusters) session.err(`Cluster ${cluster}: ${read.length} objects\n`);
    for (const { file, objects: read } of files) session.err(`${file}: ${read.length} objects\n`);
  }
  const snapshot = snapshotOf(() =>
    createSnapshot({
      files: objects,
      clusters,
      ...(flags.meshConfigFile !== undefined && { meshConfigYaml: meshConfigOf(flags.meshConfigFile) }),
      revision: flags.revision || 'default',
      istioNamespace: session.flags.istioNamespace,
      defaultNamespace: namespace || 'default',
      now: Date.now(),
    }),
  );
  const namespaces = snapshot.objects.filter(({ kind }) => kind === 'Namespace').map(({ name }) => name);
  if (flags.useKube && selected !== '' && namespaces.length > 0 && !namespaces.includes(selected))
    throw new CliError(`there is no namespace "${selected}": choose one with -n, or all with -A`);
  const messages = analyze(snapshot, {
    analyzers: chosen,
    suppressions,
    wanted: (message, own) =>
      selected === '' ||
      own === '' ||
      own === selected ||
      // Whoever names a file wants to know about all of it, unless a namespace was asked for.
      (message.file !== undefined && session.flags.namespace === undefined),
  });

  const shown = messages.filter((message) => reaches(message.level, outputThreshold));
  const failed = messages.some((message) => reaches(message.level, failureThreshold));
  if (flags.output !== 'log') {
    session.out(structured(shown.map(messageJson), flags.output === 'json' ? 'json' : 'yaml'));
    return 0;
  }
  for (const message of shown) session.out(`${messageLine(message, coloured(session, flags))}\n`);
  const what =
    paths.length > 0 && !flags.useKube
      ? paths.join(', ')
      : selected === ''
        ? 'all namespaces'
        : `namespace ${selected}`;
  session.err(summary(what, shown, failed, flags.ignoreUnknown ? 0 : unreadable));
  if (failed) return foundIssuesExitCode;
  return unreadable > 0 && !flags.ignoreUnknown ? unreadableFileExitCode : 0;
}

async function readClusters(
  session: Session,
  flags: AnalyzeFlags,
  chosen: readonly Analyzer[],
): Promise<readonly ClusterObjects[]> {
  const kinds = inputsOf(chosen);
  const config = { namespace: session.flags.istioNamespace, revision: flags.revision || 'default' };
  const remotes = (flags.remoteContexts ?? []).map((context) => ({
    context,
    client: createKubeClient(
      loadKubeConfig({
        env: session.env,
        context,
        ...(session.flags.kubeconfig !== undefined && { kubeconfig: session.flags.kubeconfig }),
      }),
      { userAgent: 'istioctl', env: session.env },
    ),
  }));
  const limit = durationMs(flags.timeout, '--timeout');
  const timer = new AbortController();
  try {
    const all = Promise.all([
      readClusterObjects(session.client(), session.flags.context ?? 'Kubernetes', kinds, config),
      ...remotes.map(({ context, client }) => readClusterObjects(client, context, kinds, config)),
    ]);
    const late = delay(limit, undefined, { signal: timer.signal }).then(() => {
      throw new CliError(`the cluster was not read within ${flags.timeout}: give it more with --timeout`);
    });
    // Whoever comes second must not be an unhandled rejection.
    late.catch(() => {});
    all.catch(() => {});
    return await (limit === 0 ? all : Promise.race([all, late]));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError(`${(error as Error).message}\nTo analyse files alone, add --use-kube=false.`);
  } finally {
    timer.abort();
    for (const { client } of remotes) client.close();
  }
}

function chosenAnalyzers(names: readonly string[] | undefined): readonly Analyzer[] {
  if (names === undefined) return analyzers;
  return names.map((name) => {
    const found = analyzers.find((analyzer) => analyzer.name === name);
    if (!found) throw new CliError(`there is no analyzer "${name}": list them with istioctl analyze -L`, usageExitCode);
    return found;
  });
}

function readSuppressions(session: Session, rules: readonly string[]): readonly Suppression[] {
  return rules.map((rule) => {
    const suppression = parseSuppression(rule);
    if (!suppression)
      throw new CliError(
        `--suppress "${rule}": write CODE=KIND NAME.NAMESPACE, for example "IST0103=Pod *.default"`,
        usageExitCode,
      );
    if (!suppression.known) session.err(`Warning: --suppress "${rule}": there is no message ${suppression.code}\n`);
    return suppression;
  });
}

function level(text: string, flag: string): Level {
  const found = parseLevel(text);
  if (!found) throw new CliError(`${flag}: "${text}" is no level: use one of Info, Warning, Error`, usageExitCode);
  return found;
}

function meshConfigOf(file: string): string {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new CliError(`${file}: ${unreadable(error)}`);
  }
  // Read here already, so that a mistake names the file.
  parseYaml(text, file);
  return text;
}

function snapshotOf<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof YamlError) throw new CliError(error.message, unreadableFileExitCode);
    throw error;
  }
}

const coloured = (session: Session, flags: AnalyzeFlags): boolean => flags.color ?? session.colours;

function summary(what: string, shown: readonly Message[], failed: boolean, unreadable: number): string {
  const files = unreadable === 0 ? '' : ` (${unreadable} ${unreadable === 1 ? 'file' : 'files'} could not be read)`;
  if (failed)
    return `\nThe analysis of ${what} found problems${files}. What each code means: https://istio.io/latest/docs/reference/config/analysis/\n`;
  if (shown.length > 0) return `\nThe analysis of ${what} found nothing that fails it${files}.\n`;
  return `${unreadable === 0 ? '✔ ' : ''}No problems found in ${what}${files}.\n`;
}
