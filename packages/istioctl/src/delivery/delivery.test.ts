import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createDelivery, type IstiodAnswer } from './progress.ts';
import { istioType } from './wait.ts';

type State = IstiodAnswer['proxies'][number]['state'];
const answer = (
  istiod: string,
  generation: number | undefined,
  proxies: Readonly<Record<string, State>>,
): IstiodAnswer => ({
  istiod,
  ...(generation !== undefined && { inForce: { generation, resourceVersion: String(generation * 10) } }),
  problems: [],
  proxies: Object.entries(proxies).map(([proxy, state]) => ({ proxy, state })),
});

test('a proxy has a version once it was idle after istiod had it, and keeps it', () => {
  const delivery = createDelivery({ generation: 2 });
  assert.equal(delivery.take([answer('i', 1, { a: 'delivered', b: 'pending' })]).share, 0);
  assert.equal(delivery.take([answer('i', 2, { a: 'delivered', b: 'pending' })]).share, 0.5);
  const last = delivery.take([answer('i', 3, { a: 'pending', b: 'delivered' })]);
  assert.equal(last.share, 1);
  assert.ok(last.inForce);
});

test('every istiod must have it', () => {
  const state = createDelivery({ generation: 2 }).take([
    answer('one', 2, { a: 'delivered' }),
    answer('two', undefined, { b: 'delivered' }),
  ]);
  assert.equal(state.inForce, false);
  assert.equal(state.share, 0.5);
  assert.match(state.line, /two has not seen it yet/);
});

test('what proxies refuse and what istiod ignores is told', () => {
  const delivery = createDelivery({ generation: 1 });
  assert.match(delivery.take([answer('i', 1, { a: 'rejected' })]).line, /1 refused/);
  const ignored = { ...answer('i', 1, {}), problems: [{ path: 'spec.http', message: 'is empty' }] };
  assert.equal(delivery.take([ignored]).problem, 'spec.http: is empty');
  assert.equal(createDelivery({ generation: 2 }).take([ignored]).problem, undefined);
});

test('of one proxy only that one counts', () => {
  const delivery = createDelivery({ generation: 1, proxy: 'b.app' });
  assert.equal(delivery.take([answer('i', 1, { 'a.app': 'pending', 'b.app': 'delivered' })]).share, 1);
  const gone = createDelivery({ generation: 1, proxy: 'c.app' }).take([answer('i', 1, { 'a.app': 'delivered' })]);
  assert.equal(gone.share, 0);
  assert.match(gone.line, /c\.app is not connected/);
});

test('kinds may be written in any of their ways', () => {
  for (const word of [
    'VirtualService',
    'virtualservices',
    'virtual-service',
    'vs',
    'virtualservice.networking.istio.io',
  ])
    assert.equal(istioType(word).kind, 'VirtualService', word);
  assert.throws(() => istioType('deployment'), /"deployment" is not a kind of Istio/);
});
