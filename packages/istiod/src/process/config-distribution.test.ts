import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Connections } from '../ads/connections.ts';
import { createConfigDistribution } from './config-distribution.ts';

const virtualService = (generation: number) => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'shop', namespace: 'app', generation, resourceVersion: String(generation * 10) },
});

/** Connections with proxies of these states. */
function connections(states: Readonly<Record<string, { readonly pending: boolean; readonly rejected?: boolean }>>) {
  const all = new Connections();
  for (const [name, { pending, rejected }] of Object.entries(states)) {
    const node = { id: name, podName: name, namespace: 'app' };
    const status = { pending, rejection: rejected ? { message: 'no' } : undefined };
    all.add({ connectionId: name, node, statuses: () => [status] } as never);
  }
  return all;
}

test('a version is in force two turns after it was observed, and proxies with nothing pending have it', () => {
  const turns: (() => void)[] = [];
  const distribution = createConfigDistribution({
    connections: connections({ a: { pending: false }, b: { pending: true }, c: { pending: false, rejected: true } }),
    problems: () => [],
    soon: (work) => turns.push(work),
  });
  distribution.observe(virtualService(3));
  const inForce = () => distribution.of('VirtualService/app/shop').inForce?.generation;
  assert.equal(inForce(), undefined);
  turns.shift()?.();
  assert.equal(inForce(), undefined);
  turns.shift()?.();
  assert.equal(inForce(), 3);
  assert.deepEqual(distribution.of('VirtualService/app/shop').proxies, [
    { proxy: 'a.app', state: 'delivered' },
    { proxy: 'b.app', state: 'pending' },
    { proxy: 'c.app', state: 'rejected' },
  ]);
});

test('objects of Kubernetes are not remembered', () => {
  const distribution = createConfigDistribution({
    connections: connections({}),
    problems: () => [],
    soon: (work) => work(),
  });
  distribution.observe({ apiVersion: 'v1', kind: 'Service', metadata: { name: 's', namespace: 'n' } });
  assert.equal(distribution.of('Service/n/s').inForce, undefined);
});
