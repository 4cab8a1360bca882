import * as fs from 'node:fs';
import { join } from 'node:path';
import type { Duplex, Readable } from 'node:stream';
import type { ClusterTrustBundle, ConfigMap, Pod, Secret } from '../controllers/kinds.ts';
import { keyOf, nameOf, namespaceOf, uidOf } from '../controllers/kinds.ts';
import type { Informer } from '../controllers/informer.ts';
import type { ExecSession, NodeRuntime } from '../node-runtime.ts';
import { killNamespaceProcesses } from './processes.ts';
import type { Dialer } from './dialer.ts';
import { attachTo, execIn } from './exec.ts';
import { readLog } from './log-reader.ts';
import { logFile, podPaths } from './paths.ts';
import { createPodWorker, type NodeContext, type PodWorker } from './pod-worker.ts';
import { loadSandbox, removeSandbox } from './sandbox.ts';
import type { Slot } from './slot.ts';

/** The node of the cluster: runs the pods that are bound to it. */
export interface LocalNode extends NodeRuntime {
  /** Starts to follow the pods; call once the informers have synced. */
  start(): Promise<void>;
  /** Ends all containers, for the end of the cluster. */
  halt(graceSeconds: number): Promise<void>;
  /** Process ids of the first processes of all running containers of a pod. */
  processes(pod: Pod): { readonly container: string; readonly pid: number }[];
  close(): void;
}

export interface NodeInputs {
  readonly name: string;
  readonly context: NodeContext;
  readonly pods: Informer<Pod>;
  readonly configMaps: Informer<ConfigMap>;
  readonly secrets: Informer<Secret>;
  readonly trustBundles: Informer<ClusterTrustBundle>;
  readonly dialer: Dialer;
}

export function createNode({ name, context, pods, configMaps, secrets, trustBundles, dialer }: NodeInputs): LocalNode {
  const workers = new Map<string, PodWorker>();
  /** Uid of the pod that has a name now. */
  const byName = new Map<string, string>();

  function track(pod: Pod): void {
    if (pod.spec.nodeName !== name) return;
    const uid = uidOf(pod);
    const existing = workers.get(uid);
    byName.set(keyOf(pod), uid);
    if (existing !== undefined) {
      existing.update(pod);
      return;
    }
    workers.set(
      uid,
      createPodWorker(context, pod, () => {
        workers.delete(uid);
        if (byName.get(keyOf(pod)) === uid) byName.delete(keyOf(pod));
        const directory = join(context.logDir, 'pods', `${namespaceOf(pod)}_${nameOf(pod)}_${uid}`);
        fs.rm(directory, { recursive: true, force: true }, () => {});
      }),
    );
  }

  /** Pods whose volumes or environment name the object. */
  function refer(kind: 'configMap' | 'secret', namespace: string, object: string): void {
    for (const worker of workers.values()) {
      const pod = worker.pod();
      if (namespaceOf(pod) === namespace && references(pod, kind, object)) worker.refresh();
    }
  }

  /** What earlier pods left on disk, whose objects went away while no cluster process ran. */
  async function removeOrphans(): Promise<void> {
    const directory = join(context.runDir, 'pods');
    for (const uid of fs.existsSync(directory) ? fs.readdirSync(directory) : []) {
      if (workers.has(uid)) continue;
      const paths = podPaths(context.runDir, uid);
      const sandbox = await loadSandbox(paths);
      if (sandbox !== undefined && !sandbox.hostNetwork) {
        await killNamespaceProcesses([sandbox.namespace]);
        await removeSandbox(context.sandboxes, sandbox).catch((error: Error) => context.log(error.message));
      }
      fs.rmSync(paths.root, { recursive: true, force: true });
    }
  }

  function worker(namespace: string, pod: string): PodWorker {
    const found = workers.get(byName.get(`${namespace}/${pod}`) ?? '');
    if (found === undefined) throw new Error(`pod ${namespace}/${pod} does not run on this node`);
    return found;
  }

  function slot(namespace: string, pod: string, container: string | undefined): { worker: PodWorker; slot: Slot } {
    const found = worker(namespace, pod);
    const result = found.slot(container);
    if (result === undefined) throw new Error(`container ${container} is not valid for pod ${pod}`);
    return { worker: found, slot: result };
  }

  function runningProcess(namespace: string, pod: string, container: string | undefined) {
    const found = slot(namespace, pod, container);
    if (found.slot.process === undefined) {
      const reason = found.slot.state.waiting?.reason ?? found.slot.state.terminated?.reason ?? 'not started';
      throw new Error(`container not found or not running ("${found.slot.spec.name}": ${reason})`);
    }
    return { process: found.slot.process, spec: found.slot.spec };
  }

  return {
    async start() {
      pods.onChange(({ type, object }) => {
        if (type !== 'DELETED') track(object);
        else {
          workers.get(uidOf(object))?.remove();
          if (byName.get(keyOf(object)) === uidOf(object)) byName.delete(keyOf(object));
        }
      });
      let live = false;
      configMaps.onChange(({ object }) => {
        if (live) refer('configMap', namespaceOf(object), nameOf(object));
      });
      secrets.onChange(({ object }) => {
        if (live) refer('secret', namespaceOf(object), nameOf(object));
      });
      // Which bundles a signer's selector takes may change with any of them.
      trustBundles.onChange(() => {
        if (live) for (const worker of workers.values()) if (hasTrustBundles(worker.pod())) worker.refresh();
      });
      live = true;
      await removeOrphans();
      await Promise.all([...workers.values()].map(({ settled }) => settled));
    },

    async logs(namespace, pod, options): Promise<Readable> {
      const { worker: owner, slot: found } = slot(namespace, pod, options.container);
      const running = found.process;
      const attempt = options.previous ? found.attempt - 1 : logAttempt(found);
      if (attempt < 0) {
        throw new Error(
          options.previous
            ? `previous terminated container "${found.spec.name}" in pod "${pod}" not found`
            : `container "${found.spec.name}" in pod "${pod}" is waiting to start: ${found.state.waiting?.reason ?? 'ContainerCreating'}`,
        );
      }
      const file = logFile(context.logDir, namespace, pod, owner.uid, found.spec.name, attempt);
      if (!fs.existsSync(file)) {
        throw new Error(`there is no log of container "${found.spec.name}" in pod "${pod}" any more`);
      }
      const since =
        options.sinceTime !== undefined
          ? Date.parse(options.sinceTime)
          : options.sinceSeconds !== undefined
            ? Date.now() - options.sinceSeconds * 1000
            : undefined;
      const follow = options.follow && !options.previous && running !== undefined;
      const ended = running === undefined ? Promise.resolve() : running.exited;
      return readLog(file, { ...options, follow, since }, ended);
    },

    async exec(namespace, pod, options): Promise<ExecSession> {
      return execIn(runningProcess(namespace, pod, options.container).process, context.fifos, options);
    },

    async attach(namespace, pod, options): Promise<ExecSession> {
      const { process, spec } = runningProcess(namespace, pod, options.container);
      return attachTo(process, { stdin: options.stdin, stdinOnce: spec.stdinOnce === true });
    },

    async dial(namespace, pod, port): Promise<Duplex> {
      const sandbox = worker(namespace, pod).sandbox();
      if (sandbox === undefined) throw new Error(`pod ${namespace}/${pod} is not running`);
      return dialer.dial(sandbox.namespace, port);
    },

    processes(pod) {
      const found = workers.get(uidOf(pod));
      if (found === undefined) return [];
      return found.pod().spec.containers.flatMap(({ name: container }) => {
        const pid = found.slot(container)?.process?.pid;
        return pid === undefined ? [] : [{ container, pid }];
      });
    },

    async halt(graceSeconds) {
      await Promise.all([...workers.values()].map((item) => item.halt(graceSeconds)));
    },

    close() {
      for (const item of workers.values()) item.release();
      dialer.close();
    },
  };
}

/** The start whose log `kubectl logs` shows: the current one, or the last while the next has not begun. */
function logAttempt(slot: Slot): number {
  if (slot.process !== undefined || slot.state.terminated !== undefined) return slot.attempt;
  return slot.attempt - 1;
}

const hasTrustBundles = (pod: Pod): boolean =>
  (pod.spec.volumes ?? []).some(({ projected }) =>
    (projected?.sources ?? []).some(({ clusterTrustBundle }) => clusterTrustBundle !== undefined),
  );

function references(pod: Pod, kind: 'configMap' | 'secret', name: string): boolean {
  for (const volume of pod.spec.volumes ?? []) {
    const sources = [volume, ...(volume.projected?.sources ?? [])];
    for (const source of sources) {
      if (kind === 'configMap' && source.configMap?.name === name) return true;
      if (kind === 'secret' && source.secret !== undefined) {
        const own = 'secretName' in source.secret ? source.secret.secretName : undefined;
        const projected = 'name' in source.secret ? source.secret.name : undefined;
        if (own === name || projected === name) return true;
      }
    }
  }
  // The environment only matters while a container waits for it.
  const waiting = pod.status?.phase === 'Pending' || pod.status?.phase === undefined;
  if (!waiting) return false;
  return [...(pod.spec.initContainers ?? []), ...pod.spec.containers].some(
    (container) =>
      (container.envFrom ?? []).some(
        (from) => from[kind === 'configMap' ? 'configMapRef' : 'secretRef']?.name === name,
      ) ||
      (container.env ?? []).some(
        (env) => env.valueFrom?.[kind === 'configMap' ? 'configMapKeyRef' : 'secretKeyRef']?.name === name,
      ),
  );
}
