import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { createMesh } from './mesh.ts';
import { MeshSources } from './sources.ts';

const namespace = (name: string, labels: Readonly<Record<string, string>>) => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});
const service = (name: string, inNamespace: string) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: inNamespace, creationTimestamp: '2026-01-01T00:00:00Z' },
  spec: { clusterIP: '10.0.0.1', clusterIPs: ['10.0.0.1'], ports: [{ name: 'http', port: 80 }] },
});
const withSelectors = (...discoverySelectors: readonly object[]) => decodeMeshConfig({ discoverySelectors }).value;

describe('discovery selectors', () => {
  it('leave out namespaces that none of them takes, follow labels, and bring everything back when they go', () => {
    const sources = new MeshSources({ meshConfig: withSelectors({ matchLabels: { mesh: 'a' } }) });
    const mesh = createMesh(sources);
    const names = () => [...mesh.services.values()].map(({ name }) => name).sort();
    sources.batch(() => {
      // In whatever order they are listed.
      for (const each of ['in', 'out', 'other', 'nowhere']) sources.set(service(each, each));
      sources.set(namespace('in', { mesh: 'a' }));
      sources.set(namespace('out', { mesh: 'b' }));
      sources.set(namespace('other', { team: 'x' }));
    });
    assert.deepEqual(names(), ['in']);

    sources.set(namespace('out', { mesh: 'a' }));
    assert.deepEqual(names(), ['in', 'out']);
    sources.set(namespace('in', {}));
    assert.deepEqual(names(), ['out']);
    // What changes while its namespace is left out counts when it comes back.
    sources.delete(service('in', 'in'));
    sources.set(service('new', 'in'));
    sources.meshConfig.set(
      withSelectors({ matchExpressions: [{ key: 'mesh', operator: 'DoesNotExist' }] }, { matchLabels: { mesh: 'c' } }),
    );
    assert.deepEqual(names(), ['new', 'other']);
    assert.deepEqual([sources.discovers('other'), sources.discovers('out')], [true, false]);
    sources.meshConfig.set(decodeMeshConfig({}).value);
    assert.deepEqual(names(), ['new', 'nowhere', 'other', 'out']);
  });

  it('also decide about configuration and its problems', () => {
    const sources = new MeshSources({ meshConfig: withSelectors({ matchLabels: { mesh: 'a' } }) });
    const mesh = createMesh(sources);
    sources.set(namespace('out', {}));
    sources.set({
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { name: 'bad', namespace: 'out' },
      spec: { hosts: [] },
    });
    assert.equal(mesh.problems.size, 0);
    sources.set(namespace('out', { mesh: 'a' }));
    assert.equal(mesh.problems.size, 1);
  });
});
