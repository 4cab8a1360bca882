import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { EventRecorder } from './events.ts';
import type { Informer } from './informer.ts';
import { keyOf, nameOf, namespaceOf, type Pod } from './kinds.ts';
import { createWorkQueue, type WorkQueue } from './work-queue.ts';

/** Binds every new pod to the only node. A node selector that the node does not fulfil leaves the pod pending, with an event that says why. */
export function startScheduler(
  client: KubeClient,
  pods: Informer<Pod>,
  events: EventRecorder,
  node: { readonly name: string; readonly labels: () => Readonly<Record<string, string>> },
  onError: (key: string, error: Error) => void,
): WorkQueue {
  const queue = createWorkQueue({
    concurrency: 16,
    onError,
    async reconcile(key) {
      const pod = pods.byKey(key);
      if (pod === undefined || pod.spec.nodeName || pod.metadata.deletionTimestamp !== undefined) return;
      if (pod.spec.schedulingGates !== undefined && pod.spec.schedulingGates.length > 0) return;
      const labels = node.labels();
      const misfit = Object.entries(pod.spec.nodeSelector ?? {}).find(([name, value]) => labels[name] !== value);
      if (misfit !== undefined) {
        events.record(
          pod,
          'Warning',
          'FailedScheduling',
          `0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector (${misfit[0]}=${misfit[1]}).`,
        );
        queue.addAfter(key, 30_000);
        return;
      }
      try {
        await client.request('POST', `/api/v1/namespaces/${namespaceOf(pod)}/pods/${nameOf(pod)}/binding`, {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name: nameOf(pod), namespace: namespaceOf(pod) },
          target: { apiVersion: 'v1', kind: 'Node', name: node.name },
        });
        events.record(
          pod,
          'Normal',
          'Scheduled',
          `Successfully assigned ${namespaceOf(pod)}/${nameOf(pod)} to ${node.name}`,
        );
      } catch (error) {
        if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409))) throw error;
      }
    },
  });
  pods.onChange(({ type, object }) => {
    if (type !== 'DELETED' && !object.spec.nodeName) queue.add(keyOf(object));
  });
  return queue;
}
