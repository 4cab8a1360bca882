import assert from 'node:assert/strict';
import { it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { decodeNameTable, NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import type { KubeObject } from '@istio-ts/kube';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { createEngine, type ProxyNode } from '@istio-ts/xds';
import { withNameTables } from './name-tables.ts';

const service = (name: string, clusterIP: string, annotations = {}): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop', annotations },
  spec: { clusterIP, ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] },
});
const node = (namespace: string): ProxyNode => ({
  id: `sidecar~10.0.0.1~client.${namespace}~${namespace}.svc.cluster.local`,
  cluster: 'client',
  type: 'sidecar',
  ipAddress: '10.0.0.1',
  podName: 'client',
  namespace,
  dnsDomain: `${namespace}.svc.cluster.local`,
  locality: { region: '', zone: '', subzone: '' },
  metadata: { DNS_CAPTURE: 'true' },
  envoyVersion: undefined,
  identity: undefined,
});

it('agents get the names that their proxies see, and hear of changes of names only', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  const engine = createEngine(mesh, { schedule: () => undefined });
  let work: () => void = () => undefined;
  const tables = withNameTables(engine, mesh, (next) => {
    work = next;
  });
  sources.set(service('web', '10.96.0.1'));
  sources.set(service('private', '10.96.0.2', { 'networking.istio.io/exportTo': '.' }));
  const [own, other, silent] = [node('shop'), node('else'), node('shop')].map((one) => tables.source.connect(one));
  const heard: string[] = [];
  own?.onChange((types) => types.has(NAME_TABLE_TYPE) && heard.push('own'));
  silent?.onChange((types) => types.has(NAME_TABLE_TYPE) && heard.push('silent'));
  const names = (view: typeof own) => {
    const [table] = [...(view?.resources(NAME_TABLE_TYPE).values() ?? [])];
    return [...decodeNameTable(table?.value ?? new Uint8Array()).keys()];
  };
  assert.deepEqual(names(own), ['private.shop.svc.cluster.local', 'web.shop.svc.cluster.local']);
  assert.deepEqual(names(other), ['web.shop.svc.cluster.local']);
  assert.equal(own?.resources(NAME_TABLE_TYPE), own?.resources(NAME_TABLE_TYPE));
  const settle = () => {
    engine.flush();
    work();
  };
  // Another port is no other name.
  sources.set({
    ...service('web', '10.96.0.1'),
    spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] },
  });
  settle();
  assert.deepEqual(heard, []);
  sources.set(service('new', '10.96.0.3'));
  settle();
  assert.deepEqual(heard, ['own']);
  assert.equal(names(own).length, 3);
  for (const view of [own, other, silent]) view?.close();
  tables.close();
  engine.close();
});
