import assert from 'node:assert/strict';
import { MetricsRegistry } from '@istio-ts/metrics';
import { describe, it } from 'node:test';
import { istioTypes, kubernetesTypes } from '@istio-ts/api/resource-types';
import { KubeApiError, type KubeObject } from '@istio-ts/kube';
import { FakeCluster, settle } from '../fake-cluster.test-support.ts';
import { recordingLogger } from '../log.test-support.ts';
import { createConfigStatusWriter, wantedConditions } from './config-status.ts';
import { keepRootCertificates, rootCertificateConfigMap } from './root-certificates.ts';
import { createWebhookMetrics } from '../metrics/kubernetes.ts';
import { keepWebhookCertificates } from './webhook-certificates.ts';

const namespace = (name: string, deleting = false): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, ...(deleting && { deletionTimestamp: '2026-01-01T00:00:00Z' }) },
});
const rootIn = (cluster: FakeCluster, name: string) =>
  (
    cluster.get(kubernetesTypes.ConfigMap, name, rootCertificateConfigMap)?.data as Record<string, string> | undefined
  )?.['root-cert.pem'];

describe('root certificates', () => {
  it('are in every namespace, old and new, but not in one that is going away', async () => {
    const cluster = new FakeCluster();
    cluster.put(kubernetesTypes.Namespace, namespace('shop'));
    cluster.put(kubernetesTypes.Namespace, namespace('gone', true));
    const keeper = keepRootCertificates(cluster.client, () => 'ROOT', recordingLogger());
    cluster.put(kubernetesTypes.Namespace, namespace('later'));
    await settle();
    assert.equal(rootIn(cluster, 'shop'), 'ROOT');
    assert.equal(rootIn(cluster, 'later'), 'ROOT');
    assert.equal(rootIn(cluster, 'gone'), undefined);
    keeper.close();
  });

  it('are put back when somebody changes or deletes them, and follow a new root', async () => {
    const cluster = new FakeCluster();
    let root = 'ROOT';
    cluster.put(kubernetesTypes.Namespace, namespace('shop'));
    const keeper = keepRootCertificates(cluster.client, () => root, recordingLogger());
    await settle();
    cluster.put(kubernetesTypes.ConfigMap, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: rootCertificateConfigMap, namespace: 'shop' },
      data: { 'root-cert.pem': 'FORGED' },
    });
    await settle();
    assert.equal(rootIn(cluster, 'shop'), 'ROOT');
    cluster.remove(kubernetesTypes.ConfigMap, 'shop', rootCertificateConfigMap);
    await settle();
    assert.equal(rootIn(cluster, 'shop'), 'ROOT');
    root = 'NEXT';
    keeper.refresh();
    await settle();
    assert.equal(rootIn(cluster, 'shop'), 'NEXT');
    keeper.close();
  });

  it('a change that comes while one is being written is not forgotten', async () => {
    const cluster = new FakeCluster();
    cluster.put(kubernetesTypes.Namespace, namespace('shop'));
    const forge = (): void => {
      cluster.refuse = () => undefined;
      cluster.put(kubernetesTypes.ConfigMap, {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: rootCertificateConfigMap, namespace: 'shop' },
        data: { 'root-cert.pem': 'FORGED' },
      });
    };
    let writes = 0;
    cluster.refuse = () => {
      // Right after ours was stored somebody overwrites it, before our request is answered.
      if (++writes === 1) queueMicrotask(forge);
    };
    const keeper = keepRootCertificates(cluster.client, () => 'ROOT', recordingLogger());
    await settle();
    assert.equal(rootIn(cluster, 'shop'), 'ROOT');
    keeper.close();
  });

  it('two replicas do not write against each other', async () => {
    const cluster = new FakeCluster();
    cluster.put(kubernetesTypes.Namespace, namespace('shop'));
    const keepers = [1, 2].map(() => keepRootCertificates(cluster.client, () => 'ROOT', recordingLogger()));
    await settle();
    const { length } = cluster.writes;
    await settle();
    assert.equal(cluster.writes.length, length);
    for (const keeper of keepers) keeper.close();
  });
});

describe('webhook certificates', () => {
  const webhook = (name: string, labels: Readonly<Record<string, string>>): KubeObject => ({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    metadata: { name, labels },
    webhooks: [
      { name: 'a.istio.io', clientConfig: {}, failurePolicy: 'Ignore' },
      { name: 'b.istio.io', clientConfig: { caBundle: 'b2xk' }, failurePolicy: 'Ignore' },
    ],
  });
  const bundles = (object: KubeObject | undefined) =>
    ((object?.webhooks ?? []) as { clientConfig: { caBundle?: string }; failurePolicy: string }[]).map(
      ({ clientConfig, failurePolicy }) => `${Buffer.from(clientConfig.caBundle ?? '', 'base64')} ${failurePolicy}`,
    );

  it('go into the webhooks of this revision only; validation fails closed from then on', async () => {
    const cluster = new FakeCluster();
    const mutating = kubernetesTypes.MutatingWebhookConfiguration;
    const validating = kubernetesTypes.ValidatingWebhookConfiguration;
    cluster.put(mutating, webhook('own', { app: 'sidecar-injector', 'istio.io/rev': 'default' }));
    cluster.put(mutating, webhook('other-revision', { app: 'sidecar-injector', 'istio.io/rev': 'canary' }));
    cluster.put(mutating, webhook('strangers', { app: 'policy' }));
    cluster.put(validating, { ...webhook('istio-validator-istio-system', {}), kind: 'ValidatingWebhookConfiguration' });
    const metrics = new MetricsRegistry();
    const keeper = keepWebhookCertificates(
      cluster.client,
      { revision: 'default', validationName: 'istio-validator-istio-system', root: () => 'ROOT' },
      recordingLogger(),
      createWebhookMetrics(metrics),
    );
    await settle();
    assert.deepEqual(bundles(cluster.get(mutating, undefined, 'own')), ['ROOT Ignore', 'ROOT Ignore']);
    assert.deepEqual(bundles(cluster.get(mutating, undefined, 'other-revision')), [' Ignore', 'old Ignore']);
    assert.deepEqual(bundles(cluster.get(mutating, undefined, 'strangers')), [' Ignore', 'old Ignore']);
    assert.deepEqual(bundles(cluster.get(validating, undefined, 'istio-validator-istio-system')), [
      'ROOT Fail',
      'ROOT Fail',
    ]);
    assert.match(metrics.text(), /^webhook_patch_attempts_total\{name="own"\} 1$/m);
    assert.match(metrics.text(), /^galley_validation_config_updates 1$/m);
    assert.doesNotMatch(metrics.text(), /^webhook_patch_failures_total\{/m);
    // Who configured that validation stays open while istiod is away gets that.
    const open = { ...webhook('istio-validator-istio-system', {}), kind: 'ValidatingWebhookConfiguration' };
    const annotations = { 'istio-ts/validation-failure-policy': 'Ignore' };
    cluster.put(validating, { ...open, metadata: { ...open.metadata, annotations } });
    await settle();
    assert.deepEqual(bundles(cluster.get(validating, undefined, 'istio-validator-istio-system')), [
      'ROOT Ignore',
      'ROOT Ignore',
    ]);
    const { length } = cluster.writes;
    keeper.refresh();
    await settle();
    assert.equal(cluster.writes.length, length, 'nothing is written where nothing is to be done');
    keeper.close();
  });
});

describe('status of configuration', () => {
  const object = (conditions?: unknown): KubeObject => ({
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a', namespace: 'shop' },
    ...(conditions !== undefined && { status: { conditions } }),
  });
  const bad = [{ severity: 'error', path: 'spec.hosts', message: 'is missing' }] as const;
  const now = new Date('2026-01-01T00:00:00.500Z');

  it('an object that was never refused gets none', () => assert.equal(wantedConditions(object(), [], now), undefined));

  it('a refused one gets the reason, once, beside the conditions of others', () => {
    const conditions = wantedConditions(object([{ type: 'Reconciled', status: 'True' }]), bad, now);
    assert.equal(conditions?.length, 2);
    assert.deepEqual(
      conditions?.map(({ type, status }) => `${type} ${status}`),
      ['Reconciled True', 'Accepted False'],
    );
    assert.match(conditions?.[1]?.message ?? '', /spec\.hosts: is missing/);
    assert.equal(conditions?.[1]?.lastTransitionTime, '2026-01-01T00:00:00Z');
    assert.equal(wantedConditions(object(conditions), bad, now), undefined);
    assert.equal(wantedConditions(object(conditions), [], now)?.[1]?.status, 'True');
  });

  it('one of which only a part has no effect is told apart from one that is ignored', () => {
    const reasonOf = (...problems: Parameters<typeof wantedConditions>[1]) =>
      wantedConditions(object(), problems, now)?.[0]?.reason;
    const part = { ...bad[0], path: 'spec.jwtRules[0].jwksUri', onlyPart: true };
    assert.equal(reasonOf(part), 'PartlyInvalid');
    assert.equal(reasonOf(part, bad[0]), 'Invalid');
  });

  it('a status of a strange form and a message of any length are no trouble', () => {
    assert.equal(wantedConditions(object('none'), bad, now)?.length, 1);
    const long = [{ severity: 'error', path: 'spec', message: 'x'.repeat(100_000) }] as const;
    assert.ok((wantedConditions(object(), long, now)?.[0]?.message?.length ?? 0) <= 32_768);
  });

  it('an object that has gone meanwhile is no warning, a missing permission is one', async () => {
    const cluster = new FakeCluster();
    const log = recordingLogger();
    const retries: { readonly ms: number; readonly work: () => void }[] = [];
    const { write, close } = createConfigStatusWriter(
      cluster.client,
      () => now,
      log,
      (work, ms) => {
        retries.push({ ms, work });
        return () => undefined;
      },
    );
    write(istioTypes.VirtualService, object().metadata as { namespace: string; name: string }, () => bad);
    await settle();
    assert.deepEqual(log.lines, []);
    cluster.put(istioTypes.VirtualService, object());
    cluster.refuse = () => {
      throw new KubeApiError(403, 'Forbidden', 'cannot patch virtualservices/status');
    };
    write(istioTypes.VirtualService, object().metadata as { namespace: string; name: string }, () => bad);
    await settle();
    assert.match(
      log.lines[0] ?? '',
      /warn cannot write the status of VirtualService shop\/a, trying again: .*cannot patch/,
    );
    // It is tried again, and people hear of it once.
    const waits = [1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000];
    for (const [index, ms] of waits.entries()) {
      const retry = retries.shift();
      assert.equal(retry?.ms, ms);
      if (index === waits.length - 1) cluster.refuse = () => undefined;
      retry?.work();
      await settle();
    }
    assert.equal(log.lines.filter((line: string) => line.startsWith('warn')).length, 1);
    assert.equal(retries.length, 0);
    const { status } = cluster.get(istioTypes.VirtualService, 'shop', 'a') as { status?: unknown };
    assert.match(JSON.stringify(status), /"Accepted"/);
    close();
  });
});

it('two control planes with different CAs do not write against each other without end', async () => {
  const cluster = new FakeCluster();
  cluster.put(kubernetesTypes.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  const lines: string[] = [];
  const log = { debug() {}, info() {}, warn: (line: string) => void lines.push(line), error() {} };
  const keepers = ['one', 'two'].map((root) => keepRootCertificates(cluster.client, () => root, log));
  for (let round = 0; round < 20; round++) await settle();
  assert.ok(cluster.writes.length <= 20, `${cluster.writes.length} writes`);
  assert.ok(lines.some((line) => /somebody else keeps changing ConfigMap shop\/istio-ca-root-cert/.test(line)));
  for (const keeper of keepers) keeper.close();
});
