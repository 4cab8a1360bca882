import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { accountToken, type ControlPlane } from './control-plane.test-support.ts';

/** The agent of this repository, as Node runs it from its source. */
export const OWN_AGENT: readonly string[] = [
  process.execPath,
  join(import.meta.dirname, '../../../agent/src/bin/pilot-agent.ts'),
];

export interface AgentOptions {
  /** Program and first arguments. */
  readonly command: readonly string[];
  readonly controlPlane: Pick<ControlPlane, 'secure' | 'root'>;
  /** Of the pod's service account; one that only the control plane of the tests believes where it is not given. */
  readonly token?: string;
  readonly pod: {
    readonly name: string;
    readonly namespace: string;
    readonly account: string;
    readonly ip: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly env?: Readonly<Record<string, string>>;
  readonly proxyConfig?: Readonly<Record<string, unknown>>;
}

export interface RunningAgent {
  /** Root of the pod's files. */
  readonly directory: string;
  readonly ports: Readonly<Record<'status' | 'admin' | 'ready' | 'prometheus', number>>;
  readonly process: ChildProcess;
  output(): string;
  stop(): Promise<void>;
}

export { freePort };

/** Lays out a pod's files in a directory of its own and starts `pilot-agent proxy sidecar` there with what the injected container gives it. */
export async function startAgent({
  command,
  controlPlane,
  token,
  pod,
  env,
  proxyConfig,
}: AgentOptions): Promise<RunningAgent> {
  const directory = mkdtempSync(join(tmpdir(), 'pod-'));
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  };
  write('var/run/secrets/tokens/istio-token', token ?? accountToken(pod.namespace, pod.account));
  write('var/run/secrets/istio/root-cert.pem', controlPlane.root);
  write(
    'etc/istio/pod/labels',
    Object.entries(pod.labels)
      .map(([key, value]) => `${key}="${value}"\n`)
      .join(''),
  );
  write('etc/istio/pod/annotations', '');
  write('etc/istio/proxy/.keep', '');
  const ports = {
    status: await freePort(),
    admin: await freePort(),
    ready: await freePort(),
    prometheus: await freePort(),
  };
  const [program = '', ...first] = command;
  const domain = `${pod.namespace}.svc.cluster.local`;
  const child = spawn(program, [...first, 'proxy', 'sidecar', '--domain', domain, '--proxyLogLevel=warning'], {
    cwd: directory,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env.PATH,
      HOME: directory,
      POD_NAME: pod.name,
      POD_NAMESPACE: pod.namespace,
      SERVICE_ACCOUNT: pod.account,
      INSTANCE_IP: pod.ip,
      HOST_IP: '127.0.0.1',
      JWT_POLICY: 'third-party-jwt',
      PILOT_CERT_PROVIDER: 'istiod',
      CA_ADDR: controlPlane.secure,
      ISTIO_META_CLUSTER_ID: 'Kubernetes',
      ISTIO_META_NODE_NAME: 'node-1',
      ISTIO_META_INTERCEPTION_MODE: 'REDIRECT',
      ISTIO_META_MESH_ID: 'cluster.local',
      ISTIO_META_WORKLOAD_NAME: pod.account,
      ISTIO_META_OWNER: `kubernetes://apis/apps/v1/namespaces/${pod.namespace}/deployments/${pod.account}`,
      ISTIO_META_APP_CONTAINERS: 'app',
      ISTIO_META_POD_PORTS: '[]',
      TRUST_DOMAIN: 'cluster.local',
      ENVOY_STATUS_PORT: String(ports.ready),
      ENVOY_PROMETHEUS_PORT: String(ports.prometheus),
      // The control plane is reached by an address here, so the name of its certificate has to be told.
      ISTIOD_SAN: 'istiod.istio-system.svc',
      ...env,
      PROXY_CONFIG: JSON.stringify({
        discoveryAddress: controlPlane.secure,
        statusPort: ports.status,
        proxyAdminPort: ports.admin,
        terminationDrainDuration: '1s',
        concurrency: 1,
        ...proxyConfig,
      }),
    },
  });
  let output = '';
  const collect = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-200_000);
  };
  child.stdout.on('data', collect);
  child.stderr.on('data', collect);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      output += `${error}`;
      resolve();
    });
  });
  return {
    directory,
    ports,
    process: child,
    output: () => output,
    stop: async () => {
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), 8000);
      await ended;
      clearTimeout(timer);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
