import assert from 'node:assert/strict';
import { test } from 'node:test';
import { X509Certificate } from 'node:crypto';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError } from '@istio-ts/kube';
import {
  type AuthorityMaterial,
  createCsr,
  createIntermediate,
  createRootCertificate,
  generatePrivateKey,
  P256,
  splitCertificates,
} from '@istio-ts/security';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import { type AuthorityKeeper, type AuthorityKeeperOptions, keepAuthority } from './keeper.ts';
import type { MaterialFiles } from './material.ts';

const HOUR = 3_600_000;
const start = Date.now();
const rule = {
  organization: 'cluster.local',
  rootTtlMs: 100 * HOUR,
  gracePercentile: 20,
  maxWorkloadTtlMs: 2 * HOUR,
  algorithm: P256,
};

/** A cluster, a clock that stands still, and replicas of istiod's authority. */
class World {
  readonly cluster = new FakeCluster();
  readonly lines: string[] = [];
  readonly outcomes: string[] = [];
  folder: MaterialFiles = {};
  time = start;
  #timers: { at: number; work: () => void }[] = [];
  #folderWatchers: (() => void)[] = [];

  replica(more: Partial<AuthorityKeeperOptions> = {}): Promise<AuthorityKeeper> {
    const say = (line: string) => void this.lines.push(line);
    return keepAuthority({
      client: this.cluster.client,
      namespace: 'istio-system',
      rule,
      defaultWorkloadTtlMs: HOUR,
      checkIntervalMs: HOUR,
      firstCheckMs: HOUR,
      selfSignedInCacerts: false,
      folder: {
        read: () => this.folder,
        watch: (onChange) => {
          this.#folderWatchers.push(onChange);
          return { close: () => undefined };
        },
      },
      now: () => new Date(this.time),
      after: (ms, work) => {
        const timer = { at: this.time + ms, work };
        this.#timers.push(timer);
        return () => void this.#timers.splice(this.#timers.indexOf(timer), 1);
      },
      onOutcome: (outcome) => void this.outcomes.push(outcome),
      log: { debug() {}, info: say, warn: say, error: say },
      ...more,
    });
  }

  async pass(ms: number): Promise<void> {
    const end = this.time + ms;
    for (;;) {
      const next = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (!next) break;
      this.#timers.splice(this.#timers.indexOf(next), 1);
      this.time = next.at;
      next.work();
      await settle();
    }
    this.time = end;
    await settle();
  }

  async plugIn(material: AuthorityMaterial, more: Readonly<Record<string, string>> = {}): Promise<void> {
    const files = {
      'ca-cert.pem': material.certificate,
      'ca-key.pem': material.key,
      'cert-chain.pem': material.chain,
      'root-cert.pem': material.root,
      ...more,
    };
    this.cluster.put(kubernetesTypes.Secret, {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'cacerts', namespace: 'istio-system' },
      data: Object.fromEntries(
        Object.entries(files).map(([name, text]) => [name, Buffer.from(text).toString('base64')]),
      ),
    });
    await settle();
  }

  async setFolder(files: MaterialFiles): Promise<void> {
    this.folder = files;
    for (const tell of this.#folderWatchers) tell();
    await settle();
  }
}

const csr = createCsr(generatePrivateKey(P256), []);
const identity = { trustDomain: 'cluster.local', namespace: 'a', serviceAccount: 'b' };
const signed = (keeper: AuthorityKeeper, at: number) =>
  new X509Certificate(keeper.current().sign({ csr, identity, now: new Date(at) }).certificate);
const trusts = (bundle: string, certificate: X509Certificate): boolean =>
  splitCertificates(bundle).some((root) => certificate.verify(new X509Certificate(root).publicKey));
const anchors = (keeper: AuthorityKeeper): number => splitCertificates(keeper.current().root).length;

test('a self-signed root gets a successor: trusted first, signing when all certificates from before have ended, alone in the end', async () => {
  const world = new World();
  const [one, two] = [await world.replica(), await world.replica({ firstCheckMs: HOUR / 3 })];
  const oldBundle = one.current().root;
  assert.equal(one.source, 'new');
  assert.equal(two.source, 'self-signed');
  await world.pass(79 * HOUR);
  assert.equal(anchors(one), 1);

  // In the last fifth of its life.
  const beforePublishing = signed(one, world.time);
  await world.pass(2 * HOUR);
  for (const keeper of [one, two]) {
    assert.equal(anchors(keeper), 2);
    assert.equal(trusts(oldBundle, signed(keeper, world.time)), true, 'the old root signs on');
    assert.equal(trusts(keeper.current().root, beforePublishing), true);
  }
  assert.equal(one.current().root, two.current().root, 'replicas agree');
  const bothBundle = one.current().root;

  // Two hours are the longest life of certificates; a check comes every hour.
  const lastOfOld = signed(one, world.time);
  await world.pass(3 * HOUR);
  for (const keeper of [one, two]) {
    const fresh = signed(keeper, world.time);
    assert.equal(trusts(oldBundle, fresh), false, 'the successor signs');
    assert.equal(trusts(bothBundle, fresh), true, 'whoever knows both roots takes it');
    assert.equal(trusts(keeper.current().root, lastOfOld), true);
    assert.equal(anchors(keeper), 2);
  }

  // The old root has ended.
  await world.pass(18 * HOUR);
  for (const keeper of [one, two]) assert.equal(anchors(keeper), 1);
  assert.equal(one.current().root, two.current().root);
  const restarted = await world.replica();
  assert.equal(restarted.current().root, one.current().root);
  assert.deepEqual(world.outcomes, Array(6).fill('taken'));
});

test('a replica that comes second in a step of rotation takes what the first one stored', async () => {
  const world = new World();
  const keeper = await world.replica();
  await world.pass(79.5 * HOUR);
  // Somebody else was quicker than the next check.
  const other = await world.replica();
  await settle();
  world.time += 1.5 * HOUR;
  let conflicts = 0;
  world.cluster.refuse = (write) => {
    if (!write.startsWith('update')) return;
    conflicts++;
    throw new KubeApiError(409, 'Conflict', 'the object has been modified');
  };
  await keeper.look();
  assert.equal(conflicts, 1);
  assert.equal(anchors(keeper), 1);
  world.cluster.refuse = () => undefined;
  await other.look();
  await settle();
  assert.equal(anchors(keeper), 2);
  assert.equal(keeper.current().root, other.current().root);
});

test('the root that is kept in cacerts is istiod’s own and rotates too', async () => {
  const world = new World();
  const keeper = await world.replica({ selfSignedInCacerts: true });
  assert.equal(keeper.source, 'new');
  assert.deepEqual(
    [...world.cluster.objects.keys()].filter((key) => key.startsWith('secrets ')),
    ['secrets istio-system/cacerts'],
  );
  const again = await world.replica({ selfSignedInCacerts: true });
  assert.equal(again.source, 'self-signed');
  await world.pass(81 * HOUR);
  assert.equal(anchors(keeper), 2);
  assert.equal(again.current().root, keeper.current().root);
});

test('another intermediate of the same root is taken at once, and its revocation list', async () => {
  const world = new World();
  const now = new Date(start);
  const root = createRootCertificate({ organization: 'operator', now });
  const intermediate = (commonName: string) => createIntermediate(root, { organization: 'operator', commonName, now });
  await world.plugIn(intermediate('first'));
  const keeper = await world.replica();
  assert.equal(keeper.source, 'plugged in');
  assert.match(signed(keeper, world.time).issuer, /CN=first/);
  let changes = 0;
  keeper.subscribe(() => changes++);
  await world.plugIn(intermediate('second'), { 'ca-crl.pem': 'a list' });
  assert.match(signed(keeper, world.time).issuer, /CN=second/);
  assert.equal(keeper.crl(), 'a list');
  assert.equal(changes, 1);
});

test('what cannot be used is refused, said once, and the last good CA stays; the next good one ends that', async () => {
  const world = new World();
  const now = new Date(start);
  const root = createRootCertificate({ organization: 'operator', now });
  const good = createIntermediate(root, { organization: 'operator', commonName: 'good', now });
  const stranger = createRootCertificate({ organization: 'stranger', now });
  await world.plugIn(good);
  const keeper = await world.replica();
  const refusals: [AuthorityMaterial, RegExp][] = [
    [{ ...good, key: stranger.key }, /ca-key\.pem: the key does not belong/],
    [{ ...good, key: '' }, /has no ca-key\.pem/],
    [{ ...good, certificate: 'no PEM' }, /ca-cert\.pem: no certificate found/],
    [{ ...good, root: stranger.root }, /not issued by a certificate of root-cert\.pem/],
    [
      createIntermediate(root, { organization: 'operator', commonName: 'late', now, ttl: -1000 }),
      /the certificate ended at/,
    ],
    [stranger, /lacks the root certificate in force, "O=operator".*put old and new roots/],
  ];
  for (const [material, reason] of refusals) {
    await world.plugIn(material);
    await keeper.look();
    assert.match(keeper.problem() ?? '', reason);
    assert.match(signed(keeper, world.time).issuer, /CN=good/);
    assert.equal(keeper.current().root, root.certificate);
  }
  assert.deepEqual(world.outcomes, Array(refusals.length).fill('refused'));
  assert.equal(world.lines.filter((line) => line.includes('last good')).length, refusals.length);
  assert.ok(!world.lines.some((line) => line.includes('PRIVATE')));
  await world.plugIn(createIntermediate(root, { organization: 'operator', commonName: 'better', now }));
  assert.equal(keeper.problem(), undefined);
  assert.match(signed(keeper, world.time).issuer, /CN=better/);
});

test('a new root of a plugged-in CA is trusted first and signs when proxies have it', async () => {
  const world = new World();
  const now = new Date(start);
  const old = createRootCertificate({ organization: 'old', now });
  const fresh = createRootCertificate({ organization: 'fresh', now });
  const both = old.root + fresh.root;
  await world.plugIn(old);
  const keeper = await world.replica();
  await world.plugIn({ ...fresh, root: both });
  assert.equal(keeper.current().root, both);
  assert.match(signed(keeper, world.time).issuer, /O=old/);
  await world.pass(HOUR / 10);
  assert.match(signed(keeper, world.time).issuer, /O=fresh/);
  assert.equal(keeper.current().root, both);
  await world.plugIn(fresh);
  assert.equal(keeper.current().root, fresh.root);
  assert.equal(keeper.problem(), undefined);
});

test('the mounted folder is the CA where there is no Secret or no right to read it', async () => {
  const now = new Date(start);
  const root = createRootCertificate({ organization: 'operator', now });
  const files = (commonName: string): MaterialFiles => {
    const { certificate, key } = createIntermediate(root, { organization: 'operator', commonName, now });
    return { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': root.certificate };
  };
  const world = new World();
  world.folder = files('first');
  const keeper = await world.replica();
  assert.match(signed(keeper, world.time).issuer, /CN=first/);
  await world.setFolder(files('second'));
  assert.match(signed(keeper, world.time).issuer, /CN=second/);
  assert.equal(world.cluster.writes.length, 0);

  const forbidden = new FakeCluster().client;
  const without = await world.replica({
    client: {
      ...forbidden,
      get: async () => {
        throw new KubeApiError(403, 'Forbidden', 'secrets "cacerts" is forbidden');
      },
    },
  });
  assert.match(signed(without, world.time).issuer, /CN=second/);
});

test('a secret that is deleted takes nothing away while istiod runs', async () => {
  const world = new World();
  const keeper = await world.replica();
  const { root } = keeper.current();
  world.cluster.remove(kubernetesTypes.Secret, 'istio-system', 'istio-ca-secret');
  await settle();
  assert.match(keeper.problem() ?? '', /istio-ca-secret is gone/);
  assert.equal(keeper.current().root, root);
});

test('lifetimes: the default, the greatest, and never beyond the CA’s own end', async () => {
  const world = new World();
  const keeper = await world.replica();
  assert.equal(signed(keeper, world.time).validToDate.getTime(), Math.floor((start + HOUR) / 1000) * 1000);
  assert.throws(
    () => keeper.current().sign({ csr, identity, ttl: 3 * HOUR, now: new Date(start) }),
    /longer than the greatest allowed, 7200 s/,
  );
  const { notAfter } = keeper.current();
  const late = notAfter.getTime() - 60_000;
  assert.equal(signed(keeper, late).validToDate.getTime(), notAfter.getTime());
});
