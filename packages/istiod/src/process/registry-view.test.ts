import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Endpoint, Service } from '@istio-ts/mesh';
import { registryEndpoints, registryService } from './registry-view.ts';

const cart: Service = {
  origin: { kind: 'Service', namespace: 'shop', name: 'cart' },
  registry: 'Kubernetes',
  hostname: 'cart.shop.svc.cluster.local',
  namespace: 'shop',
  name: 'cart',
  addresses: ['10.96.0.7'],
  ports: [
    { name: 'grpc', number: 7070, protocol: 'GRPC' },
    { name: '', number: 9000, protocol: 'Auto' },
  ],
  resolution: 'static',
  headless: false,
  meshExternal: false,
  exportTo: { kind: 'public' },
  labels: { app: 'cart' },
  selector: { app: 'cart' },
  subjectAltNames: [],
  createdAt: Date.UTC(2026, 0, 2),
};

const endpoint = (servicePort: string, port: number): Endpoint => ({
  address: '10.244.0.9',
  port,
  servicePort,
  health: 'healthy',
  labels: { app: 'cart', version: 'v1' },
  locality: { region: 'r', zone: 'z', subzone: '' },
  network: '',
  clusterId: 'Kubernetes',
  weight: 1,
  tlsMode: 'istio',
  identity: 'spiffe://cluster.local/ns/shop/sa/cart',
  node: 'local',
});

describe('services as Kiali reads them', () => {
  it('have the fields of Istio’s registryz', () => {
    // The fields that Kiali decodes (kubernetes.IstioService), with its spelling.
    const shown = registryService(cart, 'Kubernetes');
    assert.deepEqual(shown.Attributes, {
      ServiceRegistry: 'Kubernetes',
      Name: 'cart',
      Namespace: 'shop',
      Labels: { app: 'cart' },
      ExportTo: { '*': {} },
      LabelSelectors: { app: 'cart' },
    });
    assert.deepEqual(shown.ports, [
      { name: 'grpc', port: 7070, protocol: 'GRPC' },
      { name: '', port: 9000, protocol: 'UnsupportedProtocol' },
    ]);
    assert.equal(shown.hostname, 'cart.shop.svc.cluster.local');
    assert.deepEqual(shown.clusterVIPs, { Addresses: { Kubernetes: ['10.96.0.7'] } });
    assert.equal(shown.Resolution, 0);
  });

  it('say who may see them: everybody, nobody, their own namespace as a dot, others by name', () => {
    const exported = (exportTo: Service['exportTo']) => registryService({ ...cart, exportTo }, 'c').Attributes.ExportTo;
    assert.deepEqual(exported({ kind: 'none' }), { '~': {} });
    assert.deepEqual(exported({ kind: 'namespaces', namespaces: ['shop', 'web'] }), { '.': {}, web: {} });
  });

  it('of other meshes and without addresses are told apart', () => {
    const outside: Service = {
      ...cart,
      registry: 'External',
      addresses: [],
      autoAddresses: ['240.240.0.1', '2001:2::1'],
      resolution: 'dns',
      meshExternal: true,
    };
    const shown = registryService(outside, 'c');
    assert.equal(shown.Attributes.ServiceRegistry, 'External');
    assert.deepEqual(shown.clusterVIPs, { Addresses: null });
    assert.equal(shown.defaultAddress, '0.0.0.0');
    assert.equal(shown.autoAllocatedIPv4Address, '240.240.0.1');
    assert.equal(shown.autoAllocatedIPv6Address, '2001:2::1');
    assert.deepEqual([shown.Resolution, shown.MeshExternal], [1, true]);
  });
});

describe('endpoints as Kiali reads them', () => {
  it('are grouped by service and port; ports without endpoints are left out', () => {
    const [first, ...others] = registryEndpoints(
      { hostname: cart.hostname, namespace: 'shop', endpoints: [endpoint('grpc', 7071)] },
      cart,
      'Kubernetes',
    );
    assert.deepEqual(others, []);
    assert.equal(first?.svc, 'cart.shop.svc.cluster.local:grpc');
    const [only] = first?.ep ?? [];
    assert.equal(only?.endpoint.Address, '10.244.0.9');
    assert.equal(only?.endpoint.Port, 7071);
    assert.deepEqual(only?.endpoint.ServicePort, { name: 'grpc', port: 7070, protocol: 'GRPC' });
    assert.equal(only?.endpoint.ServiceAccount, 'spiffe://cluster.local/ns/shop/sa/cart');
    assert.deepEqual(only?.endpoint.Locality, { Label: 'r/z', ClusterID: 'Kubernetes' });
    assert.equal(only?.service.hostname, cart.hostname);
  });
});
