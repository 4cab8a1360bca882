import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { isNotFound, KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

const retryMs = 1000;

/** The node on which the CNI agent is ready, by its pod; undefined when it is not. */
function readyOn(pod: KubeObject): string | undefined {
  const spec = pod.spec as { readonly nodeName?: string } | undefined;
  const status = pod.status as
    | { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
    | undefined;
  const ready = status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true;
  return ready && pod.metadata.deletionTimestamp === undefined ? spec?.nodeName : undefined;
}

const taintsOf = (node: KubeObject): readonly Taint[] =>
  (node.spec as { readonly taints?: readonly Taint[] } | undefined)?.taints ?? [];

/**
 * JSON patch that takes a taint from a node, in the state that was seen: it fails when the node's taints have changed meanwhile. Empty when the node
 * does not have the taint.
 */
export function untaintPatch(node: KubeObject, taint: string): readonly object[] {
  const taints = taintsOf(node);
  const kept = taints.filter(({ key }) => key !== taint);
  if (kept.length === taints.length) return [];
  return [
    { op: 'test', path: '/spec/taints', value: taints },
    { op: 'replace', path: '/spec/taints', value: kept },
  ];
}

/**
 * Takes the taint of new nodes away when the CNI agent of the node is ready, so that no pod of the mesh starts there before its rules can be set
 * (PILOT_ENABLE_NODE_UNTAINT_CONTROLLERS). The agent's pods are those labelled `k8s-app=istio-cni-node` in the namespace given.
 */
export function untaintReadyNodes(
  client: KubeClient,
  options: { readonly namespace: string; readonly taint: string },
  log: Logger,
): { readonly close: () => void } {
  const nodes = new Map<string, KubeObject>();
  /** Node of each ready agent, by the name of its pod. */
  const agents = new Map<string, string>();
  const retries = new Set<NodeJS.Timeout>();
  let closed = false;
  const reconcile = (name: string | undefined): void => {
    const node = name === undefined ? undefined : nodes.get(name);
    if (closed || name === undefined || node === undefined || ![...agents.values()].includes(name)) return;
    const patch = untaintPatch(node, options.taint);
    if (patch.length === 0) return;
    client.patch(kubernetesTypes.Node, name, undefined, 'json', patch, { fieldManager: 'istiod' }).then(
      () => log.info(`took the taint ${options.taint} from node ${name}: its CNI agent is ready`),
      (error: Error) => {
        if (isNotFound(error)) return;
        // Changed taints arrive by the watch, and are looked at then; anything else is tried again.
        if (!(error instanceof KubeApiError && [409, 422].includes(error.status)))
          log.warn(`cannot take the taint ${options.taint} from node ${name}: ${error.message}`);
        if (closed) return;
        const timer = setTimeout(() => {
          retries.delete(timer);
          reconcile(name);
        }, retryMs);
        retries.add(timer);
      },
    );
  };
  const watches = [
    client.watch(kubernetesTypes.Node, { dropManagedFields: true }, (event) => {
      if (event.type === 'SYNCED') return;
      const { name = '' } = event.object.metadata;
      if (event.type === 'DELETED') nodes.delete(name);
      else {
        nodes.set(name, event.object);
        reconcile(name);
      }
    }),
    client.watch(
      kubernetesTypes.Pod,
      { namespace: options.namespace, labelSelector: 'k8s-app=istio-cni-node', dropManagedFields: true },
      (event) => {
        if (event.type === 'SYNCED') return;
        const { name = '' } = event.object.metadata;
        const node = event.type === 'DELETED' ? undefined : readyOn(event.object);
        if (node === undefined) agents.delete(name);
        else agents.set(name, node);
        reconcile(node);
      },
    ),
  ];
  return {
    close: () => {
      closed = true;
      for (const watch of watches) watch.close();
      for (const timer of retries) clearTimeout(timer);
    },
  };
}
