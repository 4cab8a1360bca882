import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { eventAbout, type KubeClient, type KubeObject } from '@istio-ts/kube';

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
  try {
    await client.create(
      kubernetesTypes.Event,
      eventAbout(object, { type, reason, message, component: operatorName, at: now() }),
    );
  } catch (error) {
    const { name = '', namespace = 'default' } = object.metadata;
    log.warn(`the event ${reason} about ${namespace}/${name} cannot be recorded: ${(error as Error).message}`);
  }
}
