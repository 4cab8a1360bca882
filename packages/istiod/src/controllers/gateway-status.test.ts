import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { MetricsRegistry } from '@istio-ts/metrics';
import { type FakeCluster, meshOnCluster, settle } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { reportGatewayConflicts } from './gateway-conflicts.ts';
import { writeIngressStatus } from './ingress-status.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

const scene = () => ({ ...meshOnCluster(), log: recordingLogger() });

const gateway = (
  name: string,
  created: string,
  ...servers: readonly (readonly [number, string, string])[]
): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Gateway',
  metadata: { name, namespace: 'default', creationTimestamp: created },
  spec: {
    selector: { istio: 'ingressgateway' },
    servers: servers.map(([number, protocol, host]) => ({
      port: { number, protocol, name: `${protocol.toLowerCase()}-${number}` },
      hosts: [host],
      ...(protocol === 'HTTPS' && { tls: { mode: 'SIMPLE', credentialName: 'one' } }),
    })),
  },
});

describe('conflicts of Gateways', () => {
  it('are told in status, metric and log, and taken back', async () => {
    const { cluster, mesh, put, remove, log } = scene();
    const old = gateway('old', '2026-01-01T00:00:00Z', [80, 'HTTP', '*'], [443, 'HTTPS', 'shop.test']);
    put(istioTypes.Gateway, old);
    put(
      istioTypes.Gateway,
      gateway('young', '2026-02-01T00:00:00Z', [80, 'TCP', '*'], [443, 'HTTPS', 'shop.test'], [8080, 'HTTP', '*']),
    );
    put(
      istioTypes.Gateway,
      gateway('peaceful', '2026-03-01T00:00:00Z', [80, 'HTTP', '*'], [443, 'HTTPS', 'other.test']),
    );
    const metrics = new MetricsRegistry();
    const status = (name: string) =>
      (
        cluster.get(istioTypes.Gateway, 'default', name)?.status as
          | { conditions?: readonly { type: string; status: string; message: string }[] }
          | undefined
      )?.conditions?.[0];
    closing.push(reportGatewayConflicts(mesh, cluster.client, metrics, log).close);
    await settle();
    const told = status('young');
    assert.deepEqual([told?.type, told?.status], ['Conflicted', 'True']);
    assert.match(
      told?.message ?? '',
      /spec\.servers\[0\]\.port: port 80 is not served as plain TCP: the older Gateway default\/old/,
    );
    assert.match(
      told?.message ?? '',
      /spec\.servers\[1\]\.hosts\[0\]: shop\.test on port 443 belongs to the older Gateway default\/old/,
    );
    assert.equal(status('old'), undefined);
    assert.equal(status('peaceful'), undefined);
    assert.match(metrics.text(), /^pilot_conflict_inbound_listener 2$/m);
    assert.equal(log.lines.filter((line) => line.startsWith('warn Gateway default/young')).length, 2);
    remove(istioTypes.Gateway, old);
    await settle();
    // Now the next oldest one has port 80.
    assert.equal(status('young')?.status, 'False');
    assert.equal(status('peaceful')?.status, 'True');
  });
});

const ingress = (name: string, className = 'istio'): KubeObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'Ingress',
  metadata: { name, namespace: 'default', annotations: { 'kubernetes.io/ingress.class': className } },
  spec: { defaultBackend: { service: { name: 'app', port: { number: 80 } } } },
});

const loadBalancer = (ip: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'istio-ingressgateway', namespace: 'istio-system' },
  spec: {},
  status: { loadBalancer: { ingress: [{ ip }] } },
});

describe('status of Ingresses', () => {
  const start = ({ cluster, mesh, log }: ReturnType<typeof scene>, identity: string) => {
    const stopped = new Set<() => void>();
    const status = writeIngressStatus(
      mesh,
      cluster.client,
      {
        namespace: 'istio-system',
        ingressNamespace: 'istio-system',
        identity,
        now: () => new Date(1_700_000_000_000),
        sleep: (_ms, signal) =>
          new Promise((_resolve, reject) => {
            const end = () => reject(new Error('aborted'));
            stopped.add(end);
            signal.addEventListener('abort', end);
          }),
      },
      log,
    );
    closing.push(status.close);
    return status;
  };
  const addresses = (cluster: FakeCluster, name: string) =>
    (
      cluster.get(kubernetesTypes.Ingress, 'default', name)?.status as
        | { loadBalancer?: { ingress?: unknown } }
        | undefined
    )?.loadBalancer?.ingress;
  const rounds = async () => {
    for (let i = 0; i < 8; i++) await settle();
  };

  it('has the addresses of the Service, and follows them', async () => {
    const world = scene();
    const { cluster, put } = world;
    put(kubernetesTypes.Service, loadBalancer('192.0.2.1'));
    put(kubernetesTypes.Ingress, ingress('mine'));
    put(kubernetesTypes.Ingress, ingress('foreign', 'nginx'));
    start(world, 'istiod-0');
    await rounds();
    assert.deepEqual(addresses(cluster, 'mine'), [{ ip: '192.0.2.1' }]);
    assert.equal(addresses(cluster, 'foreign'), undefined);
    put(kubernetesTypes.Service, loadBalancer('192.0.2.2'));
    put(kubernetesTypes.Ingress, ingress('later'));
    await rounds();
    assert.deepEqual(addresses(cluster, 'mine'), [{ ip: '192.0.2.2' }]);
    assert.deepEqual(addresses(cluster, 'later'), [{ ip: '192.0.2.2' }]);
    const writes = cluster.writes.filter((line) => line.includes('ingresses')).length;
    put(kubernetesTypes.Service, loadBalancer('192.0.2.2'));
    await rounds();
    assert.equal(cluster.writes.filter((line) => line.includes('ingresses')).length, writes);
  });

  it('is written by the leader only, and nobody leads without an Ingress', async () => {
    const world = scene();
    const { cluster, put } = world;
    put(kubernetesTypes.Service, loadBalancer('192.0.2.1'));
    const first = start(world, 'istiod-0');
    await rounds();
    assert.deepEqual(cluster.writes, []);
    put(kubernetesTypes.Ingress, ingress('mine'));
    await rounds();
    const writes = cluster.writes.length;
    start(world, 'istiod-1');
    await rounds();
    assert.equal(cluster.writes.length, writes);
    first.close();
    await rounds();
    const lease = cluster.get(kubernetesTypes.Lease, 'istio-system', 'istio-leader');
    assert.deepEqual((lease?.spec as { holderIdentity?: string } | undefined)?.holderIdentity, '');
  });
});
