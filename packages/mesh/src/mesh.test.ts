import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Mesh } from './index.ts';
import { istio, object, pod, service, slice, world } from './world.test-support.ts';

const endpointsOf = (mesh: Mesh, host: string) =>
  mesh.endpoints
    .get(`default/${host}`)
    ?.endpoints.map(({ address, health, tlsMode, identity }) => [address, health, tlsMode, identity]);

describe('workloads', () => {
  it('know their Deployment, CronJob, canonical names and place', () => {
    const owned = (kind: string, name: string) => ({
      ownerReferences: [{ kind, name, controller: true, apiVersion: 'v1', uid: 'u' }],
    });
    const { mesh } = world([
      {
        apiVersion: 'v1',
        kind: 'Node',
        metadata: { name: 'n1', labels: { 'topology.kubernetes.io/region': 'eu', 'topology.kubernetes.io/zone': 'a' } },
      },
      pod(
        'web-5d8-x1',
        { app: 'web', version: 'v2', 'pod-template-hash': '5d8' },
        '10.0.0.1',
        owned('ReplicaSet', 'web-5d8'),
      ),
      pod('tidy-28931230-x', { 'app.kubernetes.io/name': 'tidier' }, '10.0.0.2', owned('Job', 'tidy-28931230')),
      pod(
        'db-0',
        { 'service.istio.io/canonical-name': 'database', 'istio-locality': 'us.b.c' },
        '10.0.0.3',
        owned('StatefulSet', 'db'),
      ),
      pod('alone', {}, '10.0.0.4'),
      object('v1', 'Pod', 'over', { status: { phase: 'Succeeded', podIP: '10.0.0.5' } }),
    ]);
    const seen = [...mesh.workloads.values()].map((w) => [
      w.name,
      w.ownerKind,
      w.workloadName,
      w.canonicalName,
      w.canonicalRevision,
      Object.values(w.locality).join('/'),
    ]);
    assert.deepEqual(seen.sort(), [
      ['alone', 'Pod', 'alone', 'alone', 'latest', 'eu/a/'],
      ['db-0', 'StatefulSet', 'db', 'database', 'latest', 'us/b/c'],
      ['tidy-28931230-x', 'CronJob', 'tidy', 'tidier', 'latest', 'eu/a/'],
      ['web-5d8-x1', 'Deployment', 'web', 'web', 'v2', 'eu/a/'],
    ]);
  });
});

describe('endpoints', () => {
  const host = 'web.default.svc.cluster.local';
  const identity = 'spiffe://cluster.local/ns/default/sa/app';

  it('have health by their conditions, and identity and mutual TLS by their pods', () => {
    const { mesh } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      pod('web-2', { app: 'web', 'security.istio.io/tlsMode': 'disabled' }, '10.0.0.2'),
      slice('web', [
        { addresses: ['10.0.0.1'], conditions: {}, targetRef: { kind: 'Pod', name: 'web-1' } },
        { addresses: ['10.0.0.2'], conditions: { ready: false }, targetRef: { kind: 'Pod', name: 'web-2' } },
        { addresses: ['10.0.0.3'], conditions: { ready: false, serving: true, terminating: true } },
      ]),
    ]);
    assert.deepEqual(endpointsOf(mesh, host), [
      ['10.0.0.1', 'healthy', 'istio', identity],
      ['10.0.0.2', 'unhealthy', 'disabled', identity],
      ['10.0.0.3', 'draining', 'disabled', undefined],
    ]);
  });

  it('wait for their pod, so that nobody calls it in plain text because its slice was faster', () => {
    const { mesh, sources } = world([
      service('web'),
      slice('web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }]),
    ]);
    assert.deepEqual(endpointsOf(mesh, host), []);
    sources.set(pod('web-1', { app: 'web' }, '10.0.0.1'));
    assert.deepEqual(endpointsOf(mesh, host), [['10.0.0.1', 'healthy', 'istio', identity]]);
  });

  it('take part before they are ready where the service says so', () => {
    const { mesh } = world([
      service('web', { publishNotReadyAddresses: true }),
      slice('web', [{ addresses: ['10.0.0.2'], conditions: { ready: false } }]),
    ]);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[1], 'healthy');
  });

  it('lose mutual TLS where PeerAuthentication turns it off for their port, and get it back', () => {
    const { mesh, sources } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      slice('web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }]),
    ]);
    const policy = istio('PeerAuthentication', 'off', {
      selector: { matchLabels: { app: 'web' } },
      portLevelMtls: { 8080: { mode: 'DISABLE' } },
    });
    sources.set(policy);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[2], 'disabled');
    sources.delete(policy);
    assert.equal(endpointsOf(mesh, host)?.[0]?.[2], 'istio');
  });

  it('do not change identities when they come and go', () => {
    const { mesh, sources } = world([
      service('web'),
      pod('web-1', { app: 'web' }, '10.0.0.1'),
      pod('web-2', { app: 'web' }, '10.0.0.2'),
      slice('web', [{ addresses: ['10.0.0.1'], targetRef: { kind: 'Pod', name: 'web-1' } }]),
    ]);
    const before = mesh.identities.snapshot();
    assert.deepEqual(before.get(`default/${host}`), [identity]);
    sources.set(
      slice('web', [
        { addresses: ['10.0.0.2'], conditions: { ready: false }, targetRef: { kind: 'Pod', name: 'web-2' } },
      ]),
    );
    assert.equal(mesh.identities.snapshot(), before);
  });
});

describe('protocols', () => {
  it('are what the port says, by appProtocol, name or number', () => {
    const ports = [
      { name: 'grpc-web-x', port: 1 },
      { name: 'http2', port: 2 },
      { name: 'web', port: 3 },
      { name: 'web', port: 4, appProtocol: 'grpc' },
      { name: 'x', port: 3306 },
      { name: 'httpfoo', port: 5 },
      { name: 'tls-x', port: 6 },
      { name: 'http', port: 7, protocol: 'UDP' },
      { name: 'web', port: 8, appProtocol: 'kubernetes.io/h2c' },
    ];
    const { mesh } = world([service('web', { ports })]);
    assert.deepEqual(
      mesh.services.get('default/web.default.svc.cluster.local')?.ports.map((port) => port.protocol),
      ['GRPC-Web', 'HTTP2', 'Auto', 'GRPC', 'TCP', 'Auto', 'TLS', 'UDP', 'HTTP2'],
    );
  });
});
