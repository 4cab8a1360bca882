import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import {
  type ClosableKubeClient,
  ConnectionError,
  createKubeClient,
  type KubeClient,
  loadKubeConfig,
  parseManifests,
} from '@istio-ts/kube';
import { stateHome } from '@istio-ts/local/cluster/layout';
import { type PodProgress, progressOf } from './pod-progress.ts';

const context = 'istio-local';
const shop = 'istio-app';
const control = 'istio-system';
/** On the shop's namespace once all of the shop was applied. */
const deployedAnnotation = 'istio-ts/online-boutique-deployed';
const patienceMs = 180_000;

export interface DemoOptions {
  /** Folder of the project. */
  readonly root: string;
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** True when lines may be rewritten in place. */
  readonly interactive: boolean;
  readonly now: () => number;
}

/** A step that failed; the message is for the user. */
export class DemoError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'DemoError';
  }
}

const seconds = (ms: number) => `${(ms / 1000).toFixed(1)}s`;
const istioctlOf = (root: string) => join(root, 'dist', 'bin', 'istioctl.mjs');

/** Runs istioctl with its output on this terminal. Raises DemoError when it fails. */
function istioctl(root: string, words: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [istioctlOf(root), ...words], { stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', (error) => reject(new DemoError(`istioctl cannot be run: ${error.message}`)));
    child.on('close', (code) =>
      code === 0 ? resolve() : reject(new DemoError(`istioctl ${words.join(' ')} failed with exit code ${code}`)),
    );
  });
}

function connect(): ClosableKubeClient | undefined {
  try {
    return createKubeClient(loadKubeConfig({ env: process.env, context }), {
      userAgent: 'istio-ts-demo',
      timeoutMs: 10_000,
    });
  } catch {
    // No such context yet: the cluster was never started here.
    return undefined;
  }
}

async function pods(client: KubeClient, namespace: string): Promise<readonly PodProgress[]> {
  return (await client.list(kubernetesTypes.Pod, { namespace })).items.map(progressOf);
}

/** True when the control plane and every pod of the shop is ready. */
async function isRunning(client: KubeClient): Promise<boolean> {
  try {
    const all = [await pods(client, control), await pods(client, shop)];
    return all.every((list) => list.length >= 3 && list.every(({ done }) => done));
  } catch {
    // Not reachable: it has to be started.
    return false;
  }
}

async function ingressAddress(client: KubeClient): Promise<string> {
  const service = await client.get(kubernetesTypes.Service, 'istio-ingressgateway', control);
  const status = service.status as
    | { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } }
    | undefined;
  return status?.loadBalancer?.ingress?.[0]?.ip ?? '(no address yet)';
}

/** True when the whole demo profile is there; an installation that was interrupted is not. */
async function isInstalled(client: KubeClient): Promise<boolean> {
  const have = new Set<string | undefined>();
  for (const type of [kubernetesTypes.Deployment, kubernetesTypes.Service]) {
    for (const { metadata } of (await client.list(type, { namespace: control })).items)
      have.add(`${type.kind}/${metadata.name}`);
  }
  return ['istiod', 'istio-ingressgateway', 'istio-egressgateway'].every(
    (name) => have.has(`Deployment/${name}`) && have.has(`Service/${name}`),
  );
}

/** True when the shop was deployed to its end before; what the user changed since, or deleted, is theirs and stays. */
async function isDeployed(client: KubeClient): Promise<boolean> {
  const namespaces = (await client.list(kubernetesTypes.Namespace)).items;
  return namespaces.some(
    ({ metadata }) => metadata.name === shop && metadata.annotations?.[deployedAnnotation] === 'true',
  );
}

async function deploy(client: KubeClient, root: string): Promise<void> {
  const namespace = {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: shop, labels: { 'istio-injection': 'enabled' } },
  };
  const apply = { fieldManager: 'istio-ts-demo', force: true } as const;
  await client.patch(kubernetesTypes.Namespace, shop, undefined, 'apply', namespace, apply);
  for (const name of ['kubernetes-manifests.yaml', 'istio-manifests.yaml']) {
    const file = join(root, 'samples', 'online-boutique', name);
    for (const object of parseManifests(readFileSync(file, 'utf8'), file)) {
      const type = await client.resolve(object.apiVersion, object.kind);
      await client.patch(type, object.metadata.name ?? '', shop, 'apply', object, apply);
    }
  }
  const done = { ...namespace.metadata, annotations: { [deployedAnnotation]: 'true' } };
  await client.patch(kubernetesTypes.Namespace, shop, undefined, 'apply', { ...namespace, metadata: done }, apply);
}

/** Prometheus, Grafana, Jaeger, Kiali and Loki, as `kubectl apply -f samples/addons` brings them. */
async function bringAddons(client: KubeClient, root: string): Promise<void> {
  const folder = join(root, 'samples', 'addons');
  const files = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
  const apply = { fieldManager: 'istio-ts-demo', force: true } as const;
  for (const file of files.sort())
    for (const object of parseManifests(readFileSync(join(folder, file), 'utf8'), file)) {
      const type = await client.resolve(object.apiVersion, object.kind);
      const { name = '', namespace = control } = object.metadata;
      await client.patch(type, name, type.namespaced ? namespace : undefined, 'apply', object, apply);
    }
}

async function lastLines(client: KubeClient, pod: string, container: string | undefined): Promise<string> {
  const lines: string[] = [];
  for (const previous of [false, true]) {
    try {
      for await (const line of await client.logs(shop, pod, {
        ...(container !== undefined && { container }),
        tailLines: 20,
        previous,
      }))
        lines.push(line);
    } catch {
      // A container that never started has no log; the other attempt may have one.
    }
    if (lines.length > 0) break;
  }
  return lines.length > 0 ? lines.join('\n') : '(no log)';
}

async function waitForPods(
  client: KubeClient,
  options: DemoOptions,
  namespaces: readonly string[] = [control, shop],
  what = 'Istio and Online Boutique',
): Promise<number> {
  const started = options.now();
  let shown = '';
  for (;;) {
    const list: PodProgress[] = [];
    try {
      for (const namespace of namespaces) list.push(...(await pods(client, namespace)));
    } catch (error) {
      // A cluster process that ended comes back by itself within seconds.
      if (!(error instanceof ConnectionError) || options.now() - started > patienceMs) throw error;
    }
    const ready = list.filter(({ done }) => done).length;
    const waiting = list.filter(({ done }) => !done);
    const line = ` • ${what}: ${ready} of ${list.length} pods are ready${waiting.length > 0 && waiting.length <= 3 ? `, waiting for ${waiting.map(({ name }) => name.replace(/-[^-]+-[^-]+$/, '')).join(', ')}` : ''}`;
    if (line !== shown) {
      if (options.interactive) options.out(`\r\x1b[K${line}`);
      else options.out(`${line}\n`);
      shown = line;
    }
    if (list.length > 0 && waiting.length === 0) {
      if (options.interactive) options.out('\r\x1b[K');
      return list.length;
    }
    if (options.now() - started > patienceMs) {
      const worst = waiting.find(({ reason }) => reason !== undefined) ?? waiting[0];
      if (!worst) throw new DemoError('no pod of Online Boutique was created: see kubectl get events -n istio-app');
      throw new DemoError(
        `${waiting.length} pods are not ready after ${seconds(patienceMs)}. ${worst.name}: ${worst.reason ?? `${worst.ready} of ${worst.containers} containers are ready`}. Its log:\n${await lastLines(client, worst.name, worst.container)}\n\nMore: kubectl --context ${context} describe pod -n ${shop} ${worst.name}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

/** The folders to put before the user's PATH: istioctl's, and that of kubectl when it was brought by the preparation. */
function programFolders(root: string): string {
  const folders = (process.env.PATH ?? '').split(delimiter);
  const kubectl = folders.find((folder) => existsSync(join(folder, 'kubectl')));
  const brought = join(stateHome(), 'bin');
  return [join(root, 'bin'), ...(kubectl === brought ? [brought] : [])].join(delimiter);
}

function summary(address: string, root: string, hasAddons: boolean): string {
  const console = hasAddons
    ? 'istioctl dashboard kiali                           (or grafana, jaeger, prometheus)'
    : 'npm start -- --addons                              (Prometheus, Jaeger and the console)';
  return `
The shop         http://${address}/
First            export PATH=${programFolders(root)}:$PATH
Kubernetes       kubectl get pods -n ${shop}                    (context ${context})
istioctl         istioctl proxy-status
                 istioctl proxy-config routes deploy/frontend -n ${shop}
See it           ${console}
Stop             npm stop                                           (npm start brings it back)
`;
}

/** True when the console is there, which is the addon that shows the others. */
async function hasConsole(client: KubeClient): Promise<boolean> {
  const { items } = await client.list(kubernetesTypes.Deployment, { namespace: control });
  return items.some(({ metadata }) => metadata.name === 'kiali');
}

/**
 * `npm start`: the local cluster, Istio and Online Boutique, each brought up only when it is not there; with `wantsAddons` also the programs that show what
 * the mesh does. Raises DemoError.
 */
export async function startDemo(options: DemoOptions, wantsAddons = false): Promise<void> {
  const existing = connect();
  if (existing && (await isRunning(existing))) {
    if (wantsAddons) await addAddons(existing, options);
    const text = summary(await ingressAddress(existing), options.root, await hasConsole(existing));
    options.out(`The mesh is already running.\n${text}`);
    existing.close();
    return;
  }
  existing?.close();
  const begun = options.now();
  await istioctl(options.root, ['local', 'up']);
  const client = connect();
  if (!client) throw new DemoError(`the kubeconfig has no context ${context} after "istioctl local up"`);
  try {
    if (!(await isInstalled(client)))
      await istioctl(options.root, ['install', '--context', context, '--set', 'profile=demo', '-y']);
    if (!(await isDeployed(client))) {
      // After an interrupted start istiod may still be coming up, and its webhooks have a say in what is deployed.
      await waitForPods(client, options, [control]);
      await deploy(client, options.root);
    }
    const count = await waitForPods(client, options);
    options.out(` ✓ Istio and Online Boutique: ${count} pods are ready\n`);
    const up = seconds(options.now() - begun);
    if (wantsAddons) await addAddons(client, options);
    const text = summary(await ingressAddress(client), options.root, await hasConsole(client));
    options.out(`\nThe mesh is up after ${up}.\n${text}`);
  } finally {
    client.close();
  }
}

async function addAddons(client: KubeClient, options: DemoOptions): Promise<void> {
  await bringAddons(client, options.root);
  await waitForPods(client, options, [control], 'Addons');
  options.out(' ✓ Addons: Prometheus, Grafana, Jaeger, Kiali and Loki are ready\n');
}

/** `npm stop`. */
export async function stopDemo(options: DemoOptions, words: readonly string[]): Promise<void> {
  await istioctl(options.root, ['local', 'down', ...words]);
}
