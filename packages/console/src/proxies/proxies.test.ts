import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfigDump } from '@istio-ts/envoy-dump/config-dump';
import { objectOfPath, originsOf, withoutSecrets } from './provenance.ts';
import { logLevelsOf, proxyState, rejectionsOf } from './proxies.ts';
import { proxyRows } from './rows.ts';

test('paths in metadata are objects', () => {
  assert.deepEqual(objectOfPath('/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews'), {
    kind: 'VirtualService',
    namespace: 'shop',
    name: 'reviews',
  });
  assert.deepEqual(
    objectOfPath('/apis/networking.istio.io/v1alpha3/namespaces/a/destinationrule/b')?.kind,
    'DestinationRule',
  );
  assert.equal(objectOfPath('/apis/gateway.networking.k8s.io/v1/namespaces/a/gateway/b')?.kind, 'KubernetesGateway');
  assert.equal(objectOfPath('nonsense'), undefined);
});

test('origins are found in metadata and in the names of authorization rules, wherever they stand', () => {
  const listener = {
    filterChains: [
      {
        filters: [
          {
            typedConfig: {
              rules: { policies: { 'ns[shop]-policy[allow-web]-rule[0]': {} } },
              routeConfig: {
                virtualHosts: [
                  {
                    routes: [
                      {
                        metadata: {
                          filterMetadata: {
                            istio: { config: '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/edge' },
                          },
                        },
                      },
                    ],
                  },
                ],
              },
            },
          },
        ],
      },
    ],
  };
  assert.deepEqual(
    originsOf(listener).map(({ kind, name }) => `${kind} ${name}`),
    ['AuthorizationPolicy allow-web', 'VirtualService edge'],
  );
});

test('secrets are blanked out', () => {
  assert.deepEqual(withoutSecrets({ a: [{ privateKey: { inlineString: 'x' }, other: 1 }] }), {
    a: [{ privateKey: '[blanked out]', other: 1 }],
  });
});

test('rows lead to the objects that they came from, and to the services behind them', () => {
  const dump = parseConfigDump(
    JSON.stringify({
      configs: [
        {
          '@type': 'type.googleapis.com/envoy.admin.v3.RoutesConfigDump',
          dynamic_route_configs: [
            {
              route_config: {
                name: '80',
                virtual_hosts: [
                  {
                    name: 'reviews.shop.svc.cluster.local:80',
                    domains: ['reviews.shop.svc.cluster.local', 'reviews'],
                    routes: [
                      {
                        name: 'canary',
                        match: { prefix: '/' },
                        route: {
                          weighted_clusters: {
                            clusters: [
                              { name: 'outbound|80|v1|reviews.shop.svc.cluster.local', weight: 75 },
                              { name: 'outbound|80|v2|reviews.shop.svc.cluster.local', weight: 25 },
                            ],
                          },
                        },
                        metadata: {
                          filter_metadata: {
                            istio: { config: '/apis/networking.istio.io/v1/namespaces/shop/virtual-service/reviews' },
                          },
                        },
                      },
                    ],
                  },
                ],
              },
            },
          ],
        },
      ],
    }),
    'test',
  );
  const [route] = proxyRows(dump).routes;
  assert.equal(route?.name, '80/reviews.shop.svc.cluster.local:80/canary');
  assert.match(route?.cells.Destination ?? '', /v1\|reviews.* \(75\), .*v2\|reviews.* \(25\)/);
  assert.deepEqual(
    route?.from.map(({ kind, name }) => `${kind} ${name}`),
    ['VirtualService reviews', 'Service reviews'],
  );
});

test('synchronisation: what was sent and confirmed, and what was rejected', () => {
  const rejections = rejectionsOf(
    JSON.stringify({
      connectedClients: [
        {
          connectionId: 'sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local-3',
          rejections: [{ type: 'type.googleapis.com/envoy.config.listener.v3.Listener', message: 'no such filter' }],
        },
      ],
    }),
  );
  const status = {
    cluster_id: 'Kubernetes',
    proxy: 'web-1.shop',
    istio_version: '1.30.0',
    proxy_type: 'sidecar',
    cluster_sent: 'a',
    cluster_acked: 'a',
    listener_sent: 'b',
    listener_acked: 'a',
    endpoint_sent: 'c',
    endpoint_acked: 'b',
  };
  const state = proxyState('istiod-1', status, rejections.get('web-1.shop') ?? []);
  assert.deepEqual(state.sync, { CDS: 'SYNCED', LDS: 'ERROR', EDS: 'STALE', RDS: 'NOT SENT', ECDS: 'NOT SENT' });
  assert.equal(state.message, 'LDS rejected: no such filter');
  assert.equal(`${state.namespace}/${state.pod}`, 'shop/web-1');
});

test('log levels', () => {
  assert.deepEqual(logLevelsOf('active loggers:\n  admin: warning\n  http2: debug\n'), {
    admin: 'warning',
    http2: 'debug',
  });
});
