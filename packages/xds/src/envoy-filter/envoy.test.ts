import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** What patches of EnvoyFilters do to requests of a client through a real Envoy. */

const net = new LoopbackNet();
const PORT = 9000;
const host = (name: string): string => `${name}.default.svc.cluster.local`;
const MANAGER = 'envoy.filters.network.http_connection_manager';
const ROUTER = { filterChain: { filter: { name: MANAGER, subFilter: { name: 'envoy.filters.http.router' } } } };

const lua = (name: string, header: string, value: string) => ({
  name,
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua',
    default_source_code: {
      inline_string: `function envoy_on_request(handle) handle:headers():add("${header}", "${value}") end`,
    },
  },
});
const http = (operation: string, value: object, more: object = {}) => ({
  applyTo: 'HTTP_FILTER',
  match: { context: 'SIDECAR_OUTBOUND', listener: { portNumber: PORT, ...ROUTER } },
  patch: { operation, value },
  ...more,
});
let filters = 0;
const filter = (configPatches: readonly object[], more: object = {}, meta: object = {}) =>
  istioObject('EnvoyFilter', { name: `f${filters++}`, ...meta }, { configPatches, ...more });

const objects = [
  ...loopbackApp(net, 'web', { last: 11, port: PORT, protocol: 'http' }, [{ last: 1 }]),
  ...loopbackApp(net, 'other', { last: 12, port: 9001, protocol: 'http' }, [{ last: 1 }]),
  ...loopbackApp(net, 'raw', { last: 13, port: 9002, protocol: 'tcp' }, [{ last: 1 }]),
  istioObject(
    'VirtualService',
    { name: 'web' },
    {
      hosts: ['web'],
      http: [
        { name: 'old', match: [{ uri: { prefix: '/old' } }], redirect: { uri: '/new' } },
        { name: 'fixed', match: [{ uri: { prefix: '/fixed' } }], directResponse: { status: 418 } },
        { name: 'all', route: [{ destination: { host: 'web' } }] },
      ],
    },
  ),
  // Order: priority, then the root namespace, then age.
  filter([http('INSERT_BEFORE', lua('own', 'x-order', 'own'))]),
  filter(
    [http('INSERT_BEFORE', lua('root', 'x-order', 'root'))],
    {},
    { namespace: 'istio-system', createdAt: '2026-02-02T00:00:00Z' },
  ),
  filter(
    [http('INSERT_BEFORE', lua('first', 'x-order', 'first'))],
    { priority: -1 },
    { createdAt: '2026-03-02T00:00:00Z' },
  ),
  // Ways to insert, to replace and to remove.
  filter([
    http('INSERT_FIRST', lua('inserted-first', 'x-first', 'yes')),
    http('INSERT_AFTER', lua('after-cors', 'x-after', 'yes'), {
      match: {
        context: 'SIDECAR_OUTBOUND',
        listener: {
          name: `0.0.0.0_${PORT}`,
          filterChain: { filter: { name: 'envoy.http_connection_manager', subFilter: { name: 'envoy.cors' } } },
        },
      },
    }),
    http('ADD', lua('added', 'x-added', 'yes'), { match: { listener: { portNumber: PORT } } }),
    http('ADD', lua('classed', 'x-classed', 'yes'), {
      match: { listener: { portNumber: PORT } },
      patch: { operation: 'ADD', filterClass: 'AUTHZ', value: lua('classed', 'x-classed', 'yes') },
    }),
    http('ADD', lua('gone', 'x-gone', 'no'), { match: { listener: { portNumber: PORT } } }),
    {
      applyTo: 'HTTP_FILTER',
      match: {
        listener: { portNumber: PORT, filterChain: { filter: { name: MANAGER, subFilter: { name: 'gone' } } } },
      },
      patch: { operation: 'REMOVE' },
    },
    http('ADD', lua('swapped', 'x-swapped', 'before'), { match: { listener: { portNumber: PORT } } }),
    http('REPLACE', lua('swapped', 'x-swapped', 'after'), {
      match: {
        listener: { portNumber: PORT, filterChain: { filter: { name: MANAGER, subFilter: { name: 'swapped' } } } },
      },
    }),
    http('ADD', lua('merged', 'x-merged', 'before'), { match: { listener: { portNumber: PORT } } }),
    http('MERGE', lua('merged', 'x-merged', 'after'), {
      match: {
        listener: { portNumber: PORT, filterChain: { filter: { name: MANAGER, subFilter: { name: 'merged' } } } },
      },
    }),
  ]),
  // Other proxies.
  filter([http('INSERT_BEFORE', lua('gw', 'x-not', 'gateway'), { match: { context: 'GATEWAY', listener: ROUTER } })]),
  filter([
    http('INSERT_BEFORE', lua('in', 'x-not', 'inbound'), { match: { context: 'SIDECAR_INBOUND', listener: ROUTER } }),
  ]),
  filter([
    http('INSERT_BEFORE', lua('version', 'x-not', 'version'), {
      match: { proxy: { proxyVersion: '^1\\.2.*' }, listener: { portNumber: PORT, ...ROUTER } },
    }),
    http('INSERT_BEFORE', lua('metadata', 'x-not', 'metadata'), {
      match: { proxy: { metadata: { TEAM: 'blue' } }, listener: { portNumber: PORT, ...ROUTER } },
    }),
    http('INSERT_BEFORE', lua('chosen', 'x-chosen', 'yes'), {
      match: {
        proxy: { proxyVersion: '^1\\.30.*', metadata: { TEAM: 'red' } },
        listener: { portNumber: PORT, ...ROUTER },
      },
    }),
  ]),
  filter([http('INSERT_BEFORE', lua('selected', 'x-selected', 'yes'))], {
    workloadSelector: { labels: { app: 'client' } },
  }),
  filter([http('INSERT_BEFORE', lua('unselected', 'x-not', 'selector'))], {
    workloadSelector: { labels: { app: 'server' } },
  }),
  // The HTTP connection manager and the listener.
  filter([
    {
      applyTo: 'NETWORK_FILTER',
      match: { listener: { portNumber: PORT, filterChain: { filter: { name: MANAGER } } } },
      patch: {
        operation: 'MERGE',
        value: {
          typed_config: {
            '@type': `type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
            via: 'patched',
          },
        },
      },
    },
    {
      applyTo: 'NETWORK_FILTER',
      match: { listener: { name: `${net.ip(13)}_9002` } },
      patch: {
        operation: 'INSERT_FIRST',
        value: {
          name: 'refuse',
          typed_config: {
            '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config',
            response: { inline_string: 'HTTP/1.1 299 patched\r\ncontent-length: 0\r\nconnection: close\r\n\r\n' },
          },
        },
      },
    },
    {
      applyTo: 'NETWORK_FILTER',
      match: { listener: { name: `${net.ip(13)}_9002`, filterChain: { filter: { name: 'envoy.tcp_proxy' } } } },
      patch: { operation: 'REMOVE' },
    },
    {
      applyTo: 'LISTENER',
      match: { context: 'SIDECAR_OUTBOUND' },
      patch: {
        operation: 'ADD',
        value: {
          name: 'extra',
          address: { socket_address: { address: net.ip(50), port_value: 9050 } },
          filter_chains: [
            {
              filters: [
                {
                  name: 'direct',
                  typed_config: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.network.direct_response.v3.Config',
                    response: { inline_string: 'HTTP/1.1 298 extra\r\ncontent-length: 0\r\nconnection: close\r\n\r\n' },
                  },
                },
              ],
            },
          ],
        },
      },
    },
  ]),
  // Routes.
  filter([
    {
      applyTo: 'ROUTE_CONFIGURATION',
      match: { context: 'SIDECAR_OUTBOUND', routeConfiguration: { portNumber: PORT } },
      patch: {
        operation: 'MERGE',
        value: { response_headers_to_add: [{ header: { key: 'x-table', value: 'yes' } }] },
      },
    },
    {
      applyTo: 'VIRTUAL_HOST',
      match: { routeConfiguration: { name: String(PORT), vhost: { name: `${host('web')}:${PORT}` } } },
      patch: { operation: 'MERGE', value: { response_headers_to_add: [{ header: { key: 'x-host', value: 'yes' } }] } },
    },
    {
      applyTo: 'VIRTUAL_HOST',
      match: { routeConfiguration: { portNumber: PORT, vhost: { domainName: 'web.default' } } },
      patch: {
        operation: 'MERGE',
        value: { response_headers_to_add: [{ header: { key: 'x-domain', value: 'yes' } }] },
      },
    },
    {
      applyTo: 'VIRTUAL_HOST',
      match: { routeConfiguration: { portNumber: PORT } },
      patch: {
        operation: 'ADD',
        value: {
          name: 'own-host',
          domains: ['own.test'],
          routes: [{ match: { prefix: '/' }, direct_response: { status: 206 } }],
        },
      },
    },
    {
      applyTo: 'VIRTUAL_HOST',
      match: { routeConfiguration: { portNumber: 9001, vhost: { name: `${host('other')}:9001` } } },
      patch: { operation: 'REMOVE' },
    },
    {
      applyTo: 'HTTP_ROUTE',
      match: {
        routeConfiguration: { portNumber: PORT, vhost: { route: { name: 'fixed', action: 'DIRECT_RESPONSE' } } },
      },
      patch: { operation: 'MERGE', value: { direct_response: { status: 419 } } },
    },
    {
      applyTo: 'HTTP_ROUTE',
      match: {
        routeConfiguration: {
          portNumber: PORT,
          vhost: { name: `${host('web')}:${PORT}`, route: { action: 'REDIRECT' } },
        },
      },
      patch: { operation: 'REMOVE' },
    },
    {
      applyTo: 'HTTP_ROUTE',
      match: {
        routeConfiguration: { portNumber: PORT, vhost: { name: `${host('web')}:${PORT}`, route: { action: 'ANY' } } },
      },
      patch: {
        operation: 'INSERT_FIRST',
        value: { name: 'teapot', match: { path: '/teapot' }, direct_response: { status: 207 } },
      },
    },
    {
      applyTo: 'HTTP_ROUTE',
      match: { routeConfiguration: { portNumber: PORT, vhost: { route: { name: 'all', action: 'ROUTE' } } } },
      patch: {
        operation: 'MERGE',
        value: {
          typed_per_filter_config: {
            'envoy.filters.http.local_ratelimit': {
              '@type': 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
              stat_prefix: 'per_route',
              token_bucket: { max_tokens: 100, fill_interval: '60s' },
            },
          },
          request_headers_to_add: [{ header: { key: 'x-mutated', value: 'yes' } }],
        },
      },
    },
    {
      applyTo: 'HTTP_FILTER',
      match: { context: 'SIDECAR_OUTBOUND', listener: { portNumber: 9001, ...ROUTER } },
      patch: {
        operation: 'INSERT_BEFORE',
        value: {
          name: 'envoy.filters.http.local_ratelimit',
          typed_config: {
            '@type': 'type.googleapis.com/udpa.type.v1.TypedStruct',
            type_url: 'type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit',
            value: {
              stat_prefix: 'limit',
              token_bucket: { max_tokens: 2, tokens_per_fill: 2, fill_interval: '600s' },
              filter_enabled: { default_value: { numerator: 100 } },
              filter_enforced: { default_value: { numerator: 100 } },
            },
          },
        },
      },
    },
  ]),
  // Clusters.
  filter([
    {
      applyTo: 'CLUSTER',
      match: { context: 'SIDECAR_OUTBOUND', cluster: { service: host('web'), portNumber: PORT } },
      patch: {
        operation: 'MERGE',
        value: {
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http_protocol_options: { header_key_format: { proper_case_words: {} } } },
            },
          },
        },
      },
    },
    {
      applyTo: 'CLUSTER',
      match: { cluster: { name: `outbound|9001||${host('other')}` } },
      patch: { operation: 'MERGE', value: { connect_timeout: '3.5s', max_requests_per_connection: 7 } },
    },
    { applyTo: 'CLUSTER', match: { cluster: { name: 'BlackHoleCluster' } }, patch: { operation: 'REMOVE' } },
    {
      applyTo: 'CLUSTER',
      match: { context: 'SIDECAR_OUTBOUND' },
      patch: { operation: 'ADD', value: { name: 'mine', type: 'STATIC', connect_timeout: '1s' } },
    },
  ]),
];

let envoy: OfflineEnvoy;
let origin: Origin;

before(async () => {
  origin = await startOrigin('web', net.ip(1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: {
      name: 'client-0',
      namespace: 'default',
      labels: { app: 'client' },
      metadata: { ISTIO_VERSION: '1.30.0', TEAM: 'red' },
    },
  });
});
after(async () => {
  await envoy?.stop();
  await origin?.close();
});

const get = (path: string, more: object = {}): Promise<Answer> =>
  call(path, { address: net.everywhere, port: PORT, host: host('web'), ...more });
const sent = async (path: string, header: string): Promise<unknown> => (await get(path)).seen?.headers[header];

test('filters are put where the patch says, in the order of priority, namespace and age', async () => {
  proves(
    'EnvoyFilter.spec.configPatches[].applyTo',
    'EnvoyFilter.spec.configPatches[].patch.operation',
    'EnvoyFilter.spec.configPatches[].patch.value',
    'EnvoyFilter.spec.configPatches[].patch.filterClass',
    'EnvoyFilter.spec.configPatches[].match.listener.portNumber',
    'EnvoyFilter.spec.configPatches[].match.listener.name',
    'EnvoyFilter.spec.configPatches[].match.listener.filterChain.filter.name',
    'EnvoyFilter.spec.configPatches[].match.listener.filterChain.filter.subFilter.name',
    'EnvoyFilter.spec.priority',
  );
  assert.equal(await sent('/', 'x-order'), 'first, root, own');
  for (const header of ['x-first', 'x-after', 'x-added', 'x-classed'])
    assert.equal(await sent('/', header), 'yes', header);
  for (const header of ['x-swapped', 'x-merged']) assert.equal(await sent('/', header), 'after', header);
  assert.equal(await sent('/', 'x-gone'), undefined);
});

test('a patch is for the proxies that it describes', async () => {
  proves(
    'EnvoyFilter.spec.configPatches[].match.context',
    'EnvoyFilter.spec.configPatches[].match.proxy.proxyVersion',
    'EnvoyFilter.spec.configPatches[].match.proxy.metadata',
    'EnvoyFilter.spec.workloadSelector.labels',
  );
  assert.equal(await sent('/', 'x-chosen'), 'yes');
  assert.equal(await sent('/', 'x-selected'), 'yes');
  assert.equal(await sent('/', 'x-not'), undefined);
});

test('listeners and network filters', async () => {
  assert.match(String((await get('/')).headers.via), /patched/);
  assert.equal((await call('/', { address: net.ip(13), port: 9002, host: 'x' })).status, 299);
  assert.equal((await call('/', { address: net.ip(50), port: 9050, host: 'x' })).status, 298);
});

test('route tables, hosts and routes', async () => {
  proves(
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.portNumber',
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.name',
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.name',
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.domainName',
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.route.name',
    'EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.route.action',
  );
  const { headers, seen } = await get('/');
  for (const header of ['x-table', 'x-host', 'x-domain']) assert.equal(headers[header], 'yes', header);
  assert.equal(seen?.headers['x-mutated'], 'yes');
  assert.equal((await get('/', { host: 'own.test' })).status, 206);
  assert.equal((await get('/fixed')).status, 419);
  assert.equal((await get('/old')).status, 200);
  assert.equal((await get('/teapot')).status, 207);
  // Its host was removed: what is left is traffic to somewhere that the mesh does not know.
  assert.notEqual((await call('/', { address: net.everywhere, port: 9001, host: host('other') })).seen?.origin, 'web');
});

test('a local rate limit', async () => {
  const statuses: number[] = [];
  for (let i = 0; i < 4; i++)
    statuses.push((await call('/', { address: net.everywhere, port: 9001, host: 'x' })).status);
  assert.equal(statuses.at(-1), 429);
});

test('clusters', async () => {
  proves(
    'EnvoyFilter.spec.configPatches[].match.cluster.service',
    'EnvoyFilter.spec.configPatches[].match.cluster.portNumber',
    'EnvoyFilter.spec.configPatches[].match.cluster.name',
  );
  const { seen } = await get('/', { headers: { 'x-case': '1' } });
  assert.ok(seen);
  const web = envoy.clusters.get(`outbound|${PORT}||${host('web')}`);
  assert.match(JSON.stringify(web), /properCaseWords/);
  const other = envoy.clusters.get(`outbound|9001||${host('other')}`);
  assert.equal(Number.parseFloat(String(other?.connectTimeout)), 3.5);
  assert.equal(envoy.clusters.has('BlackHoleCluster'), false);
  assert.match(await envoy.admin('/clusters'), /^mine::/m);
});
