import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Output, run, until } from './shell.ts';

export const root = join(import.meta.dirname, '..', '..');

/** The kubeconfig of a cluster that is there already, on which the tests are to run; undefined for a local cluster of their own (`npm run e2e -- --kubeconfig FILE`). */
export const givenKubeconfig: string | undefined = process.env.E2E_KUBECONFIG || undefined;

/** What a file of tests asks of the machine and of the cluster, beside the usual. */
export interface Needs {
  /** Why the tests need the local cluster: they stop it, read its files on this machine, or change its programs. */
  readonly localCluster?: string;
}

/** Why the end-to-end tests cannot run here, or undefined when they can. */
export function obstacle(needs: Needs = {}): string | undefined {
  if (!existsSync(join(root, 'dist', 'bin', 'istioctl.mjs'))) return 'the programs are not built: run npm run build';
  if (givenKubeconfig !== undefined)
    return needs.localCluster === undefined ? undefined : `only on the local cluster: ${needs.localCluster}`;
  if (process.platform !== 'linux') return 'the local cluster needs Linux';
  if (process.getuid?.() !== 0) return 'the local cluster needs root: run the tests with sudo';
  return undefined;
}

/** The same for one test of a file that otherwise runs on any cluster; false where it runs. */
export const localOnly = (why: string): string | false =>
  givenKubeconfig === undefined ? false : `only on the local cluster: ${why}`;

/** Settings of an installation with which Online Boutique and its sidecars find room on a node with two processors. */
export const SMALL_NODE: readonly string[] = [
  ...['--set', 'values.global.proxy.resources.requests.cpu=10m'],
  ...['--set', 'values.pilot.resources.requests.cpu=50m'],
];

/** A cluster of the tests' own, or one that was given to them, with nothing of theirs in it. */
export interface Cluster {
  readonly name: string;
  /** A folder for files of the tests, removed by `down`. */
  readonly home: string;
  /** The environment in which kubectl and istioctl find this cluster. */
  readonly env: NodeJS.ProcessEnv;
  kubectl(...args: readonly string[]): Promise<string>;
  tryKubectl(...args: readonly string[]): Promise<Output>;
  apply(yaml: string, namespace?: string): Promise<string>;
  tryApply(yaml: string, namespace?: string): Promise<Output>;
  istioctl(...args: readonly string[]): Promise<string>;
  tryIstioctl(...args: readonly string[]): Promise<Output>;
  /** Waits until every pod of a namespace (or of a label) is ready; resolves with `kubectl get pods`. */
  podsReady(namespace: string, selector?: string): Promise<string>;
  /** The name of a pod with this label `app`. */
  podOf(namespace: string, app: string): Promise<string>;
  /** The address of a LoadBalancer service, as it is reached from this machine. */
  loadBalancer(namespace: string, service: string): Promise<string>;
  down(): Promise<void>;
}

/** Where kubectl and istioctl of this checkout are found, and the cluster of this kubeconfig. */
export const environmentOf = (kubeconfig: string, tools: readonly string[]): NodeJS.ProcessEnv => ({
  ...process.env,
  KUBECONFIG: kubeconfig,
  PATH: [join(root, 'bin'), process.env.PATH, ...tools].join(delimiter),
});

/** What the tests do with a cluster, whichever it is. */
export function clusterCommands(env: NodeJS.ProcessEnv): Omit<Cluster, 'name' | 'home' | 'env' | 'down'> {
  const must = async (output: Promise<Output>, what: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await output;
    if (exitCode !== 0) throw new Error(`${what} failed with ${exitCode}:\n${stdout}${stderr}`);
    return stdout;
  };
  const tryKubectl = (...args: readonly string[]) => run('kubectl', args, { env });
  const kubectl = (...args: readonly string[]) => must(tryKubectl(...args), `kubectl ${args.join(' ')}`);
  const tryIstioctl = (...args: readonly string[]) =>
    run(join(root, 'bin', 'istioctl'), args, { env, timeoutMs: 600_000 });
  const tryApply = (yaml: string, namespace = 'default') =>
    run('kubectl', ['apply', '-n', namespace, '-f', '-'], { env, input: yaml });
  return {
    kubectl,
    tryKubectl,
    tryIstioctl,
    istioctl: (...args) => must(tryIstioctl(...args), `istioctl ${args.join(' ')}`),
    tryApply,
    apply: (yaml, namespace = 'default') => must(tryApply(yaml, namespace), `kubectl apply -n ${namespace}`),
    podsReady: async (namespace, selector) => {
      const where = ['-n', namespace, ...(selector ? ['-l', selector] : [])];
      try {
        return await until(
          `all pods of ${namespace} to be ready`,
          async () => {
            const { items } = JSON.parse(await kubectl('get', 'pods', ...where, '-o', 'json')) as {
              items: readonly PodSummary[];
            };
            const waiting = items.filter(
              ({ metadata, status }) =>
                metadata.deletionTimestamp !== undefined ||
                !status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'),
            );
            if (items.length === 0) throw new Error('there is no pod');
            if (waiting.length > 0)
              throw new Error(`not ready: ${waiting.map(({ metadata }) => metadata.name).join(', ')}`);
            return kubectl('get', 'pods', ...where);
          },
          300_000,
        );
      } catch (error) {
        const pods = await tryKubectl('get', 'pods', ...where, '-o', 'wide');
        const events = await tryKubectl('get', 'events', '-n', namespace);
        throw new Error(
          `${(error as Error).message}\n${pods.stdout}\n${events.stdout.split('\n').slice(-40).join('\n')}`,
        );
      }
    },
    podOf: async (namespace, app) => {
      const name = ['-o', 'jsonpath={.items[0].metadata.name}'];
      return (await kubectl('get', 'pod', '-n', namespace, '-l', `app=${app}`, ...name)).trim();
    },
    loadBalancer: (namespace, service) =>
      until(`an address of ${namespace}/${service}`, async () => {
        const address = (
          await kubectl('get', 'svc', '-n', namespace, service, '-o', 'jsonpath={.status.loadBalancer.ingress[0].ip}')
        ).trim();
        return address || undefined;
      }),
  };
}

interface PodSummary {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

/** Starts a cluster of the tests' own, or takes the one that was given; `down` leaves nothing behind in either. */
export async function startCluster(): Promise<Cluster> {
  if (givenKubeconfig !== undefined) return (await import('./given-cluster.ts')).takeCluster(givenKubeconfig);
  return (await import('./local-cluster.ts')).startLocalCluster();
}
