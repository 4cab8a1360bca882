import { type ChildProcess, spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { exchangeWith, nameServers } from '../dns/upstream.ts';
import { runCommand } from '../network/command.ts';
import { ensureClusterNamespace, namespacePath } from '../network/namespace.ts';
import { cleanUp } from './cleanup.ts';
import { HostListeners } from './host-listeners.ts';
import { type ClusterLayout, clusterLayout, programFile } from './layout.ts';
import { type ClusterPhase, type ClusterSettings, FATAL_EXIT, type Reply, type Request } from './messages.ts';
import { claimProcessFile, readProcessFile, removeFile, writeJson, writeProcessFile } from './process-file.ts';

const RESTART = { first: 100, max: 10_000 };
const STOP_TIMEOUT = 25_000;
/** Milliseconds after which sockets are closed that a new cluster process has no use for. */
const FORGET_AFTER = 60_000;

/**
 * The process that stays in the host's network namespace: starts the cluster process in the cluster's namespace, starts it again when it ends,
 * and opens sockets of the host for it. Resolves when the cluster has been stopped.
 */
export async function runSupervisor(settings: ClusterSettings): Promise<void> {
  const layout = clusterLayout(settings.name, settings.home);
  for (const directory of [layout.root, layout.logs, layout.claims, dirname(layout.socket)]) {
    fs.mkdirSync(directory, { recursive: true });
  }
  fs.chmodSync(layout.root, 0o711);
  // What programs print may be confidential.
  fs.chmodSync(layout.logs, 0o700);
  const other = claimProcessFile(layout.supervisorPid);
  if (other !== undefined) {
    console.log(`cluster ${settings.name} is being run by process ${other} already`);
    return;
  }
  setPhase(layout, { phase: 'starting', step: 'network' });
  try {
    await prepare(layout);
    await ensureClusterNamespace(runCommand, settings.name);
  } catch (error) {
    setPhase(layout, { phase: 'failed', message: error instanceof Error ? error.message : String(error) });
    removeFile(layout.supervisorPid);
    return;
  }
  await supervise(layout, settings);
  await cleanUp(layout);
  removeFile(layout.supervisorPid);
}

/** After a reboot nothing of the earlier run exists any more; an earlier cluster process without a supervisor has to go. */
async function prepare(layout: ClusterLayout): Promise<void> {
  const boot = fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const mark = join(layout.run, 'boot-id');
  if (fs.existsSync(layout.run) && (!fs.existsSync(mark) || fs.readFileSync(mark, 'utf8').trim() !== boot)) {
    await cleanUp(layout);
  }
  const orphan = readProcessFile(layout.clusterPid);
  if (orphan !== undefined) {
    process.kill(orphan, 'SIGKILL');
    while (readProcessFile(layout.clusterPid) === orphan) await new Promise((resolve) => setTimeout(resolve, 10));
  }
  fs.mkdirSync(layout.run, { recursive: true, mode: 0o711 });
  // Layers of containers cannot lie on an overlay or a network file system.
  const type = fs.statfsSync(layout.run).type;
  if (type === 0x794c7630 || type === 0x6969) {
    await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=0711', 'istio-ts', layout.run]);
  }
  fs.writeFileSync(mark, `${boot}\n`);
}

function setPhase(layout: ClusterLayout, phase: ClusterPhase): void {
  // Tells what this supervisor says from what an earlier one left behind.
  writeJson(layout.phase, { ...phase, supervisor: process.pid });
}

function supervise(layout: ClusterLayout, settings: ClusterSettings): Promise<void> {
  return new Promise((settle) => {
    const resolve = () => {
      clearTimeout(forgetting);
      listeners.closeAll();
      settle();
    };
    let child: ChildProcess | undefined;
    let stopping = false;
    let delay = RESTART.first;
    let forgetting: NodeJS.Timeout | undefined;
    const listeners = new HostListeners();
    const log = (line: string) => console.log(`${new Date().toISOString()} supervisor: ${line}`);

    const start = () => {
      const begun = Date.now();
      const output = fs.openSync(join(layout.logs, 'cluster.log'), 'a');
      child = spawn(
        'nsenter',
        [
          `--net=${namespacePath(settings.name)}`,
          '--',
          process.execPath,
          '--max-semi-space-size=2',
          programFile('local-cluster'),
          JSON.stringify(settings),
        ],
        { stdio: ['ignore', output, output, 'ipc'], detached: true },
      );
      fs.closeSync(output);
      if (child.pid !== undefined) writeProcessFile(layout.clusterPid, child.pid);
      const current = child;
      listeners.use({
        send: ({ host, port }, connection) => {
          current.send({ op: 'connection', host, port } satisfies Reply, connection, { keepOpen: true }, () => {
            // When it cannot be sent the process has ended, and the next one gets it.
          });
        },
      });
      clearTimeout(forgetting);
      forgetting = setTimeout(() => listeners.closeUnclaimed(), FORGET_AFTER);
      current.on('message', (message: Request) => void answer(current, listeners, layout, message, log));
      current.on('error', (error) => log(`cluster process: ${error.message}`));
      current.on('exit', (code, signal) => {
        listeners.use(undefined);
        removeFile(layout.clusterPid);
        if (stopping) return resolve();
        if (code === FATAL_EXIT) {
          log('the cluster cannot start; see its log');
          return resolve();
        }
        if (Date.now() - begun > 60_000) delay = RESTART.first;
        log(`the cluster process ended (${signal ?? `exit code ${code}`}); it starts again in ${delay} ms`);
        setPhase(layout, { phase: 'starting', step: 'restart of the cluster process' });
        setTimeout(() => (stopping ? resolve() : start()), delay);
        delay = Math.min(delay * 2, RESTART.max);
        return undefined;
      });
    };

    const stop = () => {
      if (stopping) return;
      stopping = true;
      log('stopping');
      setTimeout(() => child?.kill('SIGKILL'), STOP_TIMEOUT).unref();
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) resolve();
      else if (child.connected) child.send({ op: 'stop' } satisfies Reply);
      else child.kill('SIGKILL');
    };
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
    process.on('SIGHUP', () => {});
    start();
  });
}

async function answer(
  child: ChildProcess,
  listeners: HostListeners,
  layout: ClusterLayout,
  message: Request,
  log: (line: string) => void,
): Promise<void> {
  switch (message.op) {
    case 'phase':
      setPhase(layout, message.phase);
      return;
    case 'dns': {
      const servers = nameServers(fs.existsSync('/etc/resolv.conf') ? fs.readFileSync('/etc/resolv.conf', 'utf8') : '');
      const reply = await exchangeWith(servers, Buffer.from(message.message, 'base64'));
      send(child, { op: 'dns', id: message.id, message: reply?.toString('base64') });
      return;
    }
    case 'listen': {
      try {
        const port = await listeners.listen(message.host, message.port);
        send(child, { op: 'listening', id: message.id, port });
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
        const text = error instanceof Error ? error.message : String(error);
        if (code !== 'EADDRINUSE') log(`listen on ${message.host}:${message.port}: ${text}`);
        send(child, { op: 'listening', id: message.id, error: text, ...(code === undefined ? {} : { code }) });
      }
      return;
    }
    case 'unlisten':
      listeners.close(message.host, message.port);
      return;
    case 'taken':
      listeners.taken();
  }
}

function send(child: ChildProcess, reply: Reply): void {
  if (child.connected) child.send(reply, () => {});
}
