import assert from 'node:assert/strict';
import { test } from 'node:test';
import { virtualServicesInEnvoy } from '../describe/envoy-part.ts';
import { parseConfigDump, routesOf } from '@istio-ts/envoy-dump/config-dump';
import { domainSummary } from '@istio-ts/envoy-dump/route';
import { routeTable } from './route-table.ts';

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

test('virtual hosts that Envoy got one by one go by their own names', () => {
  const config = '/apis/networking.istio.io/v1/namespaces/default/virtual-service/httpbin';
  const dump = parseConfigDump(
    JSON.stringify({
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump',
          dynamic_route_configs: [
            {
              version_info: '7',
              route_config: {
                name: '8000',
                virtual_hosts: [
                  { name: 'allow_any', domains: ['*'] },
                  {
                    name: '8000/httpbin.default.svc.cluster.local:8000',
                    domains: ['httpbin'],
                    routes: [{ match: { prefix: '/' }, metadata: { filter_metadata: { istio: { config } } } }],
                  },
                  { name: '80/not-of-these', domains: ['other'] },
                ],
                vhds: { config_source: { ads: {} } },
              },
            },
          ],
        },
      ],
    }),
    'test',
  );
  const shown = routeTable(routesOf(dump));
  assert.match(shown, /^8000 +httpbin\.default\.svc\.cluster\.local:8000 +httpbin +\/\* +httpbin\.default$/m);
  assert.match(shown, /^8000 +80\/not-of-these /m);
  assert.match(JSON.stringify(dump), /"versionInfo":"7".*"name":"httpbin\.default\.svc\.cluster\.local:8000".*"vhds":/);
  assert.deepEqual(virtualServicesInEnvoy(dump, 'httpbin.default.svc.cluster.local'), new Set(['httpbin.default']));
});
