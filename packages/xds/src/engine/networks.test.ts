import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { istioObject, serviceObject } from '../testing/objects.ts';
import { createEngine, typeUrls } from './index.ts';

test('endpoints of another network are its gateway, as soon as there is one', () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const engine = createEngine(createMesh(sources), { schedule: () => undefined });
  sources.set(
    istioObject(
      'ServiceEntry',
      { name: 'far' },
      {
        hosts: ['far.test'],
        location: 'MESH_INTERNAL',
        resolution: 'STATIC',
        ports: [{ number: 80, name: 'http', protocol: 'HTTP' }],
        endpoints: ['10.1.0.1', '10.1.0.2'].map((address) => ({ address, network: 'b', serviceAccount: 'far' })),
      },
    ),
  );
  const view = engine.connect({
    id: 'sidecar~10.0.0.1~client.default~default.svc.cluster.local',
    cluster: 'client',
    type: 'sidecar',
    ipAddress: '10.0.0.1',
    podName: 'client',
    namespace: 'default',
    dnsDomain: 'default.svc.cluster.local',
    locality: { region: '', zone: '', subzone: '' },
    metadata: { NETWORK: 'a' },
    envoyVersion: undefined,
    identity: undefined,
  });
  const addresses = () =>
    [
      ...JSON.stringify(view.resources(typeUrls.endpoint).get('outbound|80||far.test')?.json()).matchAll(
        /"address":"([\d.]+)","portValue":(\d+)/g,
      ),
    ].map(([, address, port]) => `${address}:${port}`);
  assert.deepEqual(addresses(), ['10.1.0.1:80', '10.1.0.2:80']);
  const gateway = serviceObject({ name: 'eastwest', labels: { 'topology.istio.io/network': 'b' } }, [
    { name: 'tls', port: 15443 },
  ]);
  const at = (ip: string) => {
    sources.set({ ...gateway, status: { loadBalancer: { ingress: [{ ip }] } } });
    engine.flush();
    return addresses();
  };
  assert.deepEqual(at('192.0.2.1'), ['192.0.2.1:15443']);
  assert.deepEqual(at('192.0.2.2'), ['192.0.2.2:15443']);
  sources.delete(gateway);
  engine.flush();
  assert.deepEqual(addresses(), ['10.1.0.1:80', '10.1.0.2:80']);
  view.close();
  engine.close();
});
