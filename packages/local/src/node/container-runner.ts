import { randomBytes } from 'node:crypto';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { nameOf, namespaceOf, type Pod, uidOf } from '../controllers/kinds.ts';
import { UnknownImageError } from '../images/image-store.ts';
import { namespacePath } from '../network/namespace.ts';
import { planContainer } from './container-plan.ts';
import {
  adoptContainer,
  type ContainerProcess,
  type ExitInfo,
  SetupError,
  startContainer,
} from './container-process.ts';
import { ConfigError, containerEnvironment, type PodFacts } from './environment.ts';
import { execToEnd } from './exec.ts';
import { logFile, type PodPaths } from './paths.ts';
import type { NodeContext } from './pod-worker.ts';
import { runHandler } from './probe.ts';
import { startProber } from './prober.ts';
import type { Sandbox } from './sandbox.ts';
import { fieldPath, rfc3339, type Slot, terminatedState } from './slot.ts';

/** What starting and stopping containers needs of their pod. */
export interface RunnerContext {
  readonly node: NodeContext;
  readonly paths: PodPaths;
  readonly pod: () => Pod;
  /** Resolves when the pod is to end. */
  readonly interrupted: Promise<void>;
  readonly onChange: () => void;
  readonly facts: () => PodFacts;
}

const CONFIG_RETRY = 5000;
const PULL_BACKOFF = { first: 10_000, max: 300_000 };
const MESSAGE_LIMIT = 4096;
const LOG_HOOK_TIMEOUT = 600_000;

/** Starts a container for the next time. Returns after how many milliseconds to try again when it could not be started. */
export async function startSlot(
  runner: RunnerContext,
  slot: Slot,
  sandbox: Sandbox,
  volumes: ReadonlyMap<string, string>,
): Promise<number | undefined> {
  const { node, paths } = runner;
  const pod = runner.pod();
  const { spec } = slot;
  const event = (type: 'Normal' | 'Warning', reason: string, message: string) =>
    node.events.record(pod, type, reason, message, fieldPath(slot));
  const directory = paths.container(spec.name, slot.attempt);
  slot.ready = false;
  slot.started = false;
  slot.killReason = undefined;
  try {
    const image = await node.images.prepare(spec.image ?? '');
    slot.pulls = 0;
    slot.imageID = image.id;
    const env = containerEnvironment(pod, spec, node.services(), node.lookup, runner.facts());
    fs.rmSync(directory, { recursive: true, force: true });
    const plan = await planContainer({
      pod,
      container: spec,
      image,
      directory,
      paths,
      sandbox,
      networkNamespace: namespacePath(sandbox.namespace),
      env,
      volumes,
      devices: node.devices,
      cgroup: node.cgroup(pod, spec.name),
    });
    event('Normal', 'Pulled', `Container image "${spec.image}" already present on machine`);
    const log = logFile(node.logDir, namespaceOf(pod), nameOf(pod), uidOf(pod), spec.name, slot.attempt);
    slot.containerID = `istio-local://${randomBytes(32).toString('hex')}`;
    fs.writeFileSync(join(directory, 'id'), JSON.stringify({ containerID: slot.containerID, imageID: image.id }));
    const started = await startContainer(plan, log, node.fifos, {
      stdin: spec.stdin === true,
      onError: (error) => node.log(`log of ${nameOf(pod)}/${spec.name}: ${error.message}`),
    });
    event('Normal', 'Created', `Created container: ${spec.name}`);
    event('Normal', 'Started', `Started container ${spec.name}`);
    slot.state = { running: { startedAt: rfc3339(started.startedAt) } };
    watch(runner, slot, started, sandbox, 0);
    pruneAttempts(runner, slot);
    await postStart(runner, slot, started, sandbox);
    runner.onChange();
    return undefined;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    if (error instanceof UnknownImageError) {
      slot.pulls += 1;
      const delay = Math.min(PULL_BACKOFF.max, PULL_BACKOFF.first * 2 ** (slot.pulls - 1));
      slot.notBefore = Date.now() + delay;
      if (slot.pulls === 1) {
        slot.state = { waiting: { reason: 'ErrImagePull', message } };
        event('Warning', 'Failed', `Failed to pull image "${spec.image}": ${message}`);
        event('Warning', 'Failed', 'Error: ErrImagePull');
      } else {
        slot.state = {
          waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${spec.image}": ${message}` },
        };
        event('Warning', 'BackOff', `Back-off pulling image "${spec.image}": ${message}`);
      }
      runner.onChange();
      return delay;
    }
    if (error instanceof ConfigError) {
      slot.notBefore = Date.now() + CONFIG_RETRY;
      slot.state = { waiting: { reason: 'CreateContainerConfigError', message } };
      event('Warning', 'Failed', `Error: ${message}`);
      runner.onChange();
      return CONFIG_RETRY;
    }
    event('Warning', 'Failed', `Error: ${message}`);
    if (!(error instanceof SetupError)) node.log(error instanceof Error ? (error.stack ?? message) : message);
    slot.state = terminatedState(
      slot,
      { exitCode: 128, signal: undefined, setupFailure: message, finishedAt: new Date() },
      new Date(),
      '',
    );
    runner.onChange();
    return 0;
  }
}

function watch(runner: RunnerContext, slot: Slot, started: ContainerProcess, sandbox: Sandbox, age: number): void {
  slot.process = started;
  void started.exited.then((exit) => {
    if (slot.process !== started) return;
    ended(runner, slot, exit);
    runner.onChange();
  });
  startProbers(runner, slot, started, sandbox, age);
}

function ended(runner: RunnerContext, slot: Slot, exit: ExitInfo): void {
  const { process } = slot;
  for (const prober of slot.probers) prober.stop();
  slot.probers = [];
  slot.process = undefined;
  slot.started = false;
  slot.state = terminatedState(slot, exit, process?.startedAt, terminationMessage(slot, process, exit, runner));
  slot.ready = slot.kind === 'init' && exit.exitCode === 0;
}

function terminationMessage(
  slot: Slot,
  process: ContainerProcess | undefined,
  exit: ExitInfo,
  runner: RunnerContext,
): string {
  if (process === undefined) return '';
  try {
    const text = fs.readFileSync(join(process.directory, 'termination-log'), 'utf8');
    if (text !== '') return text.slice(0, MESSAGE_LIMIT);
    if (exit.exitCode === 0 || slot.spec.terminationMessagePolicy !== 'FallbackToLogsOnError') return '';
    const pod = runner.pod();
    const file = logFile(runner.node.logDir, namespaceOf(pod), nameOf(pod), uidOf(pod), slot.spec.name, slot.attempt);
    const lines = fs.readFileSync(file, 'utf8').trimEnd().split('\n').slice(-80);
    return lines
      .map((line) => line.split(' ').slice(3).join(' '))
      .join('\n')
      .slice(-2048);
  } catch {
    // Nothing was written: the message is empty then.
    return '';
  }
}

function startProbers(
  runner: RunnerContext,
  slot: Slot,
  started: ContainerProcess,
  sandbox: Sandbox,
  age: number,
): void {
  const { spec } = slot;
  const { node } = runner;
  if (slot.kind === 'init') {
    slot.started = false;
    return;
  }
  const target = {
    podIP: sandbox.address,
    container: spec,
    exec: (command: readonly string[], timeout: number) => execToEnd(started, node.fifos, command, timeout),
  };
  const unhealthy = (kind: string) => (message: string) =>
    node.events.record(runner.pod(), 'Warning', 'Unhealthy', `${kind} probe failed: ${message}`, fieldPath(slot));
  const kill = (kind: string, grace: number | undefined) => (ok: boolean) => {
    if (ok || slot.process !== started) return;
    node.events.record(
      runner.pod(),
      'Normal',
      'Killing',
      `Container ${spec.name} failed ${kind} probe, will be restarted`,
      fieldPath(slot),
    );
    const seconds = grace ?? runner.pod().spec.terminationGracePeriodSeconds ?? 30;
    void stopContainer(runner, slot, Date.now() + seconds * 1000, undefined);
  };
  const afterStartup = () => {
    if (slot.process !== started) return;
    slot.started = true;
    const { livenessProbe, readinessProbe } = spec;
    if (livenessProbe !== undefined) {
      slot.probers.push(
        startProber(livenessProbe, age, (timeout) => runHandler(livenessProbe, target, timeout), {
          onVerdict: kill('liveness', livenessProbe.terminationGracePeriodSeconds),
          onFailure: unhealthy('Liveness'),
        }),
      );
    }
    if (readinessProbe === undefined) slot.ready = true;
    else {
      slot.probers.push(
        startProber(
          readinessProbe,
          age,
          (timeout) => runHandler(readinessProbe, target, timeout),
          {
            onVerdict: (ok) => {
              if (slot.process !== started || slot.ready === ok) return;
              slot.ready = ok;
              runner.onChange();
            },
            onFailure: unhealthy('Readiness'),
          },
          true,
        ),
      );
    }
    runner.onChange();
  };
  const { startupProbe } = spec;
  if (startupProbe === undefined || slot.started) {
    afterStartup();
    return;
  }
  const prober = startProber(
    startupProbe,
    age,
    (timeout) => runHandler(startupProbe, target, timeout),
    {
      onVerdict: (ok) => {
        prober.stop();
        if (ok) afterStartup();
        else kill('startup', startupProbe.terminationGracePeriodSeconds)(false);
      },
      onFailure: unhealthy('Startup'),
    },
    true,
  );
  slot.probers.push(prober);
}

async function postStart(
  runner: RunnerContext,
  slot: Slot,
  started: ContainerProcess,
  sandbox: Sandbox,
): Promise<void> {
  const hook = slot.spec.lifecycle?.postStart;
  if (hook === undefined) return;
  runner.onChange();
  const target = {
    podIP: sandbox.address,
    container: slot.spec,
    exec: (command: readonly string[]) => execToEnd(started, runner.node.fifos, command, LOG_HOOK_TIMEOUT),
  };
  const result = await Promise.race([
    runHandler(hook, target, LOG_HOOK_TIMEOUT),
    started.exited.then(() => undefined),
    runner.interrupted.then(() => undefined),
  ]);
  if (result === undefined || result.ok) return;
  runner.node.events.record(
    runner.pod(),
    'Warning',
    'FailedPostStartHook',
    `PostStartHook failed: ${result.message}`,
    fieldPath(slot),
  );
  await stopContainer(runner, slot, Date.now() + 30_000, 'FailedPostStartHook');
}

/** Ends a container: preStop hook, SIGTERM, and SIGKILL at the deadline (milliseconds since the epoch). Resolves when it has ended. */
export async function stopContainer(
  runner: RunnerContext,
  slot: Slot,
  deadline: number,
  message: string | undefined,
): Promise<void> {
  const started = slot.process;
  if (started === undefined) return;
  for (const prober of slot.probers) prober.stop();
  slot.probers = [];
  if (message !== undefined) {
    runner.node.events.record(runner.pod(), 'Normal', 'Killing', `${message} ${slot.spec.name}`, fieldPath(slot));
  }
  const late = setTimeout(() => started.signal('SIGKILL'), Math.max(0, deadline - Date.now()));
  const hook = slot.spec.lifecycle?.preStop;
  if (hook !== undefined && deadline > Date.now()) {
    const left = deadline - Date.now();
    const target = {
      podIP: runner.facts().podIP,
      container: slot.spec,
      exec: (command: readonly string[]) => execToEnd(started, runner.node.fifos, command, left),
    };
    const result = await Promise.race([
      runHandler(hook, target, left),
      started.exited.then(() => undefined),
      new Promise<undefined>((resolve) => setTimeout(resolve, left, undefined)),
    ]);
    if (result?.ok === false) {
      runner.node.events.record(
        runner.pod(),
        'Warning',
        'FailedPreStopHook',
        `PreStopHook failed: ${result.message}`,
        fieldPath(slot),
      );
    }
  }
  started.signal('SIGTERM');
  const exit = await started.exited;
  clearTimeout(late);
  if (slot.process === started) {
    ended(runner, slot, exit);
    runner.onChange();
  }
}

/** Finds the containers that an earlier process of the cluster left running, and how the others ended. */
export async function adoptContainers(runner: RunnerContext, slots: readonly Slot[]): Promise<void> {
  const pod = runner.pod();
  const statuses = new Map(
    [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])].map((status) => [
      status.name,
      status,
    ]),
  );
  const sandbox = JSON.parse(fs.readFileSync(runner.paths.sandbox, 'utf8')) as Sandbox;
  for (const slot of slots) {
    const base = join(runner.paths.containers, slot.spec.name);
    const attempts = (fs.existsSync(base) ? fs.readdirSync(base) : [])
      .map(Number)
      .filter(Number.isInteger)
      .sort((a, b) => b - a);
    const status = statuses.get(slot.spec.name);
    slot.lastState = status?.lastState ?? {};
    for (const attempt of attempts) {
      const directory = runner.paths.container(slot.spec.name, attempt);
      const found = adoptContainer(directory, (error) => runner.node.log(error.message));
      if (found === undefined) continue;
      const { container, alive } = found;
      slot.attempt = attempt;
      try {
        const id = JSON.parse(fs.readFileSync(join(directory, 'id'), 'utf8'));
        slot.containerID = id.containerID;
        slot.imageID = id.imageID;
      } catch {
        // Only for show.
      }
      if (alive) {
        slot.state = { running: { startedAt: rfc3339(container.startedAt) } };
        // What was ready stays so until its probe says otherwise.
        slot.started = status?.started === true;
        slot.ready = status?.ready === true;
        watch(runner, slot, container, sandbox, (Date.now() - container.startedAt.getTime()) / 1000);
      } else {
        slot.process = container;
        ended(runner, slot, await container.exited);
      }
      break;
    }
  }
}

/** Old starts keep only their logs, and of these the last two. */
function pruneAttempts(runner: RunnerContext, slot: Slot): void {
  const pod = runner.pod();
  for (const old of [slot.attempt - 1, slot.attempt - 2]) {
    if (old >= 0) fs.rmSync(runner.paths.container(slot.spec.name, old), { recursive: true, force: true });
  }
  const stale = slot.attempt - 2;
  if (stale < 0) return;
  const file = logFile(runner.node.logDir, namespaceOf(pod), nameOf(pod), uidOf(pod), slot.spec.name, stale);
  for (const name of [file, `${file}.1`, `${file}.2`]) fs.rmSync(name, { force: true });
}
