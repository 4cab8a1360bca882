// How long pods take to become ready, as a watch sees it; for the benchmarks of a running mesh.
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';

/** A pod that answers its readiness probe, asked every second. */
export const whoami = (name: string, namespace: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace, labels: { app: name } },
  spec: {
    containers: [
      {
        name: 'whoami',
        image: 'whoami:v1',
        imagePullPolicy: 'IfNotPresent',
        ports: [{ containerPort: 80 }],
        readinessProbe: { httpGet: { path: '/health', port: 80 }, periodSeconds: 1 },
      },
    ],
  },
});

/** A pod that became ready. */
export interface ReadyPod {
  /** Milliseconds from the pod's creation to its readiness. */
  readonly readyMs: number;
  /** When a node took it, milliseconds since 1970. */
  readonly taken: number;
}

/** Creates a pod, hands it to `whenReady` and removes it; resolves with how long it took and with what `whenReady` found. */
export async function timePod<Found>(
  client: KubeClient,
  pod: KubeObject,
  whenReady: (ready: ReadyPod) => Promise<Found>,
): Promise<Found> {
  const { name = '', namespace = '' } = pod.metadata;
  const ready = Promise.withResolvers<number>();
  let started = 0;
  let taken = 0;
  const watch = client.watch(kubernetesTypes.Pod, { namespace, fieldSelector: `metadata.name=${name}` }, (event) => {
    if (event.type === 'SYNCED' || event.type === 'DELETED') return;
    const status = event.object.status as
      | { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
      | undefined;
    const spec = event.object.spec as { readonly nodeName?: string } | undefined;
    if (taken === 0 && spec?.nodeName !== undefined) taken = Date.now();
    if (status?.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True'))
      ready.resolve(performance.now() - started);
  });
  try {
    started = performance.now();
    await client.create(kubernetesTypes.Pod, pod);
    return await whenReady({ readyMs: await ready.promise, taken });
  } finally {
    watch.close();
    await client.delete(kubernetesTypes.Pod, name, namespace, { gracePeriodSeconds: 0 });
  }
}

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;

/** Milliseconds as seconds: the median, and all of them. */
export const listed = (values: readonly number[]): string =>
  `${(median(values) / 1000).toFixed(2)} s (median of ${values.length}: ${values.map((ms) => (ms / 1000).toFixed(2)).join(', ')})`;
