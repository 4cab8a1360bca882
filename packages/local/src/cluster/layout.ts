import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const DEFAULT_CLUSTER = 'istio-local';

/** Files of one cluster. Everything but `run` survives `down`. */
export interface ClusterLayout {
  readonly name: string;
  readonly root: string;
  /** State of the API server. */
  readonly api: string;
  /** What belongs to running pods; gone after `down` or a reboot. */
  readonly run: string;
  readonly logs: string;
  readonly claims: string;
  readonly cniConfig: string;
  readonly cniBin: string;
  /** Sockets of the CNI agents, gone after `down`; and their logs. */
  readonly cniRun: string;
  readonly cniLogs: string;
  readonly imageTable: string;
  /** JSON, `ClusterSettings`. */
  readonly settings: string;
  /** JSON, `ClusterPhase`: how far the start is. */
  readonly phase: string;
  readonly supervisorPid: string;
  readonly clusterPid: string;
  /** Kubeconfig of the administrator, for this cluster only. */
  readonly kubeconfig: string;
  /** Unix socket of the API server; short, as their paths are limited to 107 bytes. */
  readonly socket: string;
}

/** Directory of all state: `ISTIO_TS_HOME`, else `~/.istio-ts` of the person who called (also through sudo). */
export function stateHome(env: NodeJS.ProcessEnv = process.env): string {
  return env.ISTIO_TS_HOME || join(personalHome(env), '.istio-ts');
}

/** Home directory of the person who called; with sudo that is not root's. */
export function personalHome(env: NodeJS.ProcessEnv = process.env): string {
  const user = env.SUDO_USER;
  if (user !== undefined && user !== 'root' && process.getuid?.() === 0) {
    const line = readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((entry) => entry.startsWith(`${user}:`));
    const home = line?.split(':')[5];
    if (home) return home;
  }
  return homedir();
}

/** Throws an Error for a name that cannot be part of file and namespace names. */
export function clusterLayout(name: string, home = stateHome()): ClusterLayout {
  if (!/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)) {
    throw new Error(
      `cluster name "${name}": use up to 40 lower-case letters, digits and "-", beginning and ending with a letter or digit`,
    );
  }
  const root = join(home, 'clusters', name);
  return {
    name,
    root,
    api: join(root, 'api'),
    run: join(root, 'run'),
    logs: join(root, 'logs'),
    claims: join(root, 'claims'),
    cniConfig: join(root, 'cni/net.d'),
    cniBin: join(root, 'cni/bin'),
    cniRun: join(root, 'run/node'),
    cniLogs: join(root, 'logs/istio-cni'),
    imageTable: join(root, 'images.yaml'),
    settings: join(root, 'settings.json'),
    phase: join(root, 'phase.json'),
    supervisorPid: join(root, 'supervisor.json'),
    clusterPid: join(root, 'cluster.json'),
    kubeconfig: join(root, 'kubeconfig'),
    socket: `/run/istio-ts/${name}.sock`,
  };
}

const here = fileURLToPath(import.meta.url);
const fromSource = here.endsWith('.ts');

/** Entry file of one of the cluster's own programs, bundled or in the source tree. */
export function programFile(name: string): string {
  return fromSource ? join(dirname(here), '..', 'bin', `${name}.ts`) : join(dirname(here), `${name}.mjs`);
}

/** The directory with bundled programs (`bin/*.mjs`). */
export function distDirectory(env: NodeJS.ProcessEnv = process.env): string {
  if (env.ISTIO_TS_DIST) return env.ISTIO_TS_DIST;
  return fromSource ? join(dirname(here), '..', '..', '..', '..', 'dist') : dirname(dirname(here));
}

/** The Envoy binary: `ENVOY_BINARY` (also when there is no such file: who names one means it), `<state>/envoy/envoy`, or `envoy` in the PATH. */
export function findEnvoy(env: NodeJS.ProcessEnv = process.env, home = stateHome(env)): string | undefined {
  if (env.ENVOY_BINARY) return env.ENVOY_BINARY;
  const candidates = [join(home, 'envoy', 'envoy')];
  for (const directory of (env.PATH ?? '').split(':')) if (directory !== '') candidates.push(join(directory, 'envoy'));
  return candidates.find((path) => existsSync(path));
}
