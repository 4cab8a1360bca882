import { mkdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { VERSION } from '@istio-ts/api/version';
import { CliError } from '../cli/failure.ts';
import type { Session } from '../cli/session.ts';
import { terminalUi } from '../cli/terminal-ui.ts';
import { clusterTasks, namespaceSelected } from './cluster-tasks.ts';
import { type Entry, indexPage } from './index-page.ts';
import { podTasks } from './pod-tasks.ts';
import { type BugReportFlags, type BugReportSettings, readSettings } from './settings.ts';
import { Archive } from './tar.ts';
import { findTargets, type PodTarget } from './targets.ts';
import type { Task } from './task.ts';

/** Largest single file and largest report, in bytes before compression. */
const maxFile = 128 << 20;
const maxReport = 2 ** 31;

/** `istioctl bug-report`. Raises CliError when the cluster cannot be asked or the archive not be written; whatever else fails is told in the index. */
export async function runBugReport(
  session: Session,
  given: BugReportFlags,
  isGiven: (flag: string) => boolean,
): Promise<number> {
  const now = new Date();
  const settings = readSettings(given, isGiven, now);
  const { flags } = settings;
  const client = session.client();
  const { istioNamespace } = session.flags;
  const ui = terminalUi(session);

  const [{ items: pods }, { items: all }] = await Promise.all([
    client.list(kubernetesTypes.Pod, { dropManagedFields: true }),
    client.list(kubernetesTypes.Namespace, { dropManagedFields: true }),
  ]);
  const names = all.map(({ metadata }) => metadata.name ?? '');
  const namespaces = names.filter((name) => name === istioNamespace || namespaceSelected(settings.filters, name));
  const targets = findTargets(pods, settings.filters, istioNamespace);
  const count = (role: PodTarget['role']) => targets.filter((target) => target.role === role).length;
  session.out(
    `Cluster ${session.config().server} (context ${session.config().contextName}), namespaces ${namespaces.join(', ') || 'none'}: ${count('istiod')} pods of istiod, ${count('proxy')} pods with proxies.\n`,
  );
  const tasks: readonly Task[] = [
    ...clusterTasks(client, new Set(namespaces), settings),
    ...targets.flatMap((target) => podTasks(client, target, settings)),
    ...(settings.skip.analyze ? [] : [analyzeTask(session)]),
  ];
  if (flags.dryRun) {
    for (const { file, what } of tasks) session.out(`  ${file}: ${what}\n`);
    session.out(`${tasks.length} files would be collected; nothing was written.\n`);
    return 0;
  }

  const folder = flags.outputDir ?? '.';
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'bug-report.tar.gz');
  const partial = `${file}.${process.pid}.partial`;
  const archive = new Archive(partial, now);
  const keep = async (name: string, content: Buffer): Promise<void> => {
    await archive.add(`bug-report/${name}`, content);
    if (flags.dir === undefined) return;
    const kept = join(flags.dir, name);
    mkdirSync(dirname(kept), { recursive: true });
    writeFileSync(kept, content, { mode: 0o600 });
  };
  try {
    const step = ui.step('Collecting');
    const { entries, cut } = await collect(tasks, settings, archive, keep, (done) =>
      step.note(`${done} of ${tasks.length}`),
    );
    const page = indexPage({
      version: VERSION,
      server: session.config().server,
      context: session.config().contextName,
      made: now,
      start: settings.start,
      end: settings.end,
      namespaces,
      pods: { istiod: count('istiod'), proxies: count('proxy') },
      entries,
      ...(cut !== undefined && { cut }),
    });
    await keep('README.md', Buffer.from(page));
    await archive.close();
    renameSync(partial, file);
    const failed = entries.filter(({ failure }) => failure !== undefined);
    const written = entries.length - failed.length;
    step.done(`${written} files, ${(statSync(file).size / (1 << 20)).toFixed(1)} MiB: ${file}`);
    if (cut !== undefined) ui.warn(`the report is not complete: ${cut}`);
    if (failed.length > 0) ui.warn(`${failed.length} files could not be had: README.md in the archive tells why`);
    if (settings.fullSecrets)
      ui.warn('the report holds the values of Secrets: hand it only to those who may know them');
    return 0;
  } catch (error) {
    rmSync(partial, { force: true });
    throw error instanceof CliError
      ? error
      : new CliError(`the report could not be written: ${(error as Error).message}`);
  }
}

/** Runs the tasks, a few at a time, until the time or the room for the report is used up. */
async function collect(
  tasks: readonly Task[],
  settings: BugReportSettings,
  archive: Archive,
  keep: (name: string, content: Buffer) => Promise<void>,
  progress: (done: number) => void,
): Promise<{ readonly entries: readonly Entry[]; readonly cut: string | undefined }> {
  const deadline = Date.now() + settings.timeoutMs;
  const waiting = [...tasks];
  const entries: Entry[] = [];
  let done = 0;
  let cut: string | undefined;
  const one = async ({ file, what, run }: Task): Promise<void> => {
    let result: Awaited<ReturnType<Task['run']>>;
    try {
      result = await inTime(run(), deadline - Date.now());
    } catch (error) {
      entries.push({ file, what, size: undefined, failure: (error as Error).message });
      return;
    }
    if (!result) return;
    const whole = typeof result.content === 'string' ? Buffer.from(result.content) : result.content;
    const content = whole.length > maxFile ? whole.subarray(0, maxFile) : whole;
    const notes = [result.note, content.length < whole.length ? `only its first ${maxFile >> 20} MiB` : undefined];
    const note = notes.filter((text) => text !== undefined).join('; ');
    await keep(file, content);
    entries.push({
      file,
      what,
      size: content.length,
      ...(note !== '' && { note }),
      ...(result.findings && { findings: result.findings }),
    });
  };
  const worker = async (): Promise<void> => {
    for (let task = waiting.shift(); task !== undefined; task = waiting.shift()) {
      if (Date.now() > deadline) cut ??= 'its time was over (--timeout)';
      else if (archive.size > maxReport)
        cut ??= `it would be larger than ${maxReport / 2 ** 30} GiB: choose pods with --include`;
      if (cut !== undefined)
        entries.push({ file: task.file, what: task.what, size: undefined, failure: `left out: ${cut}` });
      else await one(task);
      progress(++done);
    }
  };
  await Promise.all(Array.from({ length: Math.min(settings.concurrency, tasks.length) }, worker));
  return { entries, cut };
}

/** Rejects when the work is not done in time; what comes later is not waited for. */
function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error('not in time (--timeout)')),
      Math.min(Math.max(ms, 0), 2 ** 31 - 1),
    );
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** What `istioctl analyze -A` says of the cluster. */
function analyzeTask(session: Session): Task {
  return {
    file: 'analyze.txt',
    what: 'what istioctl analyze says of all namespaces',
    run: async () => {
      const { runAnalyze } = await import('../commands/analyze.ts');
      let text = '';
      const captured: Session = {
        ...session,
        colours: false,
        out: (part) => {
          text += part;
        },
        err: (part) => {
          text += part;
        },
      };
      await runAnalyze(
        captured,
        {
          allNamespaces: true,
          failureThreshold: 'Error',
          ignoreUnknown: true,
          listAnalyzers: false,
          output: 'log',
          outputThreshold: 'Info',
          revision: 'default',
          timeout: '2m',
          useKube: true,
          verbose: false,
        },
        [],
      );
      return { content: text };
    },
  };
}
