import { join } from 'node:path';
import type { Cluster } from '../support/cluster.ts';
import { type Output, run, until } from '../support/shell.ts';

const samples = join(import.meta.dirname, '..', '..', 'samples');

/** The mesh as a user has it who reads the tasks of Istio's documentation: samples in `default`, where pods get sidecars. */
export interface Mesh {
  readonly cluster: Cluster;
  /** `kubectl apply -f` of files in `samples/`. */
  applySamples(...files: readonly string[]): Promise<void>;
  deleteSamples(...files: readonly string[]): Promise<void>;
  /** `kubectl apply -f -` of a manifest. */
  apply(yaml: string, namespace?: string): Promise<void>;
  /** `kubectl delete KIND/NAME ...`; what is not there is no error. */
  remove(...objects: readonly string[]): Promise<void>;
  /** `kubectl exec deploy/NAME -c CONTAINER -- ...`: what the command printed, with both of its outputs. */
  exec(deployment: string, container: string, ...command: readonly string[]): Promise<Output>;
  /** curl in the pod of the sample `curl`: what it printed. */
  curl(...args: readonly string[]): Promise<string>;
  /** curl on this machine, as the tasks do against the ingress gateway. */
  curlHere(...args: readonly string[]): Promise<Output>;
  /** Address of the ingress gateway for this machine. */
  readonly ingress: string;
}

export async function startMesh(cluster: Cluster): Promise<Mesh> {
  await cluster.istioctl('install', '--set', 'profile=demo', '-y');
  await cluster.kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
  const each = (verb: readonly string[], files: readonly string[]) =>
    cluster.kubectl(...verb, ...files.flatMap((file) => ['-f', join(samples, file)])).then(() => undefined);
  const exec = (deployment: string, container: string, ...command: readonly string[]) =>
    cluster.tryKubectl('exec', `deploy/${deployment}`, '-c', container, '--', ...command);
  return {
    cluster,
    ingress: await cluster.loadBalancer('istio-system', 'istio-ingressgateway'),
    applySamples: (...files) => each(['apply'], files),
    deleteSamples: (...files) => each(['delete', '--ignore-not-found'], files),
    apply: async (yaml, namespace) => void (await cluster.apply(yaml, namespace)),
    remove: async (...objects) => void (await cluster.kubectl('delete', '--ignore-not-found', ...objects)),
    exec,
    curl: async (...args) => (await exec('curl', 'curl', 'curl', '-sS', '--max-time', '20', ...args)).stdout,
    curlHere: (...args) => run('curl', ['-sS', '--max-time', '20', ...args]),
  };
}

/** Calls so many times and counts the answers by what `name` makes of them. */
export async function tally(
  times: number,
  call: () => Promise<string>,
  name: (answer: string) => string,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (let turn = 0; turn < times; turn++) {
    const key = name(await call());
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return counts;
}

/** Calls until so many answers in a row satisfy: configuration arrives when it arrives. */
export function settled(
  what: string,
  call: () => Promise<string>,
  holds: (answer: string) => boolean,
  inARow = 6,
): Promise<true> {
  return until<true>(what, async () => {
    for (let turn = 0; turn < inARow; turn++) {
      const answer = await call();
      if (!holds(answer)) throw new Error(`the answer was: ${answer.slice(0, 2000)}`);
    }
    return true;
  });
}
