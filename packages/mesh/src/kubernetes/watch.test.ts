import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import type { WatchEvent } from '@istio-ts/kube/client';
import type { ResourceType } from '@istio-ts/kube/object';
import { playedClient } from '@istio-ts/kube/testing/played-client';
import { createMesh, MeshSources, meshResources, watchMesh } from '../index.ts';

/** The part of a client that watches; the test plays the API server. */
function server() {
  const watches = new Map<
    string,
    { readonly send: (event: WatchEvent) => void; readonly fail: (error: Error) => void }
  >();
  const closed: string[] = [];
  const client = playedClient({
    watch: (
      type: ResourceType,
      _options: unknown,
      onEvent: (event: WatchEvent) => void,
      onError?: (error: Error) => void,
    ) => {
      watches.set(type.kind, { send: onEvent, fail: (error) => onError?.(error) });
      return { close: () => closed.push(type.kind) };
    },
  });
  return { client, closed, of: (kind: string) => watches.get(kind)!, all: () => [...watches.values()] };
}

const service = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'default' },
  spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] },
});

describe('watching a cluster', () => {
  it('applies nothing before everything was listed, then changes as they come', async () => {
    const { client, closed, of, all } = server();
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const mesh = createMesh(sources);
    const errors: string[] = [];
    let notifications = 0;
    mesh.services.subscribe(() => notifications++);
    const watch = watchMesh(client, sources, {
      onError: (resource, error) => errors.push(`${resource.kind}: ${error.message}`),
      admits: (object) => object.metadata.name !== 'ignored',
    });
    assert.equal(all().length, meshResources.length);
    for (const name of ['a', 'b', 'ignored']) of('Service').send({ type: 'ADDED', object: service(name) });
    of('Service').send({ type: 'SYNCED' });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(mesh.services.size, 0);
    for (const one of all()) one.send({ type: 'SYNCED' });
    await watch.synced;
    assert.deepEqual([...mesh.services.keys()].sort(), [
      'default/a.default.svc.cluster.local',
      'default/b.default.svc.cluster.local',
    ]);
    assert.equal(notifications, 1);
    of('Service').send({ type: 'DELETED', object: service('a') });
    of('Service').send({ type: 'ADDED', object: service('c') });
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(notifications, 2);
    assert.deepEqual([...mesh.services.values()].map((one) => one.name).sort(), ['b', 'c']);
    of('Pod').fail(new Error('connection lost'));
    assert.deepEqual(errors, ['Pod: connection lost']);
    watch.close();
    assert.equal(closed.length, meshResources.length);
  });

  it('a kind may be listed in parts, and is complete when all parts are', async () => {
    const asked: string[] = [];
    const parts: ((event: WatchEvent) => void)[] = [];
    const client = playedClient({
      watch: (type: ResourceType, options: { namespace?: string }, onEvent: (event: WatchEvent) => void) => {
        asked.push(`${type.kind} ${options.namespace ?? '*'}`);
        parts.push(onEvent);
        return { close: () => undefined };
      },
    });
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    let complete = false;
    const watch = watchMesh(client, sources, {
      resources: meshResources.filter(({ kind }) => kind === 'Secret' || kind === 'Service'),
      lists: ({ kind }) => (kind === 'Secret' ? [{ namespace: 'a' }, { namespace: 'b' }] : [{}]),
    });
    void watch.synced.then(() => {
      complete = true;
    });
    assert.deepEqual([...asked].sort(), ['Secret a', 'Secret b', 'Service *']);
    for (const [index, send] of parts.entries()) {
      assert.equal(complete, false, String(index));
      send({ type: 'SYNCED' });
      await new Promise((resolve) => setImmediate(resolve));
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(complete, true);
    watch.close();
  });

  it('an object that cannot be read at all keeps no other away', async () => {
    const { client, of, all } = server();
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const mesh = createMesh(sources);
    const failures: unknown[] = [];
    const watch = watchMesh(client, sources, {
      admits: (object) => {
        if (object.metadata.name === 'strange') throw new Error('strange object');
        return true;
      },
      onFailure: (error) => failures.push(error),
    });
    for (const name of ['a', 'strange', 'b']) of('Service').send({ type: 'ADDED', object: service(name) });
    for (const one of all()) one.send({ type: 'SYNCED' });
    await watch.synced;
    assert.equal(mesh.services.size, 2);
    assert.equal(failures.length, 1);
    watch.close();
  });
});
