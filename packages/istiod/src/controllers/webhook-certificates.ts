import type { ResourceType } from '@istio-ts/kube';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeClient, type KubeObject, type Watch } from '@istio-ts/kube';
import type { Logger } from '../log.ts';
import type { createWebhookMetrics } from '../metrics/kubernetes.ts';

interface Webhook {
  readonly name: string;
  readonly clientConfig: { readonly caBundle?: string };
  readonly failurePolicy?: string;
}

interface Target {
  readonly type: ResourceType;
  /** Whether a configuration of this name belongs to this control plane. */
  readonly owns: (object: KubeObject) => boolean;
  /** Policy that the webhook gets once it is being answered; undefined leaves it as it is. */
  readonly failurePolicy: 'Fail' | undefined;
}

const webhooksOf = (object: KubeObject) => (object.webhooks ?? []) as readonly Webhook[];

/** With the value Ignore validation stays open while istiod is away: the chart's `base.validationFailurePolicy`. */
const failurePolicyAnnotation = 'istio-ts/validation-failure-policy';

/** JSON patch that gives every webhook of a configuration the CA bundle (and policy, where nobody asked for another one); empty when nothing is to be done. */
export function webhookPatch(
  object: KubeObject,
  caBundle: string,
  failurePolicy: 'Fail' | undefined,
): readonly { readonly op: 'add'; readonly path: string; readonly value: string }[] {
  return webhooksOf(object).flatMap((webhook, index) => [
    ...(webhook.clientConfig.caBundle === caBundle
      ? []
      : [{ op: 'add' as const, path: `/webhooks/${index}/clientConfig/caBundle`, value: caBundle }]),
    ...(failurePolicy === undefined ||
    object.metadata.annotations?.[failurePolicyAnnotation] === 'Ignore' ||
    webhook.failurePolicy === failurePolicy
      ? []
      : [{ op: 'add' as const, path: `/webhooks/${index}/failurePolicy`, value: failurePolicy }]),
  ]);
}

/**
 * Puts the CA's root into the injection and validation webhooks of this revision, so that the API server trusts istiod's certificate, and lets
 * validation fail closed from then on (istio-surface.md, Webhooks), unless it is configured to stay open. `ready` says that the webhook server answers.
 */
export function keepWebhookCertificates(
  client: KubeClient,
  options: { readonly revision: string; readonly validationName: string; readonly root: () => string },
  log: Logger,
  metrics: ReturnType<typeof createWebhookMetrics>,
): { readonly refresh: () => void; readonly close: () => void } {
  const known = new Map<string, { readonly object: KubeObject; readonly target: Target }>();
  const failed = new Set<string>();
  const ownRevision = (object: KubeObject) =>
    (object.metadata.labels?.['istio.io/rev'] ?? 'default') === options.revision;
  const targets: readonly Target[] = [
    {
      type: kubernetesTypes.MutatingWebhookConfiguration,
      owns: (object) => object.metadata.labels?.app === 'sidecar-injector' && ownRevision(object),
      failurePolicy: undefined,
    },
    {
      type: kubernetesTypes.ValidatingWebhookConfiguration,
      owns: (object) =>
        object.metadata.name === options.validationName ||
        (object.metadata.labels?.app === 'istiod' && ownRevision(object)),
      failurePolicy: 'Fail',
    },
  ];
  const reconcile = (id: string) => {
    const entry = known.get(id);
    if (!entry) return;
    const patch = webhookPatch(
      entry.object,
      Buffer.from(options.root()).toString('base64'),
      entry.target.failurePolicy,
    );
    if (patch.length === 0) return;
    const name = entry.object.metadata.name ?? '';
    const validates = entry.target.type.kind === 'ValidatingWebhookConfiguration';
    metrics.attempt(name);
    if (failed.delete(id)) metrics.retry(name);
    client.patch(entry.target.type, name, undefined, 'json', patch, { fieldManager: 'istiod' }).then(
      () => {
        if (validates) metrics.validationUpdated();
        log.info(`gave ${entry.target.type.kind} ${name} the CA of this control plane`);
      },
      (error: Error) => {
        const reason = error instanceof KubeApiError ? error.reason : 'unreachable';
        failed.add(id);
        metrics.failure(name, reason);
        if (validates) metrics.validationUpdated(reason);
        if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409)))
          log.warn(`cannot patch ${entry.target.type.kind} ${name}: ${error.message}`);
      },
    );
  };
  const watches: Watch[] = targets.map((target) =>
    client.watch(
      target.type,
      {},
      (event) => {
        if (event.type === 'SYNCED') return;
        const id = `${target.type.resource}/${event.object.metadata.name}`;
        if (event.type === 'DELETED' || !target.owns(event.object)) {
          failed.delete(id);
          known.delete(id);
          return;
        }
        known.set(id, { object: event.object, target });
        reconcile(id);
      },
      (error) => log.debug(`watch of ${target.type.resource}: ${error.message}`),
    ),
  );
  const refresh = () => {
    for (const id of known.keys()) reconcile(id);
  };
  const retry = setInterval(refresh, 30_000);
  retry.unref();
  return {
    refresh,
    close: () => {
      clearInterval(retry);
      for (const watch of watches) watch.close();
    },
  };
}
