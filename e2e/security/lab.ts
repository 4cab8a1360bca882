import { join } from 'node:path';
import type { Cluster } from '../support/cluster.ts';
import { eventually, type Output, run } from '../support/shell.ts';

const samples = join(import.meta.dirname, '..', '..', 'samples');

/** The namespaces of Istio's security tasks: `foo` and `bar` have sidecars, `legacy` has none. */
export type Namespace = 'foo' | 'bar' | 'legacy';

/** The mesh as a reader of the security tasks has it: httpbin and a pod with curl in three namespaces, and the ingress gateway. */
export interface Lab {
  readonly cluster: Cluster;
  /** Address of the ingress gateway for this machine. */
  readonly ingress: string;
  /** `kubectl apply -f` of files in `samples/`. */
  applySamples(namespace: string, ...files: readonly string[]): Promise<void>;
  apply(yaml: string, namespace?: string): Promise<void>;
  /** `kubectl delete KIND/NAME ... -n NAMESPACE`; what is not there is no error. */
  remove(namespace: string, ...objects: readonly string[]): Promise<void>;
  /** A command in the pod with curl of a namespace. */
  exec(namespace: string, ...command: readonly string[]): Promise<Output>;
  /** curl in that pod: what it printed. */
  curl(namespace: string, ...args: readonly string[]): Promise<string>;
  /** The status that curl in that pod sees; 000 where there is none. */
  status(namespace: string, ...args: readonly string[]): Promise<string>;
  /** The status that curl on this machine sees. */
  statusHere(...args: readonly string[]): Promise<string>;
  curlHere(...args: readonly string[]): Promise<string>;
}

const statusOnly = ['-o', '/dev/null', '-w', '%{http_code}'] as const;

export async function startLab(cluster: Cluster, ...install: readonly string[]): Promise<Lab> {
  await cluster.istioctl('install', '--set', 'profile=demo', ...install, '-y');
  for (const namespace of ['foo', 'bar', 'legacy']) await cluster.kubectl('create', 'ns', namespace);
  for (const namespace of ['foo', 'bar']) await cluster.kubectl('label', 'ns', namespace, 'istio-injection=enabled');
  return labOf(cluster);
}

/** The same, where the mesh and its namespaces are there already. */
export async function labOf(cluster: Cluster): Promise<Lab> {
  const exec = (namespace: string, ...command: readonly string[]) =>
    cluster.tryKubectl('exec', '-n', namespace, 'deploy/curl', '-c', 'curl', '--', ...command);
  const curl = (namespace: string, ...args: readonly string[]) =>
    exec(namespace, 'curl', '-sS', '--max-time', '10', ...args);
  const here = (...args: readonly string[]) => run('curl', ['-sS', '--max-time', '10', ...args]);
  return {
    cluster,
    ingress: await cluster.loadBalancer('istio-system', 'istio-ingressgateway'),
    applySamples: async (namespace, ...files) =>
      void (await cluster.kubectl('apply', '-n', namespace, ...files.flatMap((file) => ['-f', join(samples, file)]))),
    apply: async (yaml, namespace = 'foo') => void (await cluster.apply(yaml, namespace)),
    remove: async (namespace, ...objects) =>
      void (await cluster.kubectl('delete', '-n', namespace, '--ignore-not-found', ...objects)),
    exec,
    curl: async (namespace, ...args) => {
      const { stdout, stderr } = await curl(namespace, ...args);
      return stdout + stderr;
    },
    status: async (namespace, ...args) => (await curl(namespace, ...statusOnly, ...args)).stdout.slice(-3),
    statusHere: async (...args) => (await here(...statusOnly, ...args)).stdout,
    curlHere: async (...args) => (await here(...args)).stdout,
  };
}

/** Asks until the answer is this, some times in a row: configuration arrives at the proxies when it arrives. */
export async function becomes<T>(what: string, wanted: T, ask: () => Promise<T>, inARow = 3): Promise<void> {
  const text = JSON.stringify(wanted);
  await eventually(what, async () => {
    for (let turn = 0; turn < inARow; turn++) {
      const seen = JSON.stringify(await ask());
      if (seen !== text) throw new Error(`wanted ${text}, it is ${seen}`);
    }
  });
}
