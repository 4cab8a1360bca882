import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { validate } from '@istio-ts/api/objects';
import type { KubeObject } from '@istio-ts/kube';
import { workloadGroup } from './group.ts';
import { clusterEnv, hostsFile, type MachineInputs, machineMeshConfig } from './machine-files.ts';

const none = { labels: [], annotations: [], ports: [], serviceAccount: 'default' };

test('a group out of flags is a valid WorkloadGroup', () => {
  const group = workloadGroup(
    {
      name: 'vm',
      labels: ['app=cart', 'version=v1'],
      annotations: ['note=a=b'],
      ports: ['http=8080'],
      serviceAccount: 'cart',
      network: 'west',
      weight: '3',
    },
    'shop',
  ) as KubeObject;
  assert.deepEqual(
    validate(group).filter(({ severity }) => severity === 'error'),
    [],
  );
  assert.deepEqual(group.spec, {
    metadata: { labels: { app: 'cart', version: 'v1' }, annotations: { note: 'a=b' } },
    template: { ports: { http: 8080 }, network: 'west', weight: 3, serviceAccount: 'cart' },
  });
});

test('what is wrong with a flag is said', () => {
  assert.throws(() => workloadGroup(none, 'shop'), /--name is missing/);
  assert.throws(() => workloadGroup({ ...none, name: 'VM_1' }, 'shop'), /--name: "VM_1" cannot be the name/);
  assert.throws(() => workloadGroup({ ...none, name: 'vm', labels: ['app'] }, 'shop'), /--labels: "app"/);
  assert.throws(() => workloadGroup({ ...none, name: 'vm', ports: ['http=70000'] }, 'shop'), /--ports http: "70000"/);
});

const inputs: MachineInputs = {
  group: {
    name: 'vm',
    namespace: 'shop',
    spec: {
      metadata: { labels: { app: 'cart', note: "it's" }, annotations: {} },
      template: { ports: { http: 8080, grpc: 9090 }, serviceAccount: 'cart', labels: {} },
    } as unknown as MachineInputs['group']['spec'],
  },
  mesh: {
    istioNamespace: 'istio-system',
    revision: 'canary',
    trustDomain: 'mesh.example',
    clusterId: 'west',
    network: 'net-1',
    proxyConfig: { concurrency: 2, discoveryAddress: 'other:15012', proxyMetadata: { A: 'b' } },
  },
  autoregister: false,
  captureDns: true,
  internalIp: '10.1.2.3',
  ingressIp: '203.0.113.7',
};

test('a shell reads the variables as they are meant', () => {
  const read = (name: string) =>
    execFileSync('sh', ['-c', `${clusterEnv(inputs)}\nprintf %s "$${name}"`], { encoding: 'utf8' });
  assert.equal(read('ISTIO_INBOUND_PORTS'), '8080,9090');
  assert.equal(read('ISTIO_META_CLUSTER_ID'), 'west');
  assert.equal(read('ISTIO_SVC_IP'), '10.1.2.3');
  assert.equal(read('SERVICE_ACCOUNT'), 'cart');
  assert.equal(read('ISTIO_SERVICE_CIDR'), '*');
  assert.deepEqual(JSON.parse(read('ISTIO_METAJSON_LABELS')), {
    app: 'cart',
    note: "it's",
    'service.istio.io/canonical-name': 'cart',
    'service.istio.io/canonical-revision': 'latest',
  });
  assert.doesNotMatch(clusterEnv(inputs), /AUTO_REGISTER/);
  assert.match(clusterEnv({ ...inputs, autoregister: true }), /ISTIO_META_AUTO_REGISTER_GROUP='vm'/);
});

test("the machine's proxy has the mesh's settings and asks the istiod of its revision", () => {
  const { defaultConfig } = machineMeshConfig(inputs) as { readonly defaultConfig: Record<string, unknown> };
  assert.equal(defaultConfig.concurrency, 2);
  assert.equal(defaultConfig.discoveryAddress, 'istiod-canary.istio-system.svc:15012');
  assert.deepEqual(defaultConfig.proxyMetadata, {
    A: 'b',
    ISTIO_META_CLUSTER_ID: 'west',
    ISTIO_META_WORKLOAD_NAME: 'vm',
    POD_NAMESPACE: 'shop',
    SERVICE_ACCOUNT: 'cart',
    TRUST_DOMAIN: 'mesh.example',
    ISTIO_META_NETWORK: 'net-1',
    ISTIO_META_DNS_CAPTURE: 'true',
  });
  assert.equal(hostsFile(inputs), '203.0.113.7 istiod-canary.istio-system.svc\n');
});
