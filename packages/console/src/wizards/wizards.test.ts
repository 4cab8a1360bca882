import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type MeshObject, readObject, type WizardService, writeObject } from './object.ts';
import { currentRules, routeRequests } from './request-routing.ts';
import { currentFault, currentTimeout, injectFault, isDuration, setTimeouts } from './route-policy.ts';
import { currentLimits, currentMutualTls, setLimits, setMutualTls } from './service-policy.ts';
import { currentWeights, shiftTraffic } from './traffic-shifting.ts';
import { evenWeights, moved, normalized } from './weights.ts';

const service: WizardService = {
  namespace: 'shop',
  name: 'reviews',
  versions: ['v1', 'v2'],
  selector: { app: 'reviews' },
};

const object = (yaml: string): MeshObject => {
  const read = readObject(yaml);
  assert.ok(read);
  return read;
};

const virtual = object(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews-route
  namespace: shop
  uid: 1-2-3
  resourceVersion: "7"
  labels: {team: a}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: second}}]
  - timeout: 3s
    route:
    - destination: {host: reviews, subset: v1}
      weight: 75
      headers: {request: {set: {x: y}}}
    - destination: {host: reviews, subset: second}
      weight: 25
`);

const rule = object(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews.shop.svc.cluster.local
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: second, labels: {version: v2}}
`);

test('sliders keep a sum of 100 whatever is moved', () => {
  const weights = fc.array(fc.nat(100), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(weights, fc.nat(5), fc.integer({ min: -20, max: 120 }), fc.nat(5), (given, index, to, lock) => {
      const start = normalized(given.map((weight, at) => ({ version: `v${at}`, weight, locked: at === lock })));
      const after = moved(start, `v${index % given.length}`, to);
      assert.equal(
        after.reduce((sum, { weight }) => sum + weight, 0),
        100,
      );
      assert.ok(after.every(({ weight }) => Number.isInteger(weight) && weight >= 0));
    }),
  );
  assert.deepEqual(
    evenWeights(['a', 'b', 'c']).map(({ weight }) => weight),
    [34, 33, 33],
  );
});

test('a locked share stays when others are moved', () => {
  const start = [
    { version: 'v1', weight: 50, locked: true },
    { version: 'v2', weight: 30 },
    { version: 'v3', weight: 20 },
  ];
  assert.deepEqual(
    moved(start, 'v2', 90).map(({ weight }) => weight),
    [50, 50, 0],
  );
});

test('traffic shifting changes the weights of the default route and nothing else', () => {
  assert.deepEqual(currentWeights(service, [virtual, rule]), [
    { version: 'v1', weight: 75 },
    { version: 'v2', weight: 25 },
  ]);
  const { objects, notes } = shiftTraffic(
    service,
    [virtual, rule],
    [
      { version: 'v1', weight: 0 },
      { version: 'v2', weight: 100 },
    ],
  );
  assert.deepEqual(notes, []);
  assert.equal(objects.length, 1, 'the rule has all subsets already');
  assert.deepEqual(objects[0]?.metadata, { name: 'reviews-route', namespace: 'shop', labels: { team: 'a' } });
  assert.deepEqual(objects[0]?.spec, {
    hosts: ['reviews'],
    http: [
      {
        match: [{ headers: { 'end-user': { exact: 'jason' } } }],
        route: [{ destination: { host: 'reviews', subset: 'second' } }],
      },
      {
        timeout: '3s',
        route: [
          { destination: { host: 'reviews', subset: 'v1' }, weight: 0, headers: { request: { set: { x: 'y' } } } },
          { destination: { host: 'reviews', subset: 'second' }, weight: 100 },
        ],
      },
    ],
  });
});

test('without configuration the wizard writes both objects with full names', () => {
  const { objects } = shiftTraffic(
    service,
    [],
    [
      { version: 'v1', weight: 90 },
      { version: 'v2', weight: 10 },
    ],
  );
  assert.deepEqual(
    objects.map(({ kind, spec }) => ({ kind, spec })),
    [
      {
        kind: 'DestinationRule',
        spec: {
          host: 'reviews.shop.svc.cluster.local',
          subsets: [
            { name: 'v1', labels: { version: 'v1' } },
            { name: 'v2', labels: { version: 'v2' } },
          ],
        },
      },
      {
        kind: 'VirtualService',
        spec: {
          hosts: ['reviews.shop.svc.cluster.local'],
          http: [
            {
              route: [
                { destination: { host: 'reviews.shop.svc.cluster.local', subset: 'v1' }, weight: 90 },
                { destination: { host: 'reviews.shop.svc.cluster.local', subset: 'v2' }, weight: 10 },
              ],
            },
          ],
        },
      },
    ],
  );
});

test('a short host in another namespace is another service', () => {
  const elsewhere = { ...virtual, metadata: { name: 'reviews', namespace: 'other' } };
  assert.deepEqual(currentWeights(service, [elsewhere, rule]), evenWeights(['v1', 'v2']));
});

test('a VirtualService of a gateway is changed in place, and its reach is said', () => {
  const gateway = object(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [front-gateway]
  http:
  - match: [{uri: {prefix: /reviews}}]
    route: [{destination: {host: reviews, port: {number: 9080}}}]
`);
  const { objects, notes } = shiftTraffic(
    service,
    [gateway, rule],
    [
      { version: 'v1', weight: 40 },
      { version: 'v2', weight: 60 },
    ],
  );
  assert.match(notes.join(), /front-gateway only/);
  assert.deepEqual(objects[0]?.spec.http, [
    {
      match: [{ uri: { prefix: '/reviews' } }],
      route: [
        { destination: { host: 'reviews', subset: 'v1', port: { number: 9080 } }, weight: 40 },
        { destination: { host: 'reviews', subset: 'second', port: { number: 9080 } }, weight: 60 },
      ],
    },
  ]);
});

test('new routing rules stand where they were put and the others stay', () => {
  const present = currentRules(service, [virtual, rule]);
  assert.deepEqual(
    present.map((each) => ('summary' in each ? each.summary : '')),
    ['end-user exact jason → v2', 'everything else → v1 75%, v2 25%'],
  );
  const { objects, notes } = routeRequests(
    service,
    [virtual, rule],
    [
      {
        conditions: [
          { on: 'header', name: 'X-Canary', how: 'present', value: '' },
          { on: 'uri', name: '', how: 'prefix', value: '/api' },
        ],
        weights: [
          { version: 'v1', weight: 0 },
          { version: 'v2', weight: 100 },
        ],
      },
      ...present,
    ],
  );
  assert.deepEqual(notes, []);
  const http = objects[0]?.spec.http;
  assert.ok(Array.isArray(http));
  assert.equal(http.length, 3);
  assert.deepEqual(http[0], {
    match: [{ uri: { prefix: '/api' }, headers: { 'x-canary': {} } }],
    route: [{ destination: { host: 'reviews.shop.svc.cluster.local', subset: 'second' } }],
  });
});

test('a rule that takes everything before others is pointed out, and a last resort is added', () => {
  const everything = { conditions: [], weights: [{ version: 'v1', weight: 100 }] };
  const onlyJason = {
    conditions: [{ on: 'header', name: 'end-user', how: 'exact', value: 'jason' }],
    weights: [{ version: 'v2', weight: 100 }],
  } as const;
  assert.match(routeRequests(service, [], [everything, onlyJason]).notes.join(), /never used/);
  const http = routeRequests(service, [], [onlyJason]).objects.at(-1)?.spec.http;
  assert.ok(Array.isArray(http));
  assert.deepEqual(http[1], { route: [{ destination: { host: 'reviews.shop.svc.cluster.local' } }] });
});

test('faults are set on every route to the service and taken away again', () => {
  const { objects } = injectFault(service, [virtual, rule], { abort: { percent: 10, httpStatus: 503 } });
  assert.deepEqual(currentFault(service, [...objects, rule]), { abort: { percent: 10, httpStatus: 503 } });
  const http = objects[0]?.spec.http;
  assert.ok(Array.isArray(http));
  assert.ok(http.every((route) => typeof route === 'object' && route !== null && 'fault' in route));
  assert.deepEqual(injectFault(service, objects, {}).objects[0]?.spec, virtual.spec);
});

test('timeouts and retries are set and other fields of retries stay', () => {
  const first = setTimeouts(service, [virtual, rule], {
    timeout: '2s',
    retries: { attempts: 3, perTryTimeout: '500ms' },
  });
  assert.deepEqual(currentTimeout(service, [...first.objects, rule]), {
    timeout: '2s',
    retries: { attempts: 3, perTryTimeout: '500ms' },
  });
  assert.ok(isDuration('1m30s') && isDuration('0.5s') && !isDuration('5') && !isDuration('fast'));
});

test('mutual TLS writes only what changes, and says when both sides do not fit', () => {
  const now = currentMutualTls(service, [rule]);
  assert.deepEqual(now, { server: 'UNSET', client: 'AUTO' });
  const { objects } = setMutualTls(service, [rule], { server: 'STRICT', client: 'AUTO' });
  assert.deepEqual(
    objects.map(({ kind, spec }) => ({ kind, spec })),
    [{ kind: 'PeerAuthentication', spec: { selector: { matchLabels: { app: 'reviews' } }, mtls: { mode: 'STRICT' } } }],
  );
  const both = setMutualTls(service, [rule], { server: 'STRICT', client: 'DISABLE' });
  assert.match(both.notes.join(), /every call fails/);
  assert.deepEqual(both.objects[1]?.spec.trafficPolicy, {
    loadBalancer: { simple: 'RANDOM' },
    tls: { mode: 'DISABLE' },
  });
});

test('limits keep what the rule has beside them', () => {
  const { objects } = setLimits(service, [rule], { maxConnections: 10, consecutiveErrors: 5, interval: '10s' });
  assert.deepEqual(objects[0]?.spec.trafficPolicy, {
    loadBalancer: { simple: 'RANDOM' },
    connectionPool: { tcp: { maxConnections: 10 } },
    outlierDetection: { consecutive5xxErrors: 5, interval: '10s' },
  });
  assert.deepEqual(currentLimits(service, objects), { maxConnections: 10, consecutiveErrors: 5, interval: '10s' });
  assert.deepEqual(setLimits(service, objects, {}).objects[0]?.spec, rule.spec);
});

test('objects are read without what the server adds and written as YAML that reads back', () => {
  assert.equal(virtual.metadata.uid, undefined);
  assert.deepEqual(readObject(writeObject(virtual)), virtual);
  assert.equal(readObject('not: [an object'), undefined);
});
