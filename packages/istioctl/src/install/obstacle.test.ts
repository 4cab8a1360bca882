import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import { obstacleOf, obstacleOfPod } from './obstacle.ts';

const istiod: KubeObject = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'istiod', namespace: 'istio-system' },
  spec: { selector: { matchLabels: { istio: 'pilot' } } },
};
const pod = (status: object, labels: Readonly<Record<string, string>> = { istio: 'pilot' }): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: 'istiod-1', labels },
  status,
});
const event = (kind: string, reason: string, lastTimestamp: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Event',
  metadata: { name: reason },
  type: 'Warning',
  involvedObject: { kind, name: kind === 'Pod' ? 'istiod-1' : 'istiod' },
  reason,
  message: 'a message',
  lastTimestamp,
});
const cluster = (pods: readonly KubeObject[], events: readonly KubeObject[]) =>
  ({
    list: async ({ resource }: { readonly resource: string }) => {
      if (resource === 'pods' && pods.length === 0) throw new KubeApiError(403, 'Forbidden', 'pods is forbidden');
      return { items: resource === 'pods' ? [...pods] : [...events], resourceVersion: '1' };
    },
  }) as unknown as Pick<KubeClient, 'list'>;
const waiting = (reason: string, message?: string) => ({
  containerStatuses: [{ name: 'discovery', state: { waiting: { reason, message } } }],
});

test('a pod says what keeps it from starting', () => {
  assert.equal(
    obstacleOfPod(waiting('ImagePullBackOff', 'Back-off pulling image "a"')),
    'container discovery: ImagePullBackOff: Back-off pulling image "a"',
  );
  assert.equal(
    obstacleOfPod({
      containerStatuses: [
        {
          name: 'discovery',
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: { terminated: { reason: 'Error', exitCode: 1 } },
        },
      ],
    }),
    'container discovery: CrashLoopBackOff; it ended with exit code 1 (Error)',
  );
  assert.equal(
    obstacleOfPod({ conditions: [{ type: 'PodScheduled', status: 'False', message: '0/1 nodes: Insufficient cpu' }] }),
    'no node for the pod: 0/1 nodes: Insufficient cpu',
  );
  assert.equal(obstacleOfPod(waiting('ContainerCreating')), undefined);
});

test('pods come before events, and events before those of an autoscaler', async () => {
  const events = [
    event('Pod', 'FailedMount', '2026-01-01T00:00:01Z'),
    event('HorizontalPodAutoscaler', 'FailedComputeMetricsReplicas', '2026-01-01T00:00:02Z'),
  ];
  assert.match(
    (await obstacleOf(cluster([pod(waiting('ErrImagePull'), {}), pod(waiting('ErrImagePull'))], events), istiod)) ?? '',
    /^container discovery: ErrImagePull/,
  );
  assert.equal(await obstacleOf(cluster([pod(waiting('ErrImagePull'), {})], events), istiod), 'FailedMount: a message');
  assert.equal(await obstacleOf(cluster([], events), istiod), 'FailedMount: a message', 'where pods may not be read');
  assert.equal(await obstacleOf(cluster([], events.slice(1)), istiod), undefined);
  assert.equal(await obstacleOf(cluster([], events), { ...istiod, kind: 'ConfigMap' }), undefined);
});
