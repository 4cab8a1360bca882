import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { istioTypes } from '@istio-ts/api/resource-types';
import type { KubeObject } from '@istio-ts/kube';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import type { ProxyNode } from '@istio-ts/xds';
import { provesAnnotations } from '@istio-ts/xds/field-proof';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createRegistrationMetrics } from '../metrics/kubernetes.ts';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { wantedAddresses } from './auto-allocate.ts';
import { keepAutoAddresses } from './auto-allocate-status.ts';
import { createWorkloadRegistration, entryNameOf, isGone, registrationAnnotations } from './workload-registration.ts';

provesAnnotations(
  'istio.io/autoRegistrationGroup',
  'istio.io/workloadController',
  'istio.io/connectedAt',
  'istio.io/disconnectedAt',
);

const ranges = { ipv4: '240.240.0.0/16', ipv6: '2001:2::/48' };
const entry = (name: string, spec: object, more: object = {}): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name, namespace: 'shop', creationTimestamp: `2026-01-01T00:00:0${name.length % 10}Z`, ...more },
  spec: { ports: [{ number: 80, name: 'tcp', protocol: 'TCP' }], resolution: 'DNS', ...spec },
});

/** One of the istiods that may give addresses. */
const leading = (identity: string) => ({
  ranges,
  namespace: 'istio-system',
  identity,
  now: () => new Date(0),
  sleep: (_ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve())),
});

describe('addresses of ServiceEntries', () => {
  /** A cluster whose ServiceEntries a mesh follows. */
  function cluster() {
    const fake = new FakeCluster();
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    fake.client.watch(istioTypes.ServiceEntry, {}, (event) => {
      if (event.type === 'SYNCED') return;
      if (event.type === 'DELETED') sources.delete(event.object);
      else sources.set(event.object);
    });
    const addresses = (name: string) =>
      (
        fake.get(istioTypes.ServiceEntry, 'shop', name)?.status as
          | { addresses?: { host: string; value: string }[] }
          | undefined
      )?.addresses;
    return { fake, sources, addresses, put: (object: KubeObject) => fake.put(istioTypes.ServiceEntry, object) };
  }

  it('are given to those that want some, once, and taken back', async () => {
    const { fake, sources, addresses, put } = cluster();
    put(entry('one', { hosts: ['a.test', 'b.test'] }));
    put(entry('wild', { hosts: ['*.test'] }));
    put(entry('fixed', { hosts: ['c.test'], addresses: ['10.0.0.1'] }));
    put(entry('direct', { hosts: ['d.test'], resolution: 'NONE' }));
    put(
      entry('unwanted', { hosts: ['e.test'] }, { labels: { 'networking.istio.io/enable-autoallocate-ip': 'false' } }),
    );
    const keeper = keepAutoAddresses(
      fake.client,
      sources.configs('ServiceEntry'),
      leading('istiod-1'),
      recordingLogger(),
    );
    await settle();
    const given = addresses('one') ?? [];
    assert.deepEqual(
      given.map(({ host }) => host),
      ['a.test', 'a.test', 'b.test', 'b.test'],
    );
    assert.match(
      given.map(({ value }) => value).join(' '),
      /^240\.240\.\d+\.\d+ 2001:2:\S+ 240\.240\.\d+\.\d+ 2001:2:\S+$/,
    );
    assert.equal(new Set(given.map(({ value }) => value)).size, 4);
    for (const name of ['wild', 'fixed', 'direct', 'unwanted']) assert.equal(addresses(name), undefined, name);
    const writes = fake.writes.length;
    // Another change of the object changes nothing about its addresses.
    const object = fake.get(istioTypes.ServiceEntry, 'shop', 'one');
    put({ ...(object as KubeObject), spec: { ...(object?.spec as object), hosts: ['b.test'] } });
    await settle();
    assert.deepEqual(addresses('one'), given.slice(2));
    assert.equal(fake.writes.length, writes + 1);
    put(entry('one', { hosts: ['b.test'], addresses: ['10.0.0.9'] }, {}));
    fake.put(istioTypes.ServiceEntry, {
      ...entry('one', { hosts: ['b.test'], addresses: ['10.0.0.9'] }),
      status: { addresses: given.slice(2) },
    });
    await settle();
    assert.equal(addresses('one'), undefined);
    keeper.close();
  });

  it('stay what they are while the watch lags behind, and differ from each other', async () => {
    const fake = new FakeCluster();
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const late: KubeObject[] = [];
    fake.client.watch(istioTypes.ServiceEntry, {}, (event) => {
      if (event.type === 'ADDED' || event.type === 'MODIFIED') late.push(event.object);
    });
    const deliver = async (): Promise<void> => {
      for (const object of late.splice(0, 1)) sources.set(object);
      await settle();
    };
    const keeper = keepAutoAddresses(
      fake.client,
      sources.configs('ServiceEntry'),
      // A range of six addresses: with three hosts, a second choice before the first is seen would collide.
      { ...leading('istiod-1'), ranges: { ipv4: '240.240.0.0/29', ipv6: '2001:2::/125' } },
      recordingLogger(),
    );
    const names = ['a', 'bb', 'ccc'];
    for (const name of names) {
      // The new object comes before the echoes of what was written to the others.
      sources.set(fake.put(istioTypes.ServiceEntry, entry(name, { hosts: [`${name}.test`] })));
      await settle();
    }
    const given = () =>
      names.map((name) => {
        const status = fake.get(istioTypes.ServiceEntry, 'shop', name)?.status;
        return (status as { addresses?: { value: string }[] } | undefined)?.addresses ?? [];
      });
    const first = given();
    assert.equal(new Set(first.flat().map(({ value }) => value)).size, 6);
    while (late.length > 0) await deliver();
    assert.deepEqual(given(), first);
    assert.equal(fake.writes.filter((line) => line.includes('serviceentries')).length, 3);
    keeper.close();
  });

  it('are given again where somebody removes them before they were seen', async () => {
    const { fake, sources, addresses, put } = cluster();
    const keeper = keepAutoAddresses(
      fake.client,
      sources.configs('ServiceEntry'),
      leading('istiod-1'),
      recordingLogger(),
    );
    put(entry('one', { hosts: ['a.test'] }));
    await settle();
    const given = addresses('one');
    put(entry('one', { hosts: ['a.test'] }));
    await settle();
    assert.deepEqual(addresses('one'), given);
    keeper.close();
  });

  it('are the same after a restart, and given by one of two istiods', async () => {
    const { fake, sources, addresses, put } = cluster();
    const start = (identity: string) =>
      keepAutoAddresses(fake.client, sources.configs('ServiceEntry'), leading(identity), recordingLogger());
    const writes = () => fake.writes.filter((line) => line.includes('serviceentries')).length;
    put(entry('one', { hosts: ['a.test'] }));
    const both = [start('istiod-1'), start('istiod-2')];
    await settle();
    put(entry('two', { hosts: ['b.test'] }));
    await settle();
    const given = [addresses('one'), addresses('two')];
    assert.equal(writes(), 2);
    for (const one of both) one.close();
    const next = start('istiod-3');
    await settle();
    assert.deepEqual([addresses('one'), addresses('two')], given);
    assert.equal(writes(), 2);
    next.close();
  });

  it('are of one host each: the older keeps what two have', () => {
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const shared = {
      status: {
        addresses: [
          { host: 'a.test', value: '240.240.1.1' },
          { host: 'a.test', value: '2001:2::5' },
        ],
      },
    };
    sources.set({ ...entry('x', { hosts: ['a.test'] }), ...shared });
    sources.set({ ...entry('younger', { hosts: ['a.test'] }), ...shared });
    // Addresses that somebody chose out of the range are not given to another.
    sources.set(entry('chosen', { hosts: ['z.test'], addresses: ['240.240.9.9'] }));
    const wanted = wantedAddresses(sources.configs('ServiceEntry').snapshot(), ranges);
    assert.deepEqual([...wanted.keys()], ['shop/younger']);
    assert.ok(wanted.get('shop/younger')?.every(({ value }) => value !== '240.240.1.1' && value !== '2001:2::5'));
  });

  it('run out without doing harm', () => {
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    for (let i = 0; i < 9; i++) sources.set(entry(`e${i}`, { hosts: [`h${i}.test`] }));
    const wanted = wantedAddresses(sources.configs('ServiceEntry').snapshot(), {
      ipv4: '240.240.0.0/29',
      ipv6: '2001:2::/125',
    });
    const all = [...wanted.values()].flat().map(({ value }) => value);
    assert.equal(new Set(all).size, all.length);
    assert.equal(all.length, 12);
    assert.throws(() => wantedAddresses(new Map(), { ipv4: '240.240.0.0', ipv6: '2001:2::/48' }), RangeError);
  });

  it('are in force for proxies whose agent answers DNS alone', () => {
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    sources.set({
      ...entry('one', { hosts: ['a.test'] }),
      status: { addresses: [{ host: 'a.test', value: '240.240.1.1' }] },
    });
    const [service] = [...createMesh(sources).services.values()];
    assert.deepEqual([service?.addresses, service?.autoAddresses], [[], ['240.240.1.1']]);
  });
});

const node = (more: Partial<ProxyNode> = {}, metadata: Record<string, unknown> = {}): ProxyNode => ({
  id: 'sidecar~10.9.0.1~vm-1.shop~shop.svc.cluster.local',
  cluster: 'vm',
  type: 'sidecar',
  ipAddress: '10.9.0.1',
  podName: 'vm-1',
  namespace: 'shop',
  dnsDomain: 'shop.svc.cluster.local',
  locality: { region: 'eu', zone: 'a', subzone: '' },
  metadata: { AUTO_REGISTER_GROUP: 'vms', NETWORK: 'net:1', LABELS: { app: 'own', extra: 'yes' }, ...metadata },
  envoyVersion: undefined,
  identity: 'spiffe://cluster.local/ns/shop/sa/vm',
  ...more,
});
const group: KubeObject = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'WorkloadGroup',
  metadata: { name: 'vms', namespace: 'shop', uid: 'u1' },
  spec: {
    metadata: { labels: { app: 'group', team: 't' }, annotations: { note: 'n' } },
    template: { serviceAccount: 'vm', ports: { http: 8080 }, weight: 3, network: 'template-net' },
    probe: { httpGet: { port: 8080 } },
  },
};

describe('workloads outside Kubernetes', () => {
  const name = 'vms-10.9.0.1-net-1';
  function start(graceMs = 0, at = () => new Date('2026-01-01T00:00:00Z')) {
    const cluster = new FakeCluster();
    cluster.put(istioTypes.WorkloadGroup, group);
    const log = recordingLogger();
    const metrics = new MetricsRegistry();
    const registration = createWorkloadRegistration(
      cluster.client,
      { controller: 'istiod-1', graceMs, register: true, healthChecks: true, now: at },
      log,
      createRegistrationMetrics(metrics),
    );
    const counted = () =>
      Object.fromEntries(
        [...metrics.text().matchAll(/^auto_registration_(\w+)_total ([1-9]\d*)$/gm)].map(([, name, count]) => [
          name,
          Number(count),
        ]),
      );
    return { cluster, registration, log, counted, found: () => cluster.get(istioTypes.WorkloadEntry, 'shop', name) };
  }

  it('get an entry from their group when they connect, and lose it when they are gone', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { cluster, registration, found, counted } = start();
    registration.connected(node());
    await settle();
    assert.deepEqual(found()?.spec, {
      address: '10.9.0.1',
      ports: { http: 8080 },
      labels: { app: 'own', team: 't', extra: 'yes' },
      network: 'template-net',
      locality: 'eu/a',
      weight: 3,
      serviceAccount: 'vm',
    });
    const { annotations, ownerReferences } = found()?.metadata ?? {};
    assert.equal(annotations?.[registrationAnnotations.group], 'vms');
    assert.equal(annotations?.['proxy.istio.io/health-checks-enabled'], 'true');
    assert.equal(annotations?.note, 'n');
    assert.equal(ownerReferences?.[0]?.name, 'vms');
    // A second stream of the same proxy: one of the two may end.
    registration.connected(node());
    registration.disconnected(node());
    await settle();
    assert.equal(found()?.metadata.annotations?.[registrationAnnotations.disconnectedAt], undefined);
    registration.disconnected(node());
    await settle();
    assert.ok(found()?.metadata.annotations?.[registrationAnnotations.disconnectedAt]);
    t.mock.timers.tick(1);
    await settle();
    assert.equal(found(), undefined);
    assert.ok(cluster.writes.some((line) => line.startsWith('delete workloadentries')));
    assert.deepEqual(counted(), { success: 1, unregister: 1, deletes: 1 });
    registration.close();
  });

  it('keep their entry when they are back in time', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { registration, found, counted } = start(5);
    registration.connected(node());
    await settle();
    registration.disconnected(node());
    registration.connected(node());
    await settle();
    t.mock.timers.tick(20);
    await settle();
    assert.equal(found()?.metadata.annotations?.[registrationAnnotations.disconnectedAt], undefined);
    assert.deepEqual(counted(), { success: 1, unregister: 1, updates: 1 });
    registration.close();
  });

  it('wait for their group, of which is told once whenever it is missing', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { cluster, registration, found, log, counted } = start();
    const passRetries = async (times: number) => {
      await settle();
      for (let i = 0; i < times; i++) {
        t.mock.timers.tick(5000);
        await settle();
      }
    };
    const missing = () => log.lines.filter((line) => line.includes('there is no WorkloadGroup shop/vms')).length;
    cluster.remove(istioTypes.WorkloadGroup, 'shop', 'vms');
    registration.connected(node());
    await passRetries(5);
    assert.equal(missing(), 1);
    assert.ok((counted().errors ?? 0) > 1);
    cluster.put(istioTypes.WorkloadGroup, group);
    await passRetries(1);
    assert.ok(found());
    cluster.remove(istioTypes.WorkloadGroup, 'shop', 'vms');
    registration.disconnected(node());
    await passRetries(1);
    registration.connected(node());
    await passRetries(3);
    assert.equal(missing(), 2);
    registration.close();
  });

  it('are refused under another service account than the group has', async () => {
    const { registration, found, log } = start();
    registration.connected(node({ identity: 'spiffe://cluster.local/ns/shop/sa/other' }));
    await settle();
    assert.equal(found(), undefined);
    assert.ok(log.lines.some((line) => line.includes('run as service account vm')));
    registration.close();
  });

  for (const [identity, reason] of [
    [undefined, 'it has proved no identity'],
    ['spiffe://cluster.local/ns/other/sa/vm', "not of the group's namespace shop"],
  ] as const)
    it(`are refused with the identity ${identity}`, async () => {
      const { registration, found, log } = start();
      registration.connected(node({ identity }));
      await settle();
      assert.equal(found(), undefined);
      assert.ok(log.lines.some((line) => line.includes(reason)));
      registration.close();
    });

  it('have the health that their agent tells of, even before their entry is there', async () => {
    const { registration, found } = start();
    const conditions = () =>
      (found()?.status as { conditions?: { type: string; status: string; message?: string }[] } | undefined)
        ?.conditions ?? [];
    registration.health(node(), { healthy: false, message: 'connection refused' });
    registration.connected(node());
    await settle();
    assert.deepEqual(
      [conditions()[0]?.type, conditions()[0]?.status, conditions()[0]?.message],
      ['Healthy', 'False', 'connection refused'],
    );
    registration.health(node(), { healthy: true, message: '' });
    await settle();
    assert.deepEqual([conditions().length, conditions()[0]?.status], [1, 'True']);
    registration.close();
  });

  it('are named so that Kubernetes takes it, and known to be gone by what is written', () => {
    assert.equal(entryNameOf(node({ ipAddress: 'fd00::1' }, { NETWORK: '' })), 'vms-fd00--1');
    assert.equal(entryNameOf(node({}, { AUTO_REGISTER_GROUP: undefined, WORKLOAD_ENTRY: 'mine' })), 'mine');
    const at = (annotations: Record<string, string>): KubeObject => ({
      apiVersion: 'v1',
      kind: 'WorkloadEntry',
      metadata: { annotations },
    });
    const now = Date.parse('2026-01-01T01:00:00Z');
    const { group: label, connectedAt, disconnectedAt } = registrationAnnotations;
    assert.equal(isGone(at({}), now, 10_000), false);
    assert.equal(isGone(at({ [label]: 'g', [disconnectedAt]: '2026-01-01T00:59:55Z' }), now, 10_000), false);
    assert.equal(isGone(at({ [label]: 'g', [disconnectedAt]: '2026-01-01T00:59:45Z' }), now, 10_000), true);
    assert.equal(isGone(at({ [label]: 'g', [connectedAt]: '2026-01-01T00:30:00Z' }), now, 10_000), false);
    assert.equal(isGone(at({ [label]: 'g', [connectedAt]: '2026-01-01T00:10:00Z' }), now, 10_000), true);
  });
});
