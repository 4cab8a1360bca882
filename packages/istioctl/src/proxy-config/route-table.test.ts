import assert from 'node:assert/strict';
import { test } from 'node:test';
import { domainSummary, routeTable } from './route-table.ts';

test('domains are summed up by their shortest names', () => {
  const all = ['httpbin.default.svc.cluster.local', 'httpbin', 'httpbin.default.svc', 'httpbin.default', '10.96.0.7'];
  assert.equal(
    domainSummary([...all, 'httpbin:8000', 'httpbin.default.svc.cluster.local.']),
    'httpbin, httpbin.default + 3 more...',
  );
  assert.equal(domainSummary(['*']), '*');
  assert.equal(domainSummary([]), '');
  assert.equal(domainSummary(['10.0.0.1', 'b.example']), 'b.example, 10.0.0.1');
});

test('a route names its VirtualService', () => {
  const config = '/apis/networking.istio.io/v1/namespaces/default/virtual-service/httpbin';
  const text = routeTable([
    {
      name: '8000',
      virtualHosts: [
        {
          name: 'httpbin:8000',
          domains: ['httpbin'],
          routes: [{ match: { prefix: '/status' }, metadata: { filterMetadata: { istio: { config } } } }],
        },
      ],
    },
  ]);
  assert.match(text, /^8000 +httpbin:8000 +httpbin +\/status\* +httpbin\.default$/m);
});
