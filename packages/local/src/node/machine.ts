import * as fs from 'node:fs';
import * as os from 'node:os';
import { join } from 'node:path';
import type { Pod } from '../controllers/kinds.ts';
import { uidOf } from '../controllers/kinds.ts';
import type { RunCommand } from '../network/command.ts';
import { parseQuantity } from './quantity.ts';

/** Device nodes every container gets (OCI runtime specification, "Default Devices"). */
export async function ensureDevices(run: RunCommand, directory: string): Promise<void> {
  if (fs.existsSync(join(directory, 'termination-log'))) return;
  fs.mkdirSync(join(directory, 'pts'), { recursive: true });
  fs.mkdirSync(join(directory, 'shm'), { recursive: true });
  const nodes = ['null 1 3', 'zero 1 5', 'full 1 7', 'random 1 8', 'urandom 1 9', 'tty 5 0'];
  const script = nodes
    .map((node) => {
      const [name, major, minor] = node.split(' ');
      return `[ -e ${name} ] || mknod -m 666 ${name} c ${major} ${minor}`;
    })
    .concat('mkdir -p net', '[ ! -e /dev/net/tun ] || [ -e net/tun ] || mknod -m 666 net/tun c 10 200')
    .join('\n');
  await run('sh', ['-ec', `cd ${directory}\n${script}`]);
  const links: Record<string, string> = {
    ptmx: 'pts/ptmx',
    fd: '/proc/self/fd',
    stdin: 'fd/0',
    stdout: 'fd/1',
    stderr: 'fd/2',
  };
  for (const [name, target] of Object.entries(links)) {
    if (!fs.existsSync(join(directory, name))) fs.symlinkSync(target, join(directory, name));
  }
  fs.writeFileSync(join(directory, 'termination-log'), '');
}

/** Limits of containers by cgroup v2. */
export interface Cgroups {
  /** Why limits are not enforced; undefined when they are. */
  readonly missing: string | undefined;
  /** Directory for one container, with the limits of its spec. */
  readonly forContainer: (pod: Pod, container: string) => string | undefined;
  readonly removeAll: () => void;
}

export function createCgroups(cluster: string): Cgroups {
  const none = (missing: string): Cgroups => ({ missing, forContainer: () => undefined, removeAll: () => {} });
  const mount = '/sys/fs/cgroup';
  let controllers: string;
  try {
    controllers = fs.readFileSync(join(mount, 'cgroup.controllers'), 'utf8');
  } catch {
    return none('this machine has no unified cgroup v2 hierarchy; resource limits of containers are not enforced');
  }
  const wanted = ['cpu', 'memory', 'pids'].filter((name) => controllers.split(/\s+/).includes(name));
  if (wanted.length === 0) return none('cgroup v2 has no cpu and memory controllers here; limits are not enforced');
  const base = join(mount, `istio-ts-${cluster}`);
  try {
    fs.mkdirSync(base, { recursive: true });
    const enable = wanted.map((name) => `+${name}`).join(' ');
    fs.writeFileSync(join(mount, 'cgroup.subtree_control'), enable);
    fs.writeFileSync(join(base, 'cgroup.subtree_control'), enable);
  } catch (error) {
    return none(`cgroup v2 is not writable (${String(error)}); limits are not enforced`);
  }
  return {
    missing: undefined,
    forContainer(pod, name) {
      const spec = [...(pod.spec.initContainers ?? []), ...pod.spec.containers].find((item) => item.name === name);
      const directory = join(base, `${uidOf(pod)}-${name}`);
      try {
        fs.mkdirSync(directory, { recursive: true });
        const cpu = parseQuantity(spec?.resources?.limits?.cpu ?? '');
        const memory = parseQuantity(spec?.resources?.limits?.memory ?? '');
        if (wanted.includes('cpu') && Number.isFinite(cpu) && cpu > 0) {
          fs.writeFileSync(join(directory, 'cpu.max'), `${Math.max(1000, Math.round(cpu * 100_000))} 100000`);
        }
        if (wanted.includes('memory') && Number.isFinite(memory) && memory > 0) {
          fs.writeFileSync(join(directory, 'memory.max'), String(Math.round(memory)));
        }
        return directory;
      } catch {
        // The kernel refuses the group or a limit: the container runs without.
        return undefined;
      }
    },
    removeAll() {
      for (const name of fs.existsSync(base) ? fs.readdirSync(base) : []) {
        try {
          fs.rmdirSync(join(base, name));
        } catch {
          // A file of the cgroup itself, or a group still in use.
        }
      }
      try {
        fs.rmdirSync(base);
      } catch {
        // Still in use.
      }
    },
  };
}

/** Capacity of the node in Kubernetes' quantities. */
export function machineCapacity(): Record<string, string> {
  return {
    cpu: String(os.cpus().length),
    memory: `${Math.floor(os.totalmem() / 1024)}Ki`,
    pods: '250',
    'ephemeral-storage': '50Gi',
  };
}

export function machineInfo(): Record<string, string> {
  const read = (file: string) => {
    try {
      return fs.readFileSync(file, 'utf8').trim();
    } catch {
      return '';
    }
  };
  const release = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(read('/etc/os-release'))?.[1] ?? 'Linux';
  return {
    machineID: read('/etc/machine-id'),
    systemUUID: read('/etc/machine-id'),
    bootID: read('/proc/sys/kernel/random/boot_id'),
    kernelVersion: os.release(),
    osImage: release,
    operatingSystem: 'linux',
    architecture: os.arch() === 'x64' ? 'amd64' : os.arch(),
    containerRuntimeVersion: 'istio-local://1.0.0',
    kubeletVersion: 'v1.34.1',
    kubeProxyVersion: 'v1.34.1',
  };
}

/** Whether a program is in the PATH of containers. `ISTIO_TS_LOCAL_WITHOUT` names programs, with commas between, that count as absent: to see what takes their place. */
export function hasProgram(name: string): boolean {
  if ((process.env.ISTIO_TS_LOCAL_WITHOUT ?? '').split(',').includes(name)) return false;
  return ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((directory) =>
    fs.existsSync(join(directory, name)),
  );
}
