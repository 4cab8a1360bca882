import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { becomingReady, unready, waitReady } from './readiness.ts';

const object = (kind: string, name: string, more: object = {}): KubeObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name },
  ...more,
});
const service = { name: 'istiod', namespace: 'istio-system' };

test('a webhook is ready when istiod has put its certificate authority into each entry', () => {
  const webhook = (...bundles: (string | undefined)[]) =>
    object('MutatingWebhookConfiguration', 'istio-sidecar-injector', {
      webhooks: bundles.map((caBundle) => ({ clientConfig: { service, ...(caBundle !== undefined && { caBundle }) } })),
    });
  assert.match(unready(webhook('Q0E=', '')) ?? '', /caBundle/);
  assert.match(unready(webhook(undefined)) ?? '', /caBundle/);
  assert.equal(unready(webhook('Q0E=', 'Q0E=')), undefined);
});

test('webhooks are waited for only where this installation brings the istiod that completes them', () => {
  const webhook = object('ValidatingWebhookConfiguration', 'v');
  const istiod: KubeObject = {
    ...object('Deployment', 'istiod'),
    metadata: { name: 'istiod', labels: { app: 'istiod' } },
  };
  assert.deepEqual(becomingReady([webhook, object('ConfigMap', 'c')]), []);
  assert.deepEqual(becomingReady([webhook, istiod, object('ConfigMap', 'c')]), [webhook, istiod]);
});

test('a Deployment that somebody removes meanwhile ends the waiting', async () => {
  let reads = 0;
  const client = {
    get: async () => {
      reads++;
      if (reads > 1) throw new KubeApiError(404, 'NotFound', 'deployments.apps "istiod" not found');
      return object('Deployment', 'istiod', { status: { readyReplicas: 0 } });
    },
  } as unknown as KubeClient;
  await assert.rejects(
    waitReady(client, [object('Deployment', 'istiod')], 60_000, () => undefined),
    /^OperatorError: Deployment\/istiod was removed by somebody while .*Run the same command again/,
  );
  assert.equal(reads, 2);
});

test('when the time is over, what runs is named before the webhooks that wait for it', async () => {
  const istiod: KubeObject = {
    ...object('Deployment', 'istiod', { status: { readyReplicas: 0 } }),
    metadata: { name: 'istiod', labels: { app: 'istiod' } },
  };
  const webhook = object('MutatingWebhookConfiguration', 'w', { webhooks: [{ clientConfig: { service } }] });
  const client = {
    // The time ends while the first object is looked at.
    get: async ({ kind }: { readonly kind: string }) => {
      await new Promise((resolve) => setTimeout(resolve, 30));
      return kind === 'Deployment' ? istiod : webhook;
    },
    list: async () => ({ items: [] }),
  } as unknown as KubeClient;
  await assert.rejects(
    waitReady(client, [webhook, istiod], 20, () => undefined),
    /^OperatorError: Deployment\/istiod is not ready after/,
  );
});
