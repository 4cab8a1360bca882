import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { type ClosableKubeClient, createKubeClient, type KubeObject, loadKubeConfig } from '@istio-ts/kube';
import { startTestServer, type TestServer } from '@istio-ts/local/apiserver/test-support';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { type Controller, startController } from './controller.ts';
import { operatorObjects, runOperatorRemove } from './in-cluster.ts';
import { finalizer, istioOperatorType, type OperatorStatus } from './resource.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

// Only what needs no pods: an API server has no node.
const baseOnly = { profile: 'empty', components: { base: { enabled: true } } };
const operator = (name: string, spec: object): KubeObject => ({
  apiVersion: 'install.istio.io/v1alpha1',
  kind: 'IstioOperator',
  metadata: { name, namespace: 'istio-system' },
  spec,
});

describe('the operator on an API server', () => {
  let server: TestServer;
  let client: ClosableKubeClient;
  let controller: Controller;
  const drifts: string[] = [];
  const status = async (name: string) =>
    ((await client.get(istioOperatorType, name, 'istio-system')).status ?? {}) as Partial<OperatorStatus>;
  const becomes = (name: string, wanted: string, also: (status: Partial<OperatorStatus>) => boolean = () => true) =>
    eventually(`${name} to become ${wanted}`, async () => {
      const found = await status(name);
      return found.status === wanted && also(found) ? found : undefined;
    });
  const missing = async (work: Promise<unknown>) =>
    work.then(
      () => undefined,
      (error: { status?: number }) => (error.status === 404 ? true : undefined),
    );

  before(async () => {
    server = await startTestServer();
    client = createKubeClient(loadKubeConfig({ kubeconfig: join(server.directory, 'kubeconfig'), env: {} }));
    for (const name of ['istio-operator', 'istio-system'])
      await client.create(kubernetesTypes.Namespace, { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
    const objects = operatorObjects({
      chartsDir,
      operatorNamespace: 'istio-operator',
      watchedNamespaces: ['istio-system'],
      imagePullSecrets: [],
    });
    for (const object of objects) await client.create(await client.resolve(object.apiVersion, object.kind), object);
    await eventually('the definition', async () => (await client.list(istioOperatorType)) && true);
    const synced = Promise.withResolvers<void>();
    controller = startController(
      {
        client,
        chartsDir,
        log: silent,
        now: () => new Date(),
        operatorName: 'istio-operator',
        readinessTimeoutMs: 20_000,
        namespaces: ['istio-system'],
        revision: '',
        resyncMs: 3_600_000,
        driftDelayMs: 50,
        retryMs: { first: 200, longest: 400 },
        setTimer: (run, ms) => {
          const timer = setTimeout(run, ms);
          return { cancel: () => clearTimeout(timer) };
        },
        onOutcome: () => {},
        onDrift: (name) => drifts.push(name),
      },
      synced.resolve,
    );
    await synced.promise;
  });
  after(async () => {
    await controller?.close();
    client?.close();
    await server?.close();
  });

  test('an IstioOperator is installed; its status says so, part by part', async () => {
    await client.create(istioOperatorType, operator('mesh', baseOnly));
    const { componentStatus, observedGeneration } = await becomes('mesh', 'HEALTHY');
    assert.deepEqual(Object.keys(componentStatus ?? {}), ['Base']);
    assert.equal(componentStatus?.Base?.status, 'HEALTHY');
    assert.equal(observedGeneration, 1);
    const object = await client.get(istioOperatorType, 'mesh', 'istio-system');
    assert.ok(object.metadata.finalizers?.includes(finalizer));
    const account = await client.get(kubernetesTypes.ServiceAccount, 'istio-reader-service-account', 'istio-system');
    assert.equal(account.metadata.labels?.['operator.istio.io/component'], 'Base');
  });

  test('what somebody deletes or changes comes back', async () => {
    const type = kubernetesTypes.ServiceAccount;
    const name = 'istio-reader-service-account';
    await client.delete(type, name, 'istio-system');
    await eventually('the account to come back', () => client.get(type, name, 'istio-system'));
    await eventually('its label to come back', async () => {
      await client.patch(type, name, 'istio-system', 'merge', { metadata: { labels: { release: 'mine' } } });
      return true;
    });
    await eventually('the release label to be as it was', async () => {
      const { metadata } = await client.get(type, name, 'istio-system');
      return metadata.labels?.release === 'mine' ? undefined : true;
    });
    assert.ok(drifts.some((each) => each.includes(name)));
  });

  test('a mistake is in the status and in an event, and its correction heals', async () => {
    const set = (mesh: object) =>
      client.patch(istioOperatorType, 'mesh', 'istio-system', 'merge', { spec: { meshConfig: mesh } });
    await set({ accessLogEncoding: 'JSN' });
    const { message } = await becomes('mesh', 'ERROR');
    assert.match(message ?? '', /^meshConfig\.accessLogEncoding: must be one of TEXT, JSON, not "JSN"/);
    await eventually('the event', async () => {
      const { items } = await client.list(kubernetesTypes.Event, { namespace: 'istio-system' });
      return items.find(({ reason }) => reason === 'ReconcileFailed');
    });
    await set({ accessLogEncoding: 'JSON' });
    const healed = await becomes('mesh', 'HEALTHY');
    assert.equal(healed.message, undefined);
  });

  test('settings that no spec can have are refused without harm', async () => {
    await client.create(istioOperatorType, operator('odd', { profile: { a: 1 }, revision: 'odd' }));
    assert.match((await becomes('odd', 'ERROR')).message ?? '', /profile: must be text/);
    await client.delete(istioOperatorType, 'odd', 'istio-system');
  });

  test('of two of one revision the older one counts, and the younger one follows when it goes', async () => {
    await client.create(istioOperatorType, operator('rival', baseOnly));
    assert.match(
      (await becomes('rival', 'ERROR')).message ?? '',
      /istio-system\/mesh is about the revision default already/,
    );
    assert.equal((await status('mesh')).status, 'HEALTHY');
    await client.delete(istioOperatorType, 'mesh', 'istio-system');
    await eventually('the older one to go', () => missing(client.get(istioOperatorType, 'mesh', 'istio-system')));
    await becomes('rival', 'HEALTHY');
    await client.get(kubernetesTypes.ServiceAccount, 'istio-reader-service-account', 'istio-system');
  });

  test('with the last IstioOperator the installation goes; definitions stay', async () => {
    await client.delete(istioOperatorType, 'rival', 'istio-system');
    await eventually('it to go', () => missing(client.get(istioOperatorType, 'rival', 'istio-system')));
    await eventually('its account to go', () =>
      missing(client.get(kubernetesTypes.ServiceAccount, 'istio-reader-service-account', 'istio-system')),
    );
    await client.get(kubernetesTypes.CustomResourceDefinition, 'gateways.networking.istio.io');
  });

  test('operator remove takes the operator away, and finalizers that nobody would answer', async () => {
    await client.create(istioOperatorType, operator('left', baseOnly));
    await becomes('left', 'HEALTHY');
    const said: string[] = [];
    const step = () => ({ note: () => {}, done: () => {}, fail: () => {} });
    const ui = {
      line: (text: string) => said.push(text),
      warn: (text: string) => said.push(text),
      step,
      confirm: async () => true,
    };
    await controller.close();
    const options = {
      ui,
      client: () => client,
      operatorNamespace: 'istio-operator',
      purge: false,
      force: false,
      dryRun: false,
    };
    assert.equal(await runOperatorRemove(options), 0);
    assert.match(said.join('\n'), /istio-system\/left: what they installed stays/);
    const { metadata } = await client.get(istioOperatorType, 'left', 'istio-system');
    assert.ok(!metadata.finalizers?.includes(finalizer));
    await assert.rejects(runOperatorRemove(options), /there is no operator istio-operator in istio-operator/);
  });
});

test('names that would end up in the objects of the operator are checked', () => {
  const options = { chartsDir, operatorNamespace: 'istio-operator', watchedNamespaces: [], imagePullSecrets: [] };
  assert.throws(() => operatorObjects({ ...options, tag: '1\n---\nkind: Pod' }), /--tag: .* is no image tag/);
  assert.throws(() => operatorObjects({ ...options, hub: 'https://a' }), /--hub: .* without https/);
  assert.throws(() => operatorObjects({ ...options, watchedNamespaces: ['a b'] }), /--watchedNamespaces/);
  const deployment = operatorObjects({ ...options, hub: 'example.com:5000/istio', tag: '1', revision: 'canary' }).find(
    ({ kind }) => kind === 'Deployment',
  );
  assert.equal(deployment?.metadata.name, 'istio-operator-canary');
  assert.match(JSON.stringify(deployment), /"image":"example\.com:5000\/istio\/operator:1"/);
});
