import { kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeClient, KubeObject } from '@istio-ts/kube';

/** Records an event about an object, for `kubectl describe` and `kubectl get events`. A refusal is logged: nothing depends on events. */
export async function recordEvent(
  {
    client,
    now,
    operatorName,
    log,
  }: {
    readonly client: KubeClient;
    readonly now: () => Date;
    readonly operatorName: string;
    readonly log: { warn(message: string): void };
  },
  object: KubeObject,
  type: 'Normal' | 'Warning',
  reason: string,
  message: string,
): Promise<void> {
  const at = now()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z');
  const { name = '', namespace = 'default', uid } = object.metadata;
  try {
    await client.create(kubernetesTypes.Event, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { generateName: `${name}.`, namespace },
      involvedObject: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name,
        namespace,
        ...(uid !== undefined && { uid }),
      },
      type,
      reason,
      message,
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
      source: { component: operatorName },
      reportingComponent: operatorName,
    });
  } catch (error) {
    log.warn(`the event ${reason} about ${namespace}/${name} cannot be recorded: ${(error as Error).message}`);
  }
}
