import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, MeshSources, nameTable, proxyFacts, Scopes } from './index.ts';

const object = (kind: string, name: string, rest: object, metadata: object = {}): KubeObject => ({
  apiVersion:
    kind === 'EndpointSlice'
      ? 'discovery.k8s.io/v1'
      : kind === 'Service' || kind === 'Pod'
        ? 'v1'
        : 'networking.istio.io/v1',
  kind,
  metadata: { name, namespace: 'shop', ...metadata },
  ...rest,
});
const tcp = [{ name: 'tcp', port: 9000 }];

function meshOf(...objects: readonly KubeObject[]) {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  for (const one of objects) sources.set(one);
  const scope = (metadata: Record<string, unknown> = {}) => {
    const description = {
      type: 'sidecar' as const,
      name: 'client',
      namespace: 'shop',
      ipAddress: '10.1.0.99',
      dnsDomain: 'shop.svc.cluster.local',
      locality: { region: '', zone: '', subzone: '' },
      metadata,
    };
    const facts = proxyFacts(mesh, description, {
      get: (collection, key) => collection.get(key),
      all: (collection) => collection.snapshot(),
      value: (cell) => cell.current,
    });
    return new Scopes(mesh).acquire(facts).value.result.current;
  };
  return { sources, mesh, scope };
}

const headless = [
  object('Service', 'db', { spec: { clusterIP: 'None', selector: { app: 'db' }, ports: tcp } }),
  object(
    'EndpointSlice',
    'db-1',
    {
      ports: tcp,
      endpoints: [
        { addresses: ['10.1.0.2'], hostname: 'db-1', targetRef: { kind: 'Pod', name: 'db-1' } },
        { addresses: ['10.1.0.1'], hostname: 'db-0', targetRef: { kind: 'Pod', name: 'db-0' } },
        { addresses: ['10.1.0.3'], conditions: { ready: false } },
      ],
    },
    { labels: { 'kubernetes.io/service-name': 'db' } },
  ),
  ...['db-0', 'db-1'].map((name, index) =>
    object('Pod', name, {
      spec: { containers: [] },
      status: { phase: 'Running', podIP: `10.1.0.${index + 1}`, conditions: [{ type: 'Ready', status: 'True' }] },
    }),
  ),
];

describe('names that agents answer', () => {
  const { mesh, scope } = meshOf(
    ...headless,
    object('Service', 'web', { spec: { clusterIP: '10.96.0.1', clusterIPs: ['10.96.0.1', 'fd00::1'], ports: tcp } }),
    object('Service', 'alias', { spec: { type: 'ExternalName', externalName: 'api.example.test', ports: tcp } }),
    object('Service', 'foreign', { spec: { type: 'ExternalName', externalName: 'other.example.test' } }),
    object('ServiceEntry', 'api', {
      spec: { hosts: ['api.example.test'], resolution: 'DNS', ports: [{ number: 9000, name: 'tcp', protocol: 'TCP' }] },
      status: {
        addresses: [
          { host: 'api.example.test', value: '2001:2::1' },
          { host: 'api.example.test', value: '240.240.0.1' },
        ],
      },
    }),
    object('ServiceEntry', 'ranges', {
      spec: {
        hosts: ['*.range.test'],
        addresses: ['10.9.0.0/16', '10.8.0.1/32'],
        resolution: 'NONE',
        ports: [{ number: 9000, name: 'tcp', protocol: 'TCP' }],
      },
    }),
  );
  const table = (metadata: Record<string, unknown>) => {
    const { services, serviceByHost } = scope(metadata);
    const found = nameTable(services, serviceByHost, (key) => mesh.headlessPods.get(key) ?? []);
    return Object.fromEntries([...found].map(([host, { ips }]) => [host, ips.join(' ')]).sort());
  };
  it('are those of services, pods of headless services, and what has an address', () => {
    assert.deepEqual(table({ DNS_CAPTURE: 'true' }), {
      '*.range.test': '10.8.0.1',
      'alias.shop.svc.cluster.local': '240.240.0.1 2001:2::1',
      'api.example.test': '240.240.0.1 2001:2::1',
      'db.shop.svc.cluster.local': '10.1.0.1 10.1.0.2',
      'db-0.db.shop.svc.cluster.local': '10.1.0.1',
      'db-1.db.shop.svc.cluster.local': '10.1.0.2',
      'web.shop.svc.cluster.local': '10.96.0.1 fd00::1',
    });
  });
  it('have no addresses of istiod’s for others', () => {
    assert.equal(table({})['api.example.test'], undefined);
    assert.deepEqual(scope({}).serviceByHost.get('api.example.test')?.addresses, []);
    assert.deepEqual(scope({ DNS_CAPTURE: 'true' }).serviceByHost.get('api.example.test')?.addresses, [
      '240.240.0.1',
      '2001:2::1',
    ]);
  });
  it('headless services for connections tell listeners their pods', () => {
    assert.deepEqual(
      [...(scope({}).headlessAddresses ?? [])],
      [['db.shop.svc.cluster.local', ['10.1.0.2', '10.1.0.1'].sort()]],
    );
  });
});

describe('endpoints', () => {
  const machine = (metadata: object, status?: object) =>
    object(
      'WorkloadEntry',
      'vm',
      {
        spec: {
          address: '10.9.0.1',
          labels: { app: 'vm' },
          weight: 5,
          network: 'far',
          locality: 'eu/a',
          serviceAccount: 'vm',
          ports: { tcp: 9999 },
        },
        ...(status && { status }),
      },
      metadata,
    );
  const service = object('ServiceEntry', 'vms', {
    spec: {
      hosts: ['vms.test'],
      location: 'MESH_INTERNAL',
      resolution: 'STATIC',
      ports: [{ number: 9000, name: 'tcp', protocol: 'TCP', targetPort: 9001 }],
      workloadSelector: { labels: { app: 'vm' } },
    },
  });
  const endpoint = (...objects: readonly KubeObject[]) =>
    meshOf(...objects).mesh.endpoints.get('shop/vms.test')?.endpoints[0];
  it('of a WorkloadEntry have everything that it says', () => {
    const { address, port, weight, network, locality, identity, tlsMode, health } =
      endpoint(service, machine({})) ?? {};
    assert.deepEqual(
      { address, port, weight, network, locality, identity, tlsMode, health },
      {
        address: '10.9.0.1',
        port: 9999,
        weight: 5,
        network: 'far',
        locality: { region: 'eu', zone: 'a', subzone: '' },
        identity: 'spiffe://cluster.local/ns/shop/sa/vm',
        tlsMode: 'istio',
        health: 'healthy',
      },
    );
  });
  it('of a WorkloadEntry have the health that its agent tells of', () => {
    const checked = { annotations: { 'proxy.istio.io/health-checks-enabled': 'true' } };
    const condition = (status: string) => ({ conditions: [{ type: 'Healthy', status }] });
    assert.equal(endpoint(service, machine(checked))?.health, 'unhealthy');
    assert.equal(endpoint(service, machine(checked, condition('True')))?.health, 'healthy');
    assert.equal(endpoint(service, machine({}, condition('False')))?.health, 'unhealthy');
  });
});
