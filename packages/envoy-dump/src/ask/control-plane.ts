import type { KubeClient, KubeObject } from '@istio-ts/kube';
import { runningPods } from './pods.ts';
import { podHttp } from './pod-http.ts';

/** Port of istiod's debug endpoints; reached through port-forward, so from the pod's own loopback. */
export const debugPort = 8080;
export const monitoringPort = 15014;

/** The running istiod pods of a revision, or of all. */
export function controlPlanePods(
  client: KubeClient,
  istioNamespace: string,
  revision?: string,
): Promise<readonly KubeObject[]> {
  return runningPods(client, istioNamespace, `app=istiod${revision ? `,istio.io/rev=${revision}` : ''}`);
}

/** Asks every istiod for the same path; one answer per pod. */
export async function askControlPlane(
  client: KubeClient,
  pods: readonly KubeObject[],
  port: number,
  path: string,
): Promise<readonly { readonly pod: string; readonly body: string }[]> {
  return Promise.all(
    pods.map(async ({ metadata }) => {
      const pod = { name: metadata.name ?? '', namespace: metadata.namespace ?? '' };
      return { pod: pod.name, body: await podHttp(client, pod, port, path) };
    }),
  );
}
