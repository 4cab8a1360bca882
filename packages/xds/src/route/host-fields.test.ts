import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { istioObject } from '../testing/objects.ts';
import { answers, clientOf, host, net, PORT, v1, virtualService } from './http-fields.test-support.ts';

/** Hosts and delegates of VirtualServices, from the object to what a client sees, through one real Envoy. */

const { get, text } = clientOf([
  virtualService('root', {
    hosts: ['root'],
    http: [
      {
        match: [{ uri: { prefix: '/a' }, headers: { 'x-root': { exact: '1' } } }],
        name: 'outer',
        timeout: '200ms',
        headers: { response: { set: { 'x-by': 'root' } } },
        delegate: { name: 'part' },
      },
      { match: [{ uri: { prefix: '/b' } }], delegate: { name: 'part', namespace: 'away' } },
      { match: [{ uri: { prefix: '/c' } }], delegate: { name: 'secret', namespace: 'away' } },
      answers('rest'),
    ],
  }),
  virtualService('part', {
    http: [
      { match: [{ uri: { prefix: '/a/x' } }], ...answers('a part') },
      { match: [{ uri: { prefix: '/a/own' } }], timeout: '10s', route: v1 },
      { match: [{ uri: { prefix: '/a/slow' } }], route: v1 },
      { match: [{ uri: { prefix: '/outside' } }], ...answers('not of the root') },
      { match: [{ uri: { prefix: '/a/y' } }, { uri: { prefix: '/outside' } }], ...answers('half of the root') },
    ],
  }),
  virtualService(
    'part',
    { http: [{ match: [{ uri: { exact: '/b/1' } }], ...answers('away') }] },
    { namespace: 'away' },
  ),
  virtualService('secret', { exportTo: ['.'], http: [answers('secret')] }, { namespace: 'away' }),
  // The oldest of several for one host; a name before a wildcard.
  virtualService('young', { hosts: ['late'], http: [answers('young')] }, { minute: 9 }),
  virtualService('old', { hosts: ['late'], http: [answers('old')] }, { minute: 3 }),
  virtualService('hidden', { hosts: [host('hidden')], exportTo: ['away'], http: [answers('hidden')] }, { minute: 1 }),
  virtualService('wild', { hosts: ['*.wild.example'], http: [answers('wildcard')] }),
  virtualService('tame', { hosts: ['tame.wild.example'], http: [answers('name')] }),
  istioObject(
    'ServiceEntry',
    { name: 'wild' },
    { hosts: ['*.wild.example'], ports: [{ number: PORT, name: 'http', protocol: 'HTTP' }], resolution: 'NONE' },
  ),
]);

test('delegates', async () => {
  proves('VirtualService.spec.http[].delegate.name', 'VirtualService.spec.http[].delegate.namespace');
  const headers = { 'x-root': '1' };
  const part = await get('/a/x', 'root', { headers });
  assert.deepEqual([part.text, part.headers['x-by']], ['a part', 'root']);
  assert.equal(await text('/a/x', 'root'), 'rest', 'the conditions of the root hold too');
  assert.equal((await get('/a/own/delay/400', 'root', { headers })).status, 200);
  assert.equal((await get('/a/slow/delay/3000', 'root', { headers })).status, 504, 'what the delegate leaves out');
  assert.equal(await text('/outside', 'root', { headers }), 'rest', 'a delegate cannot widen its root');
  assert.equal(await text('/a/y', 'root', { headers }), 'rest', 'nor one of several conditions of a route');
  assert.equal(await text('/b/1', 'root'), 'away');
  assert.equal(await text('/b/2', 'root'), 'rest');
  assert.equal(await text('/c', 'root'), 'rest', 'not exported to the namespace of the root');
});

test('hosts: short names, wildcards, the oldest of several, visibility', async () => {
  proves('VirtualService.spec.hosts', 'VirtualService.spec.exportTo');
  assert.equal(await text('/', 'late'), 'old');
  for (const name of ['late', 'late.default', 'late.default.svc', host('late'), `late:${PORT}`, net.ip(24)])
    assert.equal(await text('/', name), 'old', name);
  assert.equal((await get('/', 'hidden')).seen?.origin, 'any');
  assert.equal(await text('/', 'any.wild.example'), 'wildcard');
  assert.equal(await text('/', 'tame.wild.example'), 'name');
});
