import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { EndpointSlice, Service } from '../controllers/kinds.ts';
import { createPacketFilter } from './packet-filter.ts';
import { serviceRules } from './service-rules.ts';

const service = (spec: Partial<Service['spec']> = {}): Service => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'shop', namespace: 'default' },
  spec: { clusterIP: '10.96.0.5', ports: [{ name: 'http', port: 80, nodePort: 30080 }], ...spec },
});

const slice = (...endpoints: NonNullable<EndpointSlice['endpoints']>[number][]): EndpointSlice => ({
  apiVersion: 'discovery.k8s.io/v1',
  kind: 'EndpointSlice',
  metadata: { name: 'shop-1', namespace: 'default' },
  addressType: 'IPv4',
  endpoints,
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
});

const ready = (address: string) => ({ addresses: [address], conditions: { ready: true } });

it('spreads connections over the ready endpoints', () => {
  const [rules] = serviceRules(service(), [slice(ready('10.244.0.3'), ready('10.244.0.2'))], '10.244.0.1');
  assert.deepEqual(rules?.matches, ['10.96.0.5 . tcp . 80', '10.244.0.1 . tcp . 30080']);
  assert.equal(
    rules?.rule,
    'meta l4proto tcp dnat ip to numgen random mod 2 map { 0 : 10.244.0.2 . 8080, 1 : 10.244.0.3 . 8080 }',
  );
});

it('uses leaving endpoints when no other is left', () => {
  const leaving = { addresses: ['10.244.0.9'], conditions: { ready: false, serving: true, terminating: true } };
  assert.match(serviceRules(service(), [slice(leaving)], '10.244.0.1')[0]?.rule ?? '', /10\.244\.0\.9:8080/);
  assert.doesNotMatch(
    serviceRules(service(), [slice(leaving, ready('10.244.0.2'))], '10.244.0.1')[0]?.rule ?? '',
    /10\.244\.0\.9/,
  );
});

it('keeps a client at its endpoint with session affinity', () => {
  const slices = [slice(ready('10.244.0.2'), ready('10.244.0.3'))];
  assert.match(
    serviceRules(service({ sessionAffinity: 'ClientIP' }), slices, '10.244.0.1')[0]?.rule ?? '',
    /jhash ip saddr mod 2/,
  );
});

it('has nothing for headless and external services', () => {
  assert.deepEqual(serviceRules(service({ clusterIP: 'None' }), [], '10.244.0.1'), []);
  assert.deepEqual(serviceRules(service({ type: 'ExternalName', externalName: 'a.b' }), [], '10.244.0.1'), []);
});

it('sends only what changed, in one transaction each', async () => {
  const scripts: string[] = [];
  const filter = createPacketFilter(async (_program, _args, options) => {
    scripts.push(options?.input ?? '');
    return '';
  });
  filter.set('default/shop', serviceRules(service(), [], '10.244.0.1'));
  await filter.flush();
  assert.match(scripts[0] ?? '', /add element ip istio-local refused \{ 10\.96\.0\.5 \. tcp \. 80/);
  filter.set('default/shop', serviceRules(service(), [slice(ready('10.244.0.2'))], '10.244.0.1'));
  await filter.flush();
  assert.doesNotMatch(scripts[1] ?? '', /delete table/);
  assert.match(
    scripts[1] ?? '',
    /add chain[\s\S]*add element ip istio-local services[\s\S]*delete element ip istio-local refused/,
  );
  await filter.flush();
  assert.equal(scripts.length, 2);
  filter.set('default/shop', []);
  await filter.flush();
  assert.match(scripts[2] ?? '', /delete element ip istio-local services[\s\S]*delete chain/);
});

it('starts from an empty table after a failure', async () => {
  let fail = true;
  const scripts: string[] = [];
  const filter = createPacketFilter(async (_program, _args, options) => {
    scripts.push(options?.input ?? '');
    if (fail) throw new Error('no');
    return '';
  });
  filter.set('default/shop', serviceRules(service(), [slice(ready('10.244.0.2'))], '10.244.0.1'));
  await assert.rejects(filter.flush());
  fail = false;
  await filter.flush();
  assert.match(scripts[1] ?? '', /delete table/);
});
