import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Output, run, until } from './shell.ts';

const root = join(import.meta.dirname, '..', '..');

/** Why the end-to-end tests cannot run here, or undefined when they can. */
export function obstacle(): string | undefined {
  if (process.platform !== 'linux') return 'the local cluster needs Linux';
  if (process.getuid?.() !== 0) return 'the local cluster needs root: run the tests with sudo';
  if (!existsSync(join(root, 'dist', 'bin', 'istioctl.mjs'))) return 'the programs are not built: run npm run build';
  return undefined;
}

/** A local cluster of the tests' own: other name, other state folder, other kubeconfig than the user's. */
export interface Cluster {
  readonly name: string;
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
  /** The address on the host's loopback of a LoadBalancer service. */
  loadBalancer(namespace: string, service: string): Promise<string>;
  down(): Promise<void>;
}

/** Starts the cluster; its home is removed again by `down`. */
export async function startCluster(): Promise<Cluster> {
  const name = `e2e-${process.pid}`;
  const home = mkdtempSync(join(tmpdir(), 'istio-ts-e2e-'));
  const installed = join(process.env.ISTIO_TS_HOME || join(homedir(), '.istio-ts'), 'envoy');
  if (existsSync(installed)) symlinkSync(installed, join(home, 'envoy'));
  const kubeconfig = join(home, 'kubeconfig');
  mkdirSync(join(home, 'bin'), { recursive: true });
  const tools = join(process.env.ISTIO_TS_HOME || join(homedir(), '.istio-ts'), 'bin');
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    ISTIO_TS_HOME: home,
    KUBECONFIG: kubeconfig,
    PATH: `${join(root, 'bin')}${delimiter}${process.env.PATH}${delimiter}${tools}`,
  };

  const must = async (output: Promise<Output>, what: string): Promise<string> => {
    const { stdout, stderr, exitCode } = await output;
    if (exitCode !== 0) throw new Error(`${what} failed with ${exitCode}:\n${stdout}${stderr}`);
    return stdout;
  };
  const tryKubectl = (...args: readonly string[]) => run('kubectl', args, { env });
  const kubectl = (...args: readonly string[]) => must(tryKubectl(...args), `kubectl ${args.join(' ')}`);
  const tryIstioctl = (...args: readonly string[]) =>
    run(join(root, 'bin', 'istioctl'), args, { env, timeoutMs: 600_000 });
  const istioctl = (...args: readonly string[]) => must(tryIstioctl(...args), `istioctl ${args.join(' ')}`);
  const tryApply = (yaml: string, namespace = 'default') =>
    run('kubectl', ['apply', '-n', namespace, '-f', '-'], { env, input: yaml });

  const down = async () => {
    await tryIstioctl('local', 'down', '--name', name, '--wipe');
    rmSync(home, { recursive: true, force: true });
  };
  try {
    await istioctl('local', 'up', '--name', name);
  } catch (error) {
    const logs = await tryIstioctl('local', 'logs', '--name', name);
    await down();
    throw new Error(`${(error as Error).message}\n${logs.stdout.slice(-4000)}`);
  }

  return {
    name,
    home,
    env,
    kubectl,
    tryKubectl,
    istioctl,
    tryIstioctl,
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
    down,
  };
}

interface PodSummary {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string };
  readonly status: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}
