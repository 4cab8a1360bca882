import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mesh, Workload } from '@istio-ts/mesh';
import { certificateSubject } from './certificate-subject.ts';

const workload = (serviceAccount: string, workloadName: string) =>
  ({
    namespace: 'shop',
    serviceAccount,
    workloadName,
    canonicalName: workloadName,
    canonicalRevision: 'v1',
    clusterId: 'Kubernetes',
    labels: { app: 'shopping' },
  }) as unknown as Workload;
const mesh = {
  workloads: new Map([
    ['Pod/shop/cart-1', workload('cart', 'cart')],
    ['Pod/shop/pay-1', workload('pay', 'pay')],
  ]),
  workloadsByAddress: new Map([['10.0.0.7', [workload('pay', 'pay'), workload('cart', 'cart-by-address')]]]),
} as unknown as Mesh;
const caller = (podName: string | undefined, remoteAddress = '10.0.0.9') => ({
  identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' },
  podName,
  podUid: undefined,
  remoteAddress,
});

test('the pod that the token is bound to', () =>
  assert.deepEqual(certificateSubject(mesh, caller('cart-1')), {
    workload: 'cart',
    canonicalName: 'cart',
    version: 'v1',
    cluster: 'Kubernetes',
    app: 'shopping',
    versionLabel: '',
  }));

test('without one, the pod at the address, if it runs under the proved identity', () =>
  assert.equal(certificateSubject(mesh, caller(undefined, '10.0.0.7'))?.workload, 'cart-by-address'));

test("never another identity's pod", () => {
  assert.equal(certificateSubject(mesh, caller('pay-1')), undefined);
  assert.equal(certificateSubject(mesh, caller(undefined)), undefined);
});
