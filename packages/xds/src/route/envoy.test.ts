import assert from 'node:assert/strict';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import type { Listener, RouteConfiguration } from '@istio-ts/envoy';
import { buildListeners } from '../listener/index.ts';
import {
  type App,
  boundTo,
  cluster,
  eventually,
  freePort,
  type RunningEnvoy,
  type Seen,
  startApp,
  startEnvoy,
} from '../testing/envoy.ts';
import { scrape } from '../testing/metrics.ts';
import { destinationRule, scope, service, virtualService } from '../testing/scope.ts';
import { buildRoutes } from './index.ts';

/** Real requests through a real Envoy that runs the generated listener of port 80 and its routes. */

const HOST = 'shop.default.svc.cluster.local';

const world = scope({
  services: [
    service('shop', [{ number: 80, protocol: 'HTTP' }], { addresses: ['10.96.0.5'] }),
    service('plain', [{ number: 80, protocol: 'HTTP' }], { addresses: ['10.96.0.6'] }),
    service('sticky', [{ number: 80, protocol: 'HTTP' }]),
  ],
  destinationRules: [
    destinationRule(HOST, {
      host: HOST,
      subsets: [
        { name: 'v1', labels: { version: 'v1' } },
        { name: 'v2', labels: { version: 'v2' } },
      ],
    }),
    destinationRule('sticky.default.svc.cluster.local', {
      host: 'sticky.default.svc.cluster.local',
      trafficPolicy: { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } },
    }),
  ],
  virtualServices: [
    virtualService('shop', {
      hosts: [HOST],
      http: [
        {
          match: [{ uri: { exact: '/only-v2' }, headers: { 'end-user': { exact: 'jason' } } }],
          route: [{ destination: { host: HOST, subset: 'v2' } }],
        },
        { match: [{ uri: { prefix: '/without' }, withoutHeaders: { 'x-skip': {} } }], directResponse: { status: 204 } },
        {
          match: [{ uri: { prefix: '/not-a' }, withoutHeaders: { 'x-kind': { exact: 'a' } } }],
          directResponse: { status: 202 },
        },
        { match: [{ uri: { regex: '/re/[0-9]+' } }], directResponse: { status: 200, body: { string: 'matched' } } },
        { match: [{ uri: { prefix: '/CASE' }, ignoreUriCase: true }], directResponse: { status: 201 } },
        { match: [{ queryParams: { debug: { exact: '1' } } }], directResponse: { status: 203 } },
        { match: [{ method: { exact: 'DELETE' } }], directResponse: { status: 405, body: { string: 'no' } } },
        {
          match: [{ uri: { prefix: '/old' } }],
          redirect: { uri: '/new', authority: 'example.com', redirectCode: 302 },
        },
        {
          match: [{ uri: { prefix: '/api/v1/' } }],
          rewrite: { uri: '/v1/', authority: 'rewritten.example' },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/regex/' } }],
          rewrite: { uriRegexRewrite: { match: '^/regex/([^/]+)/(.*)$', rewrite: '/\\2/\\1' } },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/abort' } }],
          fault: { abort: { httpStatus: 418, percentage: { value: 100 } } },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/delayed' } }],
          fault: { delay: { fixedDelay: '300ms', percentage: { value: 100 } } },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/delay' } }],
          timeout: '200ms',
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/retry' } }],
          retries: { attempts: 3, retryOn: '5xx', backoff: '25ms' },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/status' } }],
          retries: { attempts: 0 },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/mirror' } }],
          route: [{ destination: { host: HOST, subset: 'v1' } }],
          mirrors: [{ destination: { host: HOST, subset: 'v2' }, percentage: { value: 100 } }],
        },
        {
          match: [{ uri: { prefix: '/headers' } }],
          headers: {
            request: { set: { 'x-set': 'route' }, remove: ['x-secret'] },
            response: { add: { 'x-route': 'yes' } },
          },
          route: [
            {
              destination: { host: HOST, subset: 'v1' },
              headers: { request: { add: { 'x-add': 'dest' } }, response: { remove: ['x-app'] } },
            },
          ],
        },
        {
          match: [{ uri: { prefix: '/cors' } }],
          corsPolicy: {
            allowOrigins: [{ exact: 'https://ok.example' }],
            allowMethods: ['GET', 'PUT'],
            allowHeaders: ['x-a'],
            maxAge: '24h',
            allowCredentials: true,
          },
          route: [{ destination: { host: HOST, subset: 'v1' } }],
        },
        {
          match: [{ uri: { prefix: '/nowhere' } }],
          route: [{ destination: { host: 'missing.default.svc.cluster.local' } }],
        },
        { match: [{ uri: { prefix: '/labels' }, sourceLabels: { app: 'other' } }], directResponse: { status: 500 } },
        {
          route: [
            { destination: { host: HOST, subset: 'v1' }, weight: 75 },
            { destination: { host: HOST, subset: 'v2' }, weight: 25 },
          ],
        },
      ],
    }),
  ],
});

let envoy: RunningEnvoy;
let port: number;
const apps: Record<'v1' | 'v2' | 'plain' | 'outside', App> = {} as never;

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly seen: Seen | undefined;
}

const call = (
  path: string,
  options: { readonly host?: string; readonly method?: string; readonly headers?: Record<string, string> } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const sent = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method: options.method ?? 'GET',
        headers: { host: options.host ?? 'shop', ...options.headers },
        agent: false,
      },
      (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () => {
          const seen = text.startsWith('{') ? (JSON.parse(text) as Seen) : undefined;
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text, seen });
        });
      },
    );
    sent.on('error', reject);
    sent.end();
  });

before(async () => {
  for (const name of ['v1', 'v2', 'plain', 'outside'] as const) {
    apps[name] = await startApp(name);
  }
  port = await freePort();
  const routes = new Map([...buildRoutes(world)].map(([name, g]): [string, RouteConfiguration] => [name, g.resource]));
  const listeners = new Map(buildListeners(world).map((g): [string, Listener] => [g.resource.name ?? '', g.resource]));
  const listener = listeners.get('0.0.0.0_80');
  assert.ok(listener);
  envoy = await startEnvoy({
    listeners: [boundTo(listener, port)],
    routes,
    clusters: [
      cluster(`outbound|80|v1|${HOST}`, apps.v1.port, { host: HOST, workload: 'shop-v1' }),
      cluster(`outbound|80|v2|${HOST}`, apps.v2.port, { host: HOST, workload: 'shop-v2' }),
      cluster('outbound|80||plain.default.svc.cluster.local', apps.plain.port, {
        host: 'plain.default.svc.cluster.local',
        workload: 'plain',
      }),
      cluster('PassthroughCluster', apps.outside.port),
    ],
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(Object.values(apps).map((a) => a.close()));
});

test('weights split requests', async () => {
  const counts = { v1: 0, v2: 0 };
  for (let i = 0; i < 200; i++) {
    counts[(await call('/')).seen?.app as 'v1' | 'v2']++;
  }
  assert.equal(counts.v1 + counts.v2, 200);
  // Five standard deviations around a quarter.
  assert.ok(counts.v2 > 18 && counts.v2 < 82, JSON.stringify(counts));
});

test('matches: header, missing header, regex, case, query, method, source labels', async () => {
  assert.equal((await call('/only-v2', { headers: { 'end-user': 'jason' } })).seen?.app, 'v2');
  assert.equal((await call('/without')).status, 204);
  assert.equal((await call('/without', { headers: { 'x-skip': '1' } })).status, 200);
  assert.equal((await call('/not-a')).status, 202);
  assert.equal((await call('/not-a', { headers: { 'x-kind': 'b' } })).status, 202);
  assert.equal((await call('/not-a', { headers: { 'x-kind': 'a' } })).status, 200);
  assert.equal((await call('/re/42')).text, 'matched');
  assert.equal((await call('/re/42/x')).status, 200);
  assert.equal((await call('/case/x')).status, 201);
  assert.equal((await call('/?debug=1')).status, 203);
  assert.equal((await call('/x', { method: 'DELETE' })).status, 405);
  assert.equal((await call('/labels')).status, 200);
});

test('hosts: short names, addresses, ports in the Host header, pass-through of unknown ones', async () => {
  for (const host of [
    'plain',
    'plain.default',
    'plain.default.svc',
    'plain.default.svc.cluster.local',
    'plain:80',
    '10.96.0.6',
    'plain.default.svc.cluster.local.',
  ]) {
    assert.equal((await call('/', { host })).seen?.app, 'plain', host);
  }
  assert.equal((await call('/', { host: 'example.com' })).seen?.app, 'outside');
});

test('redirect and rewrite', async () => {
  const redirected = await call('/old/page');
  assert.equal(redirected.status, 302);
  assert.equal(redirected.headers.location, 'http://example.com/new');
  const rewritten = (await call('/api/v1/items')).seen;
  assert.equal(rewritten?.path, '/v1/items');
  assert.equal(rewritten?.headers.host, 'rewritten.example');
  assert.equal((await call('/regex/a/b')).seen?.path, '/b/a');
});

test('faults, timeout, retries', async () => {
  assert.equal((await call('/abort')).status, 418);
  const started = performance.now();
  assert.equal((await call('/delayed')).status, 200);
  assert.ok(performance.now() - started >= 295);

  assert.equal((await call('/delay/2000')).status, 504);
  const before_ = apps.v1.seen.length;
  assert.equal((await call('/retry/status/503')).status, 503);
  assert.equal(apps.v1.seen.length - before_, 4);
  const again = apps.v1.seen.length;
  assert.equal((await call('/status/503')).status, 503);
  assert.equal(apps.v1.seen.length - again, 1);
});

test('mirror', async () => {
  assert.equal((await call('/mirror/me')).seen?.app, 'v1');
  const copy = await eventually(() => apps.v2.seen.find((s) => s.path === '/mirror/me'), 'the mirrored request');
  assert.equal(copy.headers.host, 'shop');
});

test('header operations and CORS', async () => {
  const answer = await call('/headers', { headers: { 'x-secret': 's', 'x-set': 'client' } });
  assert.equal(answer.seen?.headers['x-set'], 'route');
  assert.equal(answer.seen?.headers['x-add'], 'dest');
  assert.equal(answer.seen?.headers['x-secret'], undefined);
  assert.equal(answer.headers['x-route'], 'yes');
  assert.equal(answer.headers['x-app'], undefined);
  const preflight = await call('/cors', {
    method: 'OPTIONS',
    headers: { origin: 'https://ok.example', 'access-control-request-method': 'PUT' },
  });
  assert.equal(preflight.headers['access-control-allow-origin'], 'https://ok.example');
  assert.equal(preflight.headers['access-control-allow-methods'], 'GET,PUT');
  assert.equal(preflight.headers['access-control-max-age'], '86400');
});

test('a destination that does not exist is answered with 503', async () => {
  assert.equal((await call('/nowhere')).status, 503);
});

test('metrics of the client side have Istio names and labels', async () => {
  await call('/only-v2', { headers: { 'end-user': 'jason' } });
  const line = await eventually(async () => {
    const text = await scrape(envoy);
    return text
      .split('\n')
      .find(
        (l) =>
          l.startsWith('istio_requests_total{') &&
          l.includes('destination_workload="shop-v2"') &&
          l.includes('response_code="200"'),
      );
  }, 'the metric');
  const labels = Object.fromEntries([...line.matchAll(/([a-z_]+)="([^"]*)"/g)].map((m) => [m[1], m[2]]));
  assert.deepEqual(labels, {
    reporter: 'source',
    source_workload: 'client-v1',
    source_workload_namespace: 'default',
    source_app: 'client',
    source_version: 'v1',
    source_canonical_service: 'client',
    source_canonical_revision: 'v1',
    source_cluster: 'Kubernetes',
    source_principal: 'unknown',
    destination_workload: 'shop-v2',
    destination_workload_namespace: 'default',
    destination_app: 'shop',
    destination_version: 'v1',
    destination_canonical_service: 'shop',
    destination_canonical_revision: 'v1',
    destination_cluster: 'Kubernetes',
    destination_principal: 'unknown',
    destination_service: HOST,
    destination_service_name: 'shop',
    destination_service_namespace: 'default',
    request_protocol: 'http',
    response_code: '200',
    response_flags: '-',
    grpc_response_status: '',
    connection_security_policy: 'unknown',
  });
  const all = await scrape(envoy);
  for (const name of [
    'istio_request_duration_milliseconds_bucket',
    'istio_request_bytes_sum',
    'istio_response_bytes_count',
  ]) {
    assert.ok(all.includes(`${name}{`), name);
  }
  assert.match(
    all,
    /istio_requests_total\{[^}]*destination_service="example.com"[^}]*destination_service_name="PassthroughCluster"/,
  );
});

test('unchanged inputs give identical objects', () => {
  const first = buildRoutes(world).get('80')?.resource;
  const other = scope({
    ...world,
    proxy: {},
    destinationRules: [...world.destinationRules.values()],
    services: [...world.services, service('new', [{ number: 80, protocol: 'HTTP' }])],
  });
  const second = buildRoutes({ ...other, proxy: world.proxy, mesh: world.mesh }).get('80')?.resource;
  const byName = new Map(second?.virtualHosts?.map((h) => [h.name, h]));
  for (const host of first?.virtualHosts ?? []) {
    assert.equal(byName.get(host.name), host, host.name);
  }
  assert.equal(buildRoutes({ ...world }).get('80')?.resource, first);
  assert.deepEqual(
    buildListeners({ ...world }).map((g, i) => g.resource === buildListeners(world)[i]?.resource),
    buildListeners(world).map(() => true),
  );
});
