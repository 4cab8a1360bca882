import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { explain, type ProxyConfiguration, RequestError, type SimulatedRequest } from './index.ts';

const config = (kind: string, name: string) => ({
  filterMetadata: { istio: { config: `/apis/networking.istio.io/v1/namespaces/shop/${kind}/${name}` } },
});
const address = (host: string, portValue: number) => ({ socketAddress: { address: host, portValue } });
const tcp = (cluster: string) => ({
  name: 'tcp',
  typedConfig: { '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy', cluster },
});
const rbac = (name: string, rules: object, where = 'http') => ({
  name,
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.${where}.rbac.v3.RBAC`, ...rules },
});
const filter = (name: string, type: string, fields: object = {}) => ({
  name,
  typedConfig: { '@type': `type.googleapis.com/envoy.extensions.filters.http.${type}`, ...fields },
});
const http = (routes: object, ...httpFilters: readonly object[]) => ({
  name: 'http',
  typedConfig: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
    ...routes,
    httpFilters,
  },
});
const eds = (name: string, more: object = {}) => ({ name, type: 'EDS', ...more });
const endpoints = (clusterName: string, ...healthStatus: readonly string[]) => ({
  clusterName,
  endpoints: [{ lbEndpoints: healthStatus.map((status) => ({ healthStatus: status })) }],
});

const cart = 'outbound|7070||cart.shop.svc.cluster.local';
const subset = (name: string) => `outbound|7070|${name}|cart.shop.svc.cluster.local`;
const policies = (action: string | undefined, name: string, permission: object, principal: object) => ({
  rules: {
    ...(action && { action }),
    policies: { [`ns[shop]-policy[${name}]-rule[0]`]: { permissions: [permission], principals: [principal] } },
  },
});

/** A client's proxy and a server's in one: what a sidecar has. */
const sidecar: ProxyConfiguration = {
  listeners: [
    {
      name: 'virtualOutbound',
      address: address('0.0.0.0', 15001),
      filterChains: [
        { name: 'blackhole', filterChainMatch: { destinationPort: 15001 }, filters: [tcp('BlackHoleCluster')] },
        { name: 'catchall', filters: [tcp('PassthroughCluster')] },
      ],
    },
    {
      name: '0.0.0.0_7070',
      address: address('0.0.0.0', 7070),
      filterChains: [
        {
          filterChainMatch: { transportProtocol: 'raw_buffer', applicationProtocols: ['http/1.1', 'h2c'] },
          filters: [
            http(
              { rds: { routeConfigName: '7070' } },
              filter('envoy.filters.http.fault', 'fault.v3.HTTPFault'),
              filter('envoy.filters.http.cors', 'cors.v3.Cors'),
              filter('envoy.filters.http.router', 'router.v3.Router'),
            ),
          ],
        },
      ],
      defaultFilterChain: { name: 'PassthroughFilterChain', filters: [tcp('PassthroughCluster')] },
    },
    {
      name: '10.0.0.9_3306',
      address: address('10.0.0.9', 3306),
      filterChains: [{ filters: [tcp('outbound|3306||db.shop.svc.cluster.local')] }],
    },
    {
      name: 'virtualInbound',
      address: address('0.0.0.0', 15006),
      filterChains: [
        {
          name: 'mutual',
          filterChainMatch: {
            destinationPort: 8080,
            transportProtocol: 'tls',
            applicationProtocols: ['istio-http/1.1', 'istio'],
          },
          filters: [
            http(
              {
                routeConfig: {
                  name: 'inbound|8080||',
                  virtualHosts: [
                    {
                      name: 'inbound|http|7070',
                      domains: ['*'],
                      routes: [{ name: 'default', match: { prefix: '/' }, route: { cluster: 'inbound|8080||' } }],
                    },
                  ],
                },
              },
              filter('jwt', 'jwt_authn.v3.JwtAuthentication', { providers: { one: { issuer: 'me' } } }),
              rbac(
                'deny',
                policies(
                  'DENY',
                  'no-admin',
                  { urlPath: { path: { prefix: '/admin' } } },
                  {
                    notId: { authenticated: { principalName: { exact: 'spiffe://cluster.local/ns/shop/sa/admin' } } },
                  },
                ),
              ),
              rbac(
                'allow',
                policies(
                  undefined,
                  'members',
                  { andRules: { rules: [{ header: { name: ':method', stringMatch: { exact: 'GET' } } }] } },
                  {
                    orIds: {
                      ids: [
                        { authenticated: { principalName: { safeRegex: { regex: 'spiffe://[^/]+/ns/shop/.*' } } } },
                        {
                          metadata: {
                            filter: 'envoy.filters.http.jwt_authn',
                            path: [{ key: 'payload' }, { key: 'groups' }],
                            value: { list_match: { one_of: { string_match: { exact: 'staff' } } } },
                          },
                        },
                        { directRemoteIp: { addressPrefix: '10.0.0.0', prefixLen: 8 } },
                      ],
                    },
                  },
                ),
              ),
            ),
          ],
        },
        {
          name: 'tcp',
          filterChainMatch: { destinationPort: 9000, transportProtocol: 'tls', applicationProtocols: ['istio'] },
          filters: [
            rbac('network', policies('DENY', 'nobody', { any: true }, { any: true }), 'network'),
            tcp('inbound|9000||'),
          ],
        },
      ],
    },
  ],
  routes: [
    {
      name: '7070',
      ignorePortInHostMatching: true,
      virtualHosts: [
        {
          name: 'allow_any',
          domains: ['*'],
          routes: [{ match: { prefix: '/' }, route: { cluster: 'PassthroughCluster' } }],
        },
        {
          name: 'cart.shop.svc.cluster.local:7070',
          domains: ['cart', 'cart.shop', 'cart.shop.svc.cluster.local'],
          routes: [
            {
              name: 'anna',
              match: {
                prefix: '/items',
                headers: [{ name: 'x-user', stringMatch: { exact: 'anna' } }],
                queryParameters: [{ name: 'debug', stringMatch: { exact: '1' } }],
              },
              route: {
                weightedClusters: {
                  clusters: [
                    { name: subset('v1'), weight: 25 },
                    { name: subset('v2'), weight: 75 },
                  ],
                },
                prefixRewrite: '/',
                timeout: '3s',
              },
              metadata: config('virtual-service', 'cart'),
            },
            {
              match: { safeRegex: { regex: '/old[0-9]+' } },
              redirect: { pathRedirect: '/new' },
              metadata: config('virtual-service', 'cart'),
            },
            { match: { path: '/health' }, directResponse: { status: 204 } },
            {
              name: 'broken',
              match: { pathSeparatedPrefix: '/broken' },
              route: { cluster: subset('gone') },
              typedPerFilterConfig: {
                'envoy.filters.http.fault': { delay: { fixedDelay: '1s', percentage: { numerator: 50 } } },
              },
            },
            {
              name: 'aborted',
              match: { pathSeparatedPrefix: '/aborted' },
              route: { cluster: cart },
              typedPerFilterConfig: {
                'envoy.filters.http.fault': { abort: { httpStatus: 418, percentage: { numerator: 100 } } },
              },
            },
            {
              name: 'get',
              match: { prefix: '/', headers: [{ name: ':method', stringMatch: { exact: 'GET' } }] },
              route: { cluster: cart },
            },
          ],
        },
      ],
    },
  ],
  clusters: [
    eds(cart, {
      transportSocketMatches: [{ name: 'tlsMode-istio' }, { name: 'tlsMode-disabled' }],
      metadata: {
        filterMetadata: {
          istio: {
            config: '/apis/networking.istio.io/v1/namespaces/shop/destination-rule/cart',
            services: [{ name: 'cart', namespace: 'shop', host: 'cart.shop.svc.cluster.local' }],
          },
        },
      },
    }),
    eds(subset('v1')),
    eds(subset('v2')),
    eds('outbound|3306||db.shop.svc.cluster.local'),
    { name: 'inbound|8080||', type: 'STATIC' },
    { name: 'inbound|9000||', type: 'STATIC' },
  ],
  assignments: [
    endpoints(cart, 'HEALTHY', 'UNHEALTHY'),
    endpoints(subset('v1'), 'HEALTHY'),
    endpoints(subset('v2'), 'UNHEALTHY'),
    endpoints('outbound|3306||db.shop.svc.cluster.local', 'UNKNOWN'),
  ],
};

const ask = (url: string, more: Partial<SimulatedRequest> = {}, proxy = sidecar) =>
  explain(proxy, { direction: 'outbound', method: 'GET', headers: {}, url, ...more });
const text = (...given: Parameters<typeof ask>): string =>
  ask(...given)
    .steps.map((one) => one.text)
    .join('\n');

describe('outbound', () => {
  it('follows listener, virtual host and route to the endpoints, and says what decided', () => {
    const { steps, status, summary } = ask('http://cart:7070/');
    assert.deepEqual(
      steps.map(({ stage, verdict }) => `${stage} ${verdict}`),
      [
        ...['listener matched', 'filter-chain matched', 'route matched', 'route matched'],
        ...['destination matched', 'endpoint matched'],
      ],
    );
    assert.equal(status, undefined);
    assert.match(summary, /cart\.shop\.svc\.cluster\.local:7070 answers/);
    assert.match(steps[4]?.text ?? '', /mutual TLS/);
    assert.deepEqual(steps[4]?.from, [
      { kind: 'Service', namespace: 'shop', name: 'cart' },
      { kind: 'DestinationRule', namespace: 'shop', name: 'cart' },
    ]);
    assert.match(steps[5]?.text ?? '', /only healthy endpoint of 2/);
    assert.deepEqual(steps[3]?.others[0], {
      name: 'anna',
      why: 'it wants a path that begins with /items and header x-user "anna" and the query parameter debug "1"',
    });
  });

  it('tells the shares of weighted destinations, rewrites and timeouts', () => {
    const { steps, status, summary } = ask('http://cart:7070/items?debug=1', { headers: { 'X-User': 'anna' } });
    assert.equal(status, undefined);
    assert.match(summary, /^75 %: 503: .*subset v2 has 1 endpoints and none is healthy\. 25 %: .*subset v1 answers\.$/);
    assert.ok(
      steps.some(
        ({ verdict, text: said }) =>
          verdict === 'changed' && said === 'The path is rewritten to /; It has 3s to be answered.',
      ),
    );
    assert.ok(steps.some(({ from }) => from[0]?.kind === 'VirtualService'));
  });

  it('answers itself where the route says so, or where there is none', () => {
    assert.equal(ask('http://cart:7070/old12').status, 301);
    assert.equal(ask('http://cart:7070/old').status, undefined);
    assert.equal(ask('http://cart:7070/health').status, 204);
    assert.equal(ask('http://cart:7070/', { method: 'POST' }).status, 404);
    assert.equal(ask('http://cart:7070/broken/x').status, 503);
    assert.match(text('http://cart:7070/broken/x'), /A fault delays 50 % of requests by 1s/);
    assert.equal(ask('http://cart:7070/brokenx').status, undefined);
    assert.equal(ask('http://cart:7070/aborted').status, 418);
  });

  it('knows hosts by their addresses, and what is outside', () => {
    assert.match(ask('tcp://db:3306').summary, /db\.shop\.svc\.cluster\.local:3306 answers/);
    assert.match(ask('tcp://10.0.0.9:3306').summary, /db\.shop/);
    assert.match(ask('http://other:7070/').summary, /goes where the application wanted/);
    assert.match(text('https://cart:7070/'), /default takes it/);
    assert.match(text('tcp://far.test:5000'), /knows nothing on port 5000/);
  });

  it('refuses what is no request', () => {
    assert.throws(() => ask('cart:7070'), RequestError);
    assert.throws(() => ask('tcp://db'), /needs a port/);
  });
});

describe('inbound', () => {
  const inbound = (url: string, caller?: string, more: Partial<SimulatedRequest> = {}) =>
    ask(url, { direction: 'inbound', ...(caller && { caller }), ...more });
  const member = 'spiffe://cluster.local/ns/shop/sa/web';

  it('closes connections that no filter chain takes', () => {
    const { status, steps } = inbound('http://cart:8080/');
    assert.equal(status, 0);
    assert.match(steps.at(-1)?.text ?? '', /STRICT/);
    assert.ok(steps.at(-1)?.others.some(({ why }) => why === 'it is for TLS'));
  });

  it('tells which policy allows or denies', () => {
    const allowed = inbound('http://cart:8080/', member);
    assert.equal(allowed.status, undefined);
    assert.match(allowed.summary, /application at port 8080/);
    assert.ok(allowed.steps.some(({ from }) => from[0]?.name === 'members'));
    const denied = inbound('http://cart:8080/admin', member);
    assert.equal(denied.status, 403);
    assert.match(denied.summary, /rule 0 of AuthorizationPolicy shop\/no-admin denies it/);
    assert.equal(inbound('http://cart:8080/admin', 'spiffe://cluster.local/ns/shop/sa/admin').status, undefined);
    assert.equal(inbound('http://cart:8080/', member, { method: 'POST' }).status, 403);
  });

  it('says what cannot be known: addresses, and tokens whose claims are not given', () => {
    const stranger = 'spiffe://cluster.local/ns/other/sa/web';
    const open = inbound('http://cart:8080/', stranger);
    assert.ok(
      open.steps.some(({ verdict, text: said }) => verdict === 'unknown' && said.includes('address of the caller')),
    );
    const staff = inbound('http://cart:8080/', stranger, { claims: { iss: 'me', groups: ['staff'] } });
    assert.ok(
      staff.steps.some(({ verdict, text: said }) => verdict === 'passed' && said.includes('members allows it')),
    );
    assert.equal(inbound('http://cart:8080/', stranger, { claims: { iss: 'you' } }).status, 401);
    const token = inbound('http://cart:8080/', member, { headers: { authorization: 'Bearer x' } });
    assert.ok(token.steps.some(({ verdict, text: said }) => verdict === 'unknown' && said.includes('token')));
  });

  it('closes connections that a policy of TCP denies', () => {
    assert.equal(inbound('tcp://cart:9000', member).status, 0);
  });
});

it('never fails on configurations that it does not understand', () => {
  for (const listeners of [
    [],
    [{}],
    [{ address: 'x', filterChains: 3 }],
    [{ name: 'virtualInbound', filterChains: [{}] }],
  ])
    for (const direction of ['inbound', 'outbound'] as const)
      assert.ok(
        explain(
          { listeners, routes: [], clusters: [], assignments: [] },
          { direction, method: 'GET', headers: {}, url: 'http://a/' },
        ).summary,
      );
});
