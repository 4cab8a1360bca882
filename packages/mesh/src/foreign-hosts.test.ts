import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, defaultMeshOptions, MeshSources, proxyFacts, Scopes } from './index.ts';

const service = (namespace: string, name: string): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace },
  spec: { clusterIP: '10.96.0.1', ports: [{ name: 'http', port: 80 }] },
});
const routes = (namespace: string, name: string, ...hosts: readonly string[]): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name, namespace },
  spec: { hosts, http: [{ route: [{ destination: { host: 'own' } }] }] },
});
const entry = (namespace: string, host: string): KubeObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'ServiceEntry',
  metadata: { name: host.replaceAll('.', '-'), namespace },
  spec: { hosts: [host], ports: [{ number: 80, name: 'http', protocol: 'HTTP' }], resolution: 'DNS' },
});

test('a VirtualService that claims the host of another namespace is for its own namespace only, where that is asked for', () => {
  const objects = [
    service('shop', 'cart'),
    service('shop', 'bank'),
    service('thief', 'own'),
    entry('shop', 'bank.example.com'),
    entry('thief', 'both.example.com'),
    entry('shop', 'both.example.com'),
    routes('shop', 'cart', 'cart'),
    routes('thief', 'exact', 'own.thief.svc.cluster.local', 'cart.shop.svc.cluster.local'),
    routes('thief', 'suffix', '*.svc.cluster.local'),
    routes('thief', 'outside', 'bank.example.com'),
    routes('thief', 'own', 'own'),
    routes('thief', 'nobody', 'nobody.example.com'),
    routes('thief', 'both', 'both.example.com'),
    // A definition of one's own does not make it one's own.
    entry('thief', 'bank.shop.svc.cluster.local'),
    routes('thief', 'defined', 'bank.shop.svc.cluster.local'),
    routes('istio-system', 'admin', 'cart.shop.svc.cluster.local'),
  ];
  const seenBy = (namespace: string, forbidsForeignHosts: boolean): readonly string[] => {
    const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
    const mesh = createMesh(sources, { ...defaultMeshOptions, forbidsForeignHosts });
    for (const object of objects) sources.set(object);
    const proxy = {
      type: 'sidecar' as const,
      name: 'client',
      namespace,
      ipAddress: '10.1.0.99',
      dnsDomain: `${namespace}.svc.cluster.local`,
      locality: { region: '', zone: '', subzone: '' },
      metadata: {},
    };
    const facts = proxyFacts(mesh, proxy, {
      get: (collection, key) => collection.get(key),
      all: (collection) => collection.snapshot(),
      value: (cell) => cell.current,
    });
    return new Scopes(mesh)
      .acquire(facts)
      .value.result.current.virtualServices.map(({ origin }) => `${origin.namespace}/${origin.name}`)
      .sort();
  };
  const all = objects
    .filter(({ kind }) => kind === 'VirtualService')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    .sort();
  assert.deepEqual(seenBy('client', false), all);
  assert.deepEqual(seenBy('shop', true), ['istio-system/admin', 'shop/cart', 'thief/nobody', 'thief/own']);
  assert.deepEqual(seenBy('client', true), seenBy('shop', true));
  assert.deepEqual(seenBy('thief', true), all);
});

test('what is claimed of other namespaces is known, with the namespace of whom', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  const put = (object: KubeObject, spec: Readonly<Record<string, unknown>> = {}): void =>
    sources.set({ ...object, spec: { ...(object.spec as object), ...spec } });
  put(routes('thief', 'exact', 'own.thief.svc.cluster.local', 'cart.shop.svc.cluster.local'));
  put(routes('thief', 'suffix', '*.svc.cluster.local'));
  put(routes('thief', 'hidden', 'cart.shop.svc.cluster.local'), { exportTo: ['.'] });
  put(routes('thief', 'gateway', 'cart.shop.svc.cluster.local'), { gateways: ['door'] });
  put(routes('thief', 'own', 'own'));
  put(routes('thief', 'both', 'both.example.com'));
  put(routes('istio-system', 'admin', 'cart.shop.svc.cluster.local'));
  put(entry('thief', 'cart.shop.svc.cluster.local'));
  put(entry('thief', 'both.example.com'));
  put(entry('shop', 'both.example.com'));
  const claims = (): readonly string[] =>
    [...mesh.foreignHosts.entries()]
      .flatMap(([key, list]) => list.map(({ path, host, owner }) => `${key} ${path} ${host} ${owner}`))
      .sort();
  assert.deepEqual(claims(), []);
  sources.set(service('shop', 'cart'));
  sources.set(service('thief', 'own'));
  assert.deepEqual(claims(), [
    'ServiceEntry/thief/cart-shop-svc-cluster-local spec.hosts[0] cart.shop.svc.cluster.local shop',
    'VirtualService/thief/exact spec.hosts[1] cart.shop.svc.cluster.local shop',
    'VirtualService/thief/suffix spec.hosts[0] *.svc.cluster.local shop',
  ]);
  sources.delete(service('shop', 'cart'));
  assert.deepEqual(claims(), []);
});
