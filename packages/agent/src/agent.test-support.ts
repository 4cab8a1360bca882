import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { findEnvoy, withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { eventually as become } from '@istio-ts/envoy/testing/eventually';
import { freePort } from '@istio-ts/envoy/testing/free-port';

const ENVOY = findEnvoy();
export const skip = withoutEnvoy;
const running: RunningAgent[] = [];
/** Run in reverse order when all tests of the file are over. */
export const cleanups: (() => void | Promise<void>)[] = [];
after(async () => {
  for (const cleanup of cleanups.reverse()) await cleanup();
});

export { freePort };

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export function http(port: number, path: string, method = 'GET'): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = get({ host: '127.0.0.1', port, path, method, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.on('error', reject);
  });
}

/** Asks again until the answer pleases; with DEBUG a failure shows what the agents wrote. */
export const eventually = <T>(what: string, ask: () => Promise<T>, good: (value: T) => boolean): Promise<T> =>
  become(what, ask, good, () => (process.env.DEBUG ? running.map((agent) => agent.output()).join('\n') : ''));

export interface RunningAgent {
  readonly directory: string;
  readonly process: ChildProcess;
  readonly ports: {
    readonly status: number;
    readonly admin: number;
    readonly ready: number;
    readonly prometheus: number;
  };
  output(): string;
  readonly exit: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** Lays out a pod's files in a directory of its own and starts the agent there. */
export async function startAgent(
  istiod: { readonly address: string; readonly authority: { readonly root: string } },
  env: Record<string, string> = {},
  proxyConfig: Record<string, unknown> = {},
  annotations: Readonly<Record<string, string>> = { note: 'two\nlines' },
  flags: readonly string[] = [],
  /** Puts things into the pod's directory before the agent starts. */
  prepare: (directory: string) => Promise<void> | void = () => undefined,
): Promise<RunningAgent> {
  const directory = mkdtempSync(join(tmpdir(), 'agent-test-'));
  const write = (path: string, text: string): void => {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  write('var/run/secrets/tokens/istio-token', 'the-token\n');
  write('var/run/secrets/istio/root-cert.pem', istiod.authority.root);
  write('etc/istio/pod/labels', 'app="cart"\nversion="v1"\n');
  write(
    'etc/istio/pod/annotations',
    Object.entries(annotations)
      .map(([name, value]) => `${name}=${JSON.stringify(value)}\n`)
      .join(''),
  );
  await prepare(directory);
  const ports = {
    status: await freePort(),
    admin: await freePort(),
    ready: await freePort(),
    prometheus: await freePort(),
  };
  const child = spawn(
    process.execPath,
    [
      join(import.meta.dirname, 'bin/pilot-agent.ts'),
      'proxy',
      'sidecar',
      '--domain',
      'shop.svc.cluster.local',
      ...flags,
    ],
    {
      cwd: directory,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env.PATH,
        POD_NAME: 'cart-1',
        POD_NAMESPACE: 'shop',
        SERVICE_ACCOUNT: 'cart',
        INSTANCE_IP: '127.0.0.1',
        ISTIO_META_WORKLOAD_NAME: 'cart',
        ISTIO_META_OWNER: 'kubernetes://apis/apps/v1/namespaces/shop/deployments/cart',
        ISTIO_META_APP_CONTAINERS: 'server',
        ISTIO_META_POD_PORTS: '[{"containerPort":7070}]',
        ISTIOD_SAN: 'istiod.istio-system.svc',
        ENVOY_BINARY: ENVOY ?? '',
        ENVOY_STATUS_PORT: String(ports.ready),
        ENVOY_PROMETHEUS_PORT: String(ports.prometheus),
        ...env,
        PROXY_CONFIG: JSON.stringify({
          discoveryAddress: istiod.address,
          statusPort: ports.status,
          proxyAdminPort: ports.admin,
          terminationDrainDuration: '0.3s',
          concurrency: 1,
          ...(JSON.parse(env.PROXY_CONFIG ?? '{}') as object),
          ...proxyConfig,
        }),
      },
    },
  );
  let output = '';
  const collect = (chunk: Buffer): void => {
    output += chunk.toString();
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const exit = new Promise<{ code: number | null; signal: string | null }>((resolve) =>
    child.on('close', (code, signal) => resolve({ code, signal })),
  );
  cleanups.push(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      // Only after a failure: Envoy holds the pipes open, so it has to go too.
      child.kill('SIGKILL');
      const envoy = Number(/Envoy started\tpid=(\d+)/.exec(output)?.[1]);
      if (envoy > 0) process.kill(envoy, 'SIGKILL');
    }
    await exit;
    rmSync(directory, { recursive: true, force: true });
  });
  const agent = { directory, process: child, ports, output: () => output, exit };
  running.push(agent);
  return agent;
}
