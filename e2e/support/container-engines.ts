import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '@istio-ts/envoy/testing/free-port';

// Container engines of a test's own, with folders of its own: nothing of the machine's engines, images and networks is touched.

/** What a command gave. */
export interface Ended {
  readonly status: number | null;
  /** What it printed, to standard output and then to standard error. */
  readonly text: string;
  readonly stdout: string;
}

/** Runs a program to its end. */
export function command(program: string, args: readonly string[], options: { readonly cwd?: string } = {}): Ended {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    ...options,
    encoding: 'utf8',
    maxBuffer: 256 * 1024 * 1024,
    env: { ...process.env, PATH: SEARCHED, DOCKER_BUILDKIT: '0' },
  });
  return { status, stdout, text: `${stdout}${stderr}${error?.message ?? ''}` };
}

/** Debian puts dockerd and runc where only root's PATH leads. */
const SEARCHED = `${process.env.PATH ?? ''}:/usr/sbin:/sbin`;

/** Where a program is; undefined when it is not on this machine. */
const found = (program: string): string | undefined =>
  SEARCHED.split(':')
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));

/** Why a test that needs these programs is skipped; false when they are all there. */
export function lacks(...programs: readonly string[]): string | false {
  const missing = programs.filter((program) => found(program) === undefined);
  return missing.length > 0 && `${missing.join(' and ')} not on this machine`;
}

/** A program that runs until the test ends. */
export interface Running {
  readonly stop: () => Promise<void>;
}

/** Starts a program that serves, and waits until it answers. Throws an Error with the end of its log when it does not. */
async function serve(
  program: string,
  args: readonly string[],
  folder: string,
  answers: () => boolean | Promise<boolean>,
): Promise<Running> {
  const path = join(folder, 'log');
  const log = openSync(path, 'a');
  const child: ChildProcess = spawn(found(program) ?? program, args, {
    stdio: ['ignore', log, log],
    env: { ...process.env, PATH: SEARCHED },
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  const stop = async (): Promise<void> => {
    child.kill();
    await ended;
  };
  const deadline = Date.now() + 60_000;
  while (!(await answers())) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`${program} does not serve: ${readFileSync(path, 'utf8').slice(-600)}`);
    }
    await delay(100);
  }
  return { stop };
}

/** A container engine's command line with what it takes to use the engine of this test. */
export interface Engine extends Running {
  readonly run: (...words: readonly string[]) => Ended;
  /** Words between `run` and the image: a container without a network, which is gone afterwards. */
  readonly once: readonly string[];
}

/** dockerd without networks, which makes no rules on this machine. It speaks to registries at 127.0.0.1 without TLS. */
export async function startDocker(folder: string): Promise<Engine> {
  mkdirSync(folder, { recursive: true });
  const host = `unix://${join(folder, 'sock')}`;
  writeFileSync(join(folder, 'daemon.json'), '{}');
  const run = (...words: readonly string[]): Ended => command('docker', ['--host', host, ...words]);
  const { stop } = await serve(
    'dockerd',
    [
      ...['--config-file', join(folder, 'daemon.json'), '--host', host, '--pidfile', join(folder, 'pid')],
      ...['--data-root', join(folder, 'data'), '--exec-root', join(folder, 'exec')],
      ...['--bridge=none', '--iptables=false', '--ip6tables=false', '--ip-forward=false', '--ip-masq=false'],
    ],
    folder,
    () => run('info').status === 0,
  );
  return { run, stop, once: ['--rm', '--network=none'] };
}

/** podman or buildah over one store. */
export function podmanWith(folder: string, program: 'podman' | 'buildah'): Engine {
  mkdirSync(folder, { recursive: true });
  // crun refuses where cgroups are of both versions; its limits are higher than some sandboxes allow.
  const runtime = program === 'podman' && found('runc') ? ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs'] : [];
  const store = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run')];
  return {
    run: (...words) => command(program, [...store, ...runtime, ...words]),
    stop: async () => {
      // The store lies on a mount of its own, which podman leaves.
      command('umount', [join(folder, 'root', 'overlay')]);
    },
    once: ['--rm', '--network=none', '--ulimit=nofile=1024:1024', '--ulimit=nproc=1024:1024'],
  };
}

/** containerd without Kubernetes' interface, with its own command line. */
export async function startContainerd(folder: string): Promise<Engine> {
  mkdirSync(folder, { recursive: true });
  const socket = join(folder, 'sock');
  writeFileSync(
    join(folder, 'config.toml'),
    `version = 2\nroot = "${folder}/root"\nstate = "${folder}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\n  address = "${socket}"\n`,
  );
  const run = (...words: readonly string[]): Ended => command('ctr', ['--address', socket, ...words]);
  const { stop } = await serve(
    'containerd',
    ['--config', join(folder, 'config.toml')],
    folder,
    () => run('version').status === 0,
  );
  return { run, stop, once: ['--rm'] };
}

/** A registry on this machine, for anyone who asks. `program` is Debian's docker-registry. */
export async function startRegistry(folder: string, program: string): Promise<Running & { readonly address: string }> {
  mkdirSync(folder, { recursive: true });
  const address = `127.0.0.1:${await freePort()}`;
  writeFileSync(
    join(folder, 'config.yml'),
    `version: 0.1\nstorage: {filesystem: {rootdirectory: ${folder}/data}}\nhttp: {addr: "${address}"}\n`,
  );
  const { stop } = await serve(program, ['serve', join(folder, 'config.yml')], folder, () =>
    fetch(`http://${address}/v2/`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return { address, stop };
}
