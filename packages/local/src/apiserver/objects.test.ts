import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { configMap, deployment, eventually, startTestServer, type TestServer } from './test-support.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const DEPLOYMENTS = '/apis/apps/v1/namespaces/default/deployments';
const APPLY = { 'content-type': 'application/apply-patch+yaml' };
const MERGE = { 'content-type': 'application/merge-patch+json' };

describe('objects', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  it('creates, reads, replaces and deletes', async () => {
    const created = await server.call('POST', CONFIG_MAPS, configMap('crud', { a: '1' }));
    assert.equal(created.status, 201);
    assert.match(created.body.metadata.uid, /^[0-9a-f-]{36}$/);
    const again = await server.call('POST', CONFIG_MAPS, configMap('crud'));
    assert.equal(again.body.message, 'configmaps "crud" already exists');
    const replaced = await server.call('PUT', `${CONFIG_MAPS}/crud`, { ...created.body, data: { a: '2' } });
    assert.equal(replaced.body.data.a, '2');
    const stale = await server.call('PUT', `${CONFIG_MAPS}/crud`, { ...created.body, data: { a: '3' } });
    assert.equal(stale.status, 409);
    assert.equal(
      stale.body.message,
      'Operation cannot be fulfilled on configmaps "crud": the object has been modified; please apply your changes to the latest version and try again',
    );
    assert.equal((await server.call('DELETE', `${CONFIG_MAPS}/crud`)).body.status, 'Success');
    assert.equal((await server.call('GET', `${CONFIG_MAPS}/crud`)).body.message, 'configmaps "crud" not found');
  });

  it('does not raise the resourceVersion when nothing changes', async () => {
    const created = await server.call('POST', CONFIG_MAPS, configMap('same', { a: '1' }));
    const patched = await server.call('PATCH', `${CONFIG_MAPS}/same`, { data: { a: '1' } }, MERGE);
    assert.equal(patched.body.metadata.resourceVersion, created.body.metadata.resourceVersion);
  });

  it('makes nothing in a dry run', async () => {
    assert.equal((await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('dry'))).status, 201);
    assert.equal((await server.call('GET', `${CONFIG_MAPS}/dry`)).status, 404);
  });

  it('refuses objects in a namespace that does not exist', async () => {
    const answer = await server.call('POST', '/api/v1/namespaces/nowhere/configmaps', configMap('x'));
    assert.equal(answer.body.message, 'namespaces "nowhere" not found');
  });

  it('warns of unknown fields, refuses them when asked to', async () => {
    const body = { ...configMap('unknown'), datta: {} };
    const warned = await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, body);
    assert.match(warned.warnings.join(), /unknown field \\"datta\\"/);
    const strict = await server.call('POST', `${CONFIG_MAPS}?dryRun=All&fieldValidation=Strict`, body);
    assert.equal(
      strict.body.message,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "datta"',
    );
  });

  it('counts the generation with the spec only', async () => {
    const created = await server.call('POST', DEPLOYMENTS, deployment('generation'));
    assert.equal(created.body.metadata.generation, 1);
    const labelled = await server.call(
      'PATCH',
      `${DEPLOYMENTS}/generation`,
      { metadata: { labels: { a: 'b' } } },
      MERGE,
    );
    assert.equal(labelled.body.metadata.generation, 1);
    const scaled = await server.call('PATCH', `${DEPLOYMENTS}/generation`, { spec: { replicas: 3 } }, MERGE);
    assert.equal(scaled.body.metadata.generation, 2);
    const status = await server.call(
      'PATCH',
      `${DEPLOYMENTS}/generation/status`,
      { status: { replicas: 3 }, spec: { replicas: 9 } },
      MERGE,
    );
    assert.deepEqual(
      [status.body.metadata.generation, status.body.spec.replicas, status.body.status.replicas],
      [2, 3, 3],
    );
  });

  it('merges lists by their keys in a strategic merge patch', async () => {
    await server.call('POST', DEPLOYMENTS, deployment('strategic'));
    const patch = {
      spec: {
        template: {
          spec: {
            containers: [
              { name: 'side', image: 'side:1' },
              { name: 'app', ports: [{ containerPort: 80, $patch: 'delete' }] },
            ],
          },
        },
      },
    };
    const { body } = await server.call('PATCH', `${DEPLOYMENTS}/strategic`, patch, {
      'content-type': 'application/strategic-merge-patch+json',
    });
    const containers = body.spec.template.spec.containers;
    assert.deepEqual(
      containers.map((item: { name: string }) => item.name),
      ['app', 'side'],
    );
    assert.equal(containers[0].image, 'app:1');
    assert.deepEqual(containers[0].ports ?? [], []);
  });

  it('selects by labels and fields, and pages', async () => {
    for (const [name, tier] of [
      ['p1', 'a'],
      ['p2', 'b'],
      ['p3', 'c'],
    ] as const) {
      await server.call('POST', CONFIG_MAPS, {
        ...configMap(name),
        metadata: { name, labels: { set: 'paging', tier } },
      });
    }
    const names = async (query: string) =>
      (await server.call('GET', `${CONFIG_MAPS}?${query}`)).body.items.map(
        (item: { metadata: { name: string } }) => item.metadata.name,
      );
    assert.deepEqual(await names('labelSelector=set=paging,tier+in+(a,b)'), ['p1', 'p2']);
    assert.deepEqual(await names('labelSelector=set,tier!=b'), ['p1', 'p3']);
    assert.deepEqual(await names('fieldSelector=metadata.name=p2'), ['p2']);
    const first = await server.call('GET', `${CONFIG_MAPS}?labelSelector=set=paging&limit=2`);
    assert.equal(first.body.items.length, 2);
    const rest = await server.call(
      'GET',
      `${CONFIG_MAPS}?labelSelector=set=paging&limit=2&continue=${first.body.metadata.continue}`,
    );
    assert.deepEqual(
      rest.body.items.map((item: { metadata: { name: string } }) => item.metadata.name),
      ['p3'],
    );
    assert.equal(
      (await server.call('GET', `${CONFIG_MAPS}?fieldSelector=data.a=b`)).body.message,
      'field label not supported: data.a',
    );
  });

  it('gives Services their addresses', async () => {
    const services = '/api/v1/namespaces/default/services';
    const service = (name: string, spec: object) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { ports: [{ port: 80 }], ...spec },
    });
    const plain = await server.call('POST', services, service('plain', {}));
    assert.match(plain.body.spec.clusterIP, /^10\.96\./);
    assert.equal(plain.body.spec.ports[0].targetPort, 80);
    assert.equal(
      (await server.call('POST', services, service('none', { clusterIP: 'None' }))).body.spec.clusterIP,
      'None',
    );
    const asked = await server.call(
      'POST',
      services,
      service('asked', { clusterIP: '10.96.7.7', type: 'NodePort', ports: [{ port: 80, nodePort: 31234 }] }),
    );
    assert.equal(asked.body.spec.ports[0].nodePort, 31234);
    const taken = await server.call('POST', services, service('taken', { clusterIP: '10.96.7.7' }));
    assert.match(taken.body.message, /failed to allocate IP 10\.96\.7\.7: provided IP is already allocated/);
    const moved = await server.call(
      'PATCH',
      `${services}/asked`,
      { spec: { clusterIP: '10.96.7.8', clusterIPs: ['10.96.7.8'] } },
      MERGE,
    );
    assert.match(moved.body.message, /may not change once set/);
  });

  it('tells all mistakes with their fields', async () => {
    const bad = deployment('Bad');
    const answer = await server.call('POST', DEPLOYMENTS, {
      ...bad,
      spec: { ...(bad.spec as object), selector: { matchLabels: { app: 'other' } }, replicas: -1 },
    });
    assert.equal(answer.status, 422);
    assert.deepEqual(
      answer.body.details.causes.map((cause: { field: string }) => cause.field),
      ['metadata.name', 'spec.template.metadata.labels', 'spec.replicas'],
    );
  });

  it('keeps ownership apart in server-side apply', async () => {
    const path = `${CONFIG_MAPS}/applied`;
    const apply = (manager: string, data: object, force = false) =>
      server.call('PATCH', `${path}?fieldManager=${manager}&force=${force}`, { ...configMap('applied'), data }, APPLY);
    assert.equal((await apply('one', { a: '1', b: '1' })).status, 201);
    assert.equal((await apply('two', { c: '1', a: '1' })).status, 200);
    const conflict = await apply('two', { c: '1', a: '2' });
    assert.equal(conflict.status, 409);
    assert.equal(conflict.body.message, 'Apply failed with 1 conflict: conflict with "one": .data.a');
    assert.deepEqual(conflict.body.details.causes[0], {
      reason: 'FieldManagerConflict',
      message: 'conflict with "one"',
      field: '.data.a',
    });
    assert.equal((await apply('two', { c: '1', a: '2' }, true)).body.data.a, '2');
    // Whoever stops naming a field gives it up; nobody else owned b, so it goes. c belongs to the other one.
    const left = await apply('one', {});
    assert.deepEqual(left.body.data, { a: '2', c: '1' });
    const managers = left.body.metadata.managedFields.map(
      (entry: { manager: string; operation: string }) => `${entry.manager} ${entry.operation}`,
    );
    assert.deepEqual(managers.sort(), ['one Apply', 'two Apply']);
  });

  it('applies to lists by their keys', async () => {
    const path = `${DEPLOYMENTS}/listed`;
    await server.call('PATCH', `${path}?fieldManager=one`, deployment('listed'), APPLY);
    const side = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'listed' },
      spec: { template: { spec: { containers: [{ name: 'side', image: 'side:1' }] } } },
    };
    const both = await server.call('PATCH', `${path}?fieldManager=two`, side, APPLY);
    assert.deepEqual(
      both.body.spec.template.spec.containers.map((item: { name: string }) => item.name),
      ['app', 'side'],
    );
    const gone = await server.call('PATCH', `${path}?fieldManager=two`, { ...side, spec: {} }, APPLY);
    assert.deepEqual(
      gone.body.spec.template.spec.containers.map((item: { name: string }) => item.name),
      ['app'],
    );
  });

  it('deletes what an owner owned', async () => {
    const owner = await server.call('POST', CONFIG_MAPS, configMap('owner'));
    const reference = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      name: 'owner',
      uid: owner.body.metadata.uid,
      blockOwnerDeletion: true,
    };
    await server.call('POST', CONFIG_MAPS, {
      ...configMap('owned'),
      metadata: { name: 'owned', ownerReferences: [reference] },
    });
    await server.call('DELETE', `${CONFIG_MAPS}/owner`);
    await eventually(
      () => server.call('GET', `${CONFIG_MAPS}/owned`),
      (answer) => answer.status === 404,
    );
  });

  it('deletes in the foreground, and leaves dependents when told to', async () => {
    for (const [policy, remains] of [
      ['Foreground', 404],
      ['Orphan', 200],
    ] as const) {
      const owner = await server.call('POST', CONFIG_MAPS, configMap(`owner-${policy.toLowerCase()}`));
      const name = `child-${policy.toLowerCase()}`;
      const reference = {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        name: owner.body.metadata.name,
        uid: owner.body.metadata.uid,
        blockOwnerDeletion: true,
      };
      await server.call('POST', CONFIG_MAPS, { ...configMap(name), metadata: { name, ownerReferences: [reference] } });
      await server.call('DELETE', `${CONFIG_MAPS}/${owner.body.metadata.name}?propagationPolicy=${policy}`);
      await eventually(
        () => server.call('GET', `${CONFIG_MAPS}/${owner.body.metadata.name}`),
        (answer) => answer.status === 404,
      );
      assert.equal((await server.call('GET', `${CONFIG_MAPS}/${name}`)).status, remains);
    }
  });

  it('holds an object until its finalizers are gone', async () => {
    await server.call('POST', CONFIG_MAPS, {
      ...configMap('held'),
      metadata: { name: 'held', finalizers: ['example.com/hold'] },
    });
    const deleting = await server.call('DELETE', `${CONFIG_MAPS}/held`);
    assert.ok(deleting.body.metadata.deletionTimestamp);
    await server.call('PATCH', `${CONFIG_MAPS}/held`, { metadata: { finalizers: null } }, MERGE);
    assert.equal((await server.call('GET', `${CONFIG_MAPS}/held`)).status, 404);
  });

  it('empties a namespace before it goes, and lets nothing in meanwhile', async () => {
    await server.call('POST', '/api/v1/namespaces', { metadata: { name: 'ending' } });
    await server.call('POST', '/api/v1/namespaces/ending/configmaps', {
      ...configMap('last'),
      metadata: { name: 'last', finalizers: ['example.com/hold'] },
    });
    await server.call('DELETE', '/api/v1/namespaces/ending');
    const refused = await server.call('POST', '/api/v1/namespaces/ending/configmaps', configMap('late'));
    assert.match(
      refused.body.message,
      /unable to create new content in namespace ending because it is being terminated/,
    );
    await eventually(
      () => server.call('GET', '/api/v1/namespaces/ending/configmaps/last'),
      (answer) => answer.body.metadata.deletionTimestamp !== undefined,
    );
    await server.call('PATCH', '/api/v1/namespaces/ending/configmaps/last', { metadata: { finalizers: null } }, MERGE);
    await eventually(
      () => server.call('GET', '/api/v1/namespaces/ending'),
      (answer) => answer.status === 404,
    );
  });

  it('lets a scheduled pod end gracefully', async () => {
    const pods = '/api/v1/namespaces/default/pods';
    await server.call('POST', pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'graceful' },
      spec: { nodeName: 'n1', containers: [{ name: 'a', image: 'a' }] },
    });
    const first = await server.call('DELETE', `${pods}/graceful`);
    assert.equal(first.body.metadata.deletionGracePeriodSeconds, 30);
    assert.equal((await server.call('GET', `${pods}/graceful`)).status, 200);
    await server.call('DELETE', `${pods}/graceful`, { gracePeriodSeconds: 0 });
    assert.equal((await server.call('GET', `${pods}/graceful`)).status, 404);
  });

  it('gives pods a service account with a token', async () => {
    const pod = await server.call('POST', '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { generateName: 'sa-' },
      spec: { containers: [{ name: 'a', image: 'a' }] },
    });
    assert.match(pod.body.metadata.name, /^sa-[a-z0-9]{5}$/);
    assert.equal(pod.body.spec.serviceAccountName, 'default');
    assert.match(pod.body.spec.containers[0].volumeMounts[0].name, /^kube-api-access-/);
    const missing = await server.call('POST', '/api/v1/namespaces/default/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'x' },
      spec: { serviceAccountName: 'nobody', containers: [{ name: 'a', image: 'a' }] },
    });
    assert.equal(
      missing.body.message,
      'pods "x" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found',
    );
  });

  it('survives nonsense', async () => {
    const nested = `${'{"a":'.repeat(300)}1${'}'.repeat(300)}`;
    for (const body of [
      '',
      '{',
      '[]',
      '"x"',
      'null',
      '{"metadata":[]}',
      '{"metadata":{"name":7}}',
      '{"__proto__":{}}',
      `{"metadata":{"name":"a"},"data":${nested}}`,
    ]) {
      const answer = await server.call('POST', CONFIG_MAPS, body);
      assert.ok(answer.status >= 400 && answer.status < 500, `${body.slice(0, 40)} gave ${answer.status}`);
    }
    assert.equal((await server.call('POST', CONFIG_MAPS, `"${'x'.repeat(4 * 1024 * 1024)}"`)).status, 413);
    assert.equal((await server.call('GET', '/healthz')).body, 'ok');
  });

  it('comes back as it was', async () => {
    const before = await server.call('POST', CONFIG_MAPS, configMap('durable', { a: '1' }));
    const version = (await server.call('GET', CONFIG_MAPS)).body.metadata.resourceVersion;
    await server.restart();
    assert.deepEqual((await server.call('GET', `${CONFIG_MAPS}/durable`)).body, before.body);
    assert.ok(Number((await server.call('GET', CONFIG_MAPS)).body.metadata.resourceVersion) >= Number(version));
  });
});
