import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrafficSum } from '../traffic/traffic-sum.ts';
import { groupHealth, healthOf, trafficHealth, worst } from './health.ts';
import { fullHost, matchesHost, serviceOf } from './hosts.ts';
import { config, deployment, meshed, namespace, service, viewsOf } from './objects.test-support.ts';

const silent = new TrafficSum().traffic();

test('pods belong to their Deployment, versions to their application, services to what they select', () => {
  const { mesh } = viewsOf([
    meshed('shop'),
    ...deployment('shop', 'reviews', 'v1'),
    ...deployment('shop', 'reviews', 'v2'),
    service('shop', 'reviews'),
  ]);
  const v1 = mesh.workload('shop', 'reviews-v1');
  assert.equal(v1?.kind, 'Deployment');
  assert.equal(v1?.pods.length, 1);
  assert.equal(v1?.app, 'reviews');
  assert.equal(v1?.version, 'v1');
  assert.equal(v1?.labels['pod-template-hash'], undefined);
  assert.deepEqual(mesh.app('shop', 'reviews')?.versions, ['v1', 'v2']);
  assert.equal(mesh.service('shop', 'reviews')?.workloads.length, 2);
  assert.ok(v1);
  assert.deepEqual(
    mesh.servicesOf(v1).map(({ host }) => host),
    ['reviews.shop.svc.cluster.local'],
  );
});

test('a pod without an owner is a workload of its own, and one that has ended is none', () => {
  const pod = (name: string, phase: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'a', labels: { app: name } },
    spec: { containers: [{ name: 'c', image: 'i' }] },
    status: { phase },
  });
  const { mesh } = viewsOf([namespace('a'), pod('alone', 'Running'), pod('over', 'Succeeded')]);
  assert.deepEqual(
    mesh.workloads.map(({ kind, name }) => `${kind} ${name}`),
    ['Pod alone'],
  );
});

test('gateways are told by what their proxy was started as', () => {
  const { mesh } = viewsOf([
    namespace('istio-system'),
    ...deployment('istio-system', 'istio-ingressgateway', undefined, { args: ['proxy', 'router', '--domain'] }),
  ]);
  assert.equal(mesh.workload('istio-system', 'istio-ingressgateway')?.isGateway, true);
});

test('health: failures of requests by their share, pods by how many are ready, missing proxies', () => {
  assert.equal(trafficHealth({ requestsPerSecond: 10, errorRate: 0 }).state, 'healthy');
  assert.equal(trafficHealth({ requestsPerSecond: 10, errorRate: 0.02 }).state, 'degraded');
  assert.deepEqual(trafficHealth({ requestsPerSecond: 10, errorRate: 0.5 }), {
    state: 'failing',
    reasons: ['50 % of the requests to it fail'],
  });
  assert.equal(trafficHealth({ requestsPerSecond: 0, errorRate: 1 }).state, 'healthy');

  const { mesh } = viewsOf([
    meshed('a'),
    ...deployment('a', 'good', 'v1'),
    ...deployment('a', 'bad', 'v1', { ready: false }),
    ...deployment('a', 'bare', 'v1', { proxy: false }),
    ...deployment('a', 'free', 'v1', { proxy: false, labels: { 'sidecar.istio.io/inject': 'false' } }),
  ]);
  const of = (name: string) => {
    const workload = mesh.workload('a', name);
    assert.ok(workload);
    return healthOf(workload, mesh, silent);
  };
  assert.deepEqual(of('good-v1'), { state: 'healthy', reasons: [] });
  assert.equal(of('bad-v1').state, 'failing');
  assert.match(of('bad-v1').reasons.join('\n'), /0 of 1 pods.*\n.*CrashLoopBackOff: exited/);
  assert.equal(of('bare-v1').state, 'degraded');
  assert.equal(of('free-v1').state, 'healthy');
  // As long as one version works, what is behind the name works.
  const both = ['good-v1', 'bad-v1'].flatMap((name) => mesh.workload('a', name) ?? []);
  assert.equal(groupHealth(both, mesh, silent).state, 'degraded');
  assert.equal(worst([]).state, 'unknown');
});

test('scaled to zero is idle', () => {
  const [object] = deployment('a', 'off', 'v1');
  assert.ok(object);
  const { mesh } = viewsOf([meshed('a'), { ...object, spec: { ...(object.spec as object), replicas: 0 } }]);
  const workload = mesh.workload('a', 'off-v1');
  assert.ok(workload);
  assert.equal(healthOf(workload, mesh, silent).state, 'idle');
});

test('hosts', () => {
  assert.equal(fullHost('reviews', 'shop', 'cluster.local'), 'reviews.shop.svc.cluster.local');
  assert.equal(fullHost('example.com', 'shop', 'cluster.local'), 'example.com');
  assert.deepEqual(serviceOf('a.b.svc.cluster.local', 'cluster.local'), { name: 'a', namespace: 'b' });
  assert.equal(serviceOf('example.com', 'cluster.local'), undefined);
  assert.ok(matchesHost('*.example.com', 'a.example.com'));
  assert.ok(!matchesHost('*.example.com', 'example.com'));
});

test('badges come from VirtualServices and DestinationRules of a host', () => {
  const { config: view } = viewsOf([
    config('VirtualService', 'a', 'edge', {
      hosts: ['*'],
      gateways: ['gw'],
      http: [
        {
          fault: { abort: { httpStatus: 500 } },
          timeout: '3s',
          route: [
            { destination: { host: 'web', subset: 'v1' }, weight: 75 },
            { destination: { host: 'web', subset: 'v2' }, weight: 25 },
          ],
          mirror: { host: 'shadow' },
        },
      ],
    }),
    config('DestinationRule', 'a', 'web', { host: 'web', trafficPolicy: { outlierDetection: {} } }),
    config('ServiceEntry', 'a', 'ext', { hosts: ['*.example.com'], location: 'MESH_EXTERNAL' }),
  ]);
  assert.deepEqual([...view.badgesOf('web.a.svc.cluster.local')].sort(), [
    'circuit-breaker',
    'fault-injection',
    'mirroring',
    'request-timeout',
    'traffic-shifting',
    'virtual-service',
  ]);
  assert.deepEqual([...view.badgesOf('other.a.svc.cluster.local')], []);
  assert.equal(view.entryOf('api.example.com')?.external, true);
});
