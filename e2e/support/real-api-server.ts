// A real Kubernetes API server: etcd and kube-apiserver as processes of this user on loopback, without controllers and nodes.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePorts } from './ports.ts';
import { run, until } from './shell.ts';

const home = process.env.KUBE_HOME || join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'real-kubernetes');

function program(name: string): string | undefined {
  const folders = [join(home, 'bin'), ...(process.env.PATH ?? '').split(delimiter), '/usr/bin', '/usr/local/bin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** Why no real API server can be started here, or undefined when one can. */
export function obstacleToRealApiServer(): string | undefined {
  for (const [name, ...versionFlag] of [
    ['kube-apiserver', '--version'],
    ['etcd', '--version'],
  ] as const) {
    const path = program(name);
    if (path === undefined)
      return `there is no ${name} in ${join(home, 'bin')} or on the PATH: Kubernetes' own binaries are needed (../shared/kubernetes/build.sh makes them; KUBE_HOME says where they are)`;
    try {
      execFileSync(path, versionFlag, { stdio: 'pipe' });
    } catch (error) {
      return `${path} does not run here: ${(error as Error).message}`;
    }
  }
  return undefined;
}

export interface RealApiServer {
  /** File of a kubeconfig whose user may do everything. */
  readonly kubeconfig: string;
  readonly pid: number;
  /** Writes a kubeconfig whose user has this token. */
  kubeconfigFor(name: string, token: string): string;
  /** Ends the API server, not its store, and starts it again at the same address. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts etcd and kube-apiserver with `moreFlags`; all their files are in `directory`. Pods may be made without the service account that a controller would make.
 * Throws with the end of the logs when the server does not become ready.
 */
export async function startRealApiServer(directory: string, moreFlags: readonly string[] = []): Promise<RealApiServer> {
  const reason = obstacleToRealApiServer();
  if (reason !== undefined) throw new Error(reason);
  mkdirSync(directory, { recursive: true });
  const file = (name: string): string => join(directory, name);
  const [port = 0, client = 0, peer = 0] = await freePorts(3);
  const children: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]): ChildProcess => {
    const log = openSync(file(`${name}.log`), 'a');
    const child = spawn(program(name) ?? name, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    children.push(child);
    return child;
  };
  const killAll = (): void => {
    for (const child of children) child.kill('SIGKILL');
  };
  // Before those who remove the directory.
  process.prependOnceListener('exit', killAll);

  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  writeFileSync(file('accounts.key'), privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  writeFileSync(file('accounts.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
  const adminToken = randomBytes(24).toString('hex');
  writeFileSync(file('tokens.csv'), `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });

  start('etcd', [
    '--name=one',
    `--data-dir=${file('etcd')}`,
    `--listen-client-urls=http://127.0.0.1:${client}`,
    `--advertise-client-urls=http://127.0.0.1:${client}`,
    `--listen-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
    `--initial-cluster=one=http://127.0.0.1:${peer}`,
    '--log-level=warn',
  ]);
  const startServer = (): ChildProcess =>
    start('kube-apiserver', [
      `--etcd-servers=http://127.0.0.1:${client}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      // It would publish its own address, and loopback is not allowed there.
      '--endpoint-reconciler-type=none',
      `--secure-port=${port}`,
      `--cert-dir=${file('serving')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--allow-privileged=true',
      '--authorization-mode=Node,RBAC',
      // No controller makes the accounts that pods would have to wait for.
      '--disable-admission-plugins=ServiceAccount',
      `--token-auth-file=${file('tokens.csv')}`,
      '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
      `--service-account-key-file=${file('accounts.pub')}`,
      `--service-account-signing-key-file=${file('accounts.key')}`,
      ...moreFlags,
    ]);

  const kubeconfigFor = (name: string, token: string): string => {
    const path = file(`${name}.kubeconfig`);
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': 'real',
      clusters: [
        {
          name: 'real',
          cluster: {
            server: `https://127.0.0.1:${port}`,
            'certificate-authority-data': readFileSync(file('serving/apiserver.crt')).toString('base64'),
          },
        },
      ],
      users: [{ name, user: { token } }],
      contexts: [{ name: 'real', context: { cluster: 'real', user: name } }],
    };
    writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
    return path;
  };

  const end = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    // Its state is thrown away in the end, so nothing has to be finished first.
    child.kill('SIGKILL');
    await ended;
  };
  const close = async (): Promise<void> => {
    process.off('exit', killAll);
    for (const child of children.toReversed()) await end(child);
  };
  const tail = (name: string): string =>
    existsSync(file(name)) ? readFileSync(file(name), 'utf8').slice(-2000) : '(none)';

  let server: ChildProcess;
  const ready = async (): Promise<string> => {
    server = startServer();
    try {
      return await until(
        'the API server to be ready',
        async () => {
          if (server.exitCode !== null) throw new Error(`kube-apiserver ended with ${server.exitCode}`);
          if (!existsSync(file('serving/apiserver.crt'))) return undefined;
          const path = kubeconfigFor('admin', adminToken);
          const { stderr, exitCode } = await run('kubectl', ['--kubeconfig', path, 'get', '--raw', '/readyz'], {
            timeoutMs: 30_000,
          });
          if (exitCode !== 0) throw new Error(stderr);
          return path;
        },
        180_000,
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${tail('kube-apiserver.log')}\n${tail('etcd.log')}`);
    }
  };
  try {
    const kubeconfig = await ready();
    return {
      kubeconfig,
      get pid() {
        return server.pid ?? 0;
      },
      kubeconfigFor,
      restart: async () => {
        await end(server);
        await ready();
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
