import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { generateCommands } from '../cli/generate-commands.ts';
import { runInProcess } from '../cli/in-process.test-support.ts';

const folder = mkdtempSync(join(tmpdir(), 'istioctl-generate-'));
after(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'shop.yaml');
writeFileSync(
  file,
  `apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  clusterIP: 10.96.0.5
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: web}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, ports: [{name: web, containerPort: 8081}]}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http: [{timeout: 2s, route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bad, namespace: shop}
spec:
  hosts: [bad]
  http: [{timeout: soon, route: [{destination: {host: web}}]}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    outboundTrafficPolicy: {mode: REGISTRY_ONLY}
`,
);

const istioctl = (...words: readonly string[]) =>
  runInProcess([generateCommands], ['experimental', 'generate', ...words]);

test('prints what a proxy would get for files, with the objects behind each resource', async () => {
  const { out, err, code } = await istioctl('route', '-f', file, '--proxy', 'web.shop', '-o', 'json', '--why');
  assert.equal(code, 0, err);
  const [table] = JSON.parse(out) as {
    name: string;
    from: unknown;
    resource: { virtualHosts: { routes: unknown }[] };
  }[];
  assert.equal(table?.name, '80');
  assert.deepEqual(table?.from, [
    { kind: 'Service', namespace: 'shop', name: 'web' },
    { kind: 'VirtualService', namespace: 'shop', name: 'web' },
  ]);
  assert.match(JSON.stringify(table?.resource.virtualHosts[0]?.routes), /"timeout":"2s"/);
  assert.doesNotMatch(out, /PassthroughCluster/, 'the mesh configuration of the manifests counts');
  assert.match(err, /VirtualService shop\/bad is left out: .*timeout/);
});

test('names the delegates of a route, and the mesh configuration where no object is behind a resource', async () => {
  const more = join(folder, 'delegate.yaml');
  writeFileSync(
    more,
    `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: shop}
spec:
  hosts: [web]
  http: [{delegate: {name: routes, namespace: team}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: routes, namespace: team}
spec:
  http: [{route: [{destination: {host: web.shop.svc.cluster.local}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {clusterIP: 10.96.0.5, ports: [{name: http, port: 80}]}
`,
  );
  type Explained = readonly { readonly name: string; readonly from: readonly { readonly kind: string }[] }[];
  const from = async (...words: readonly string[]) =>
    JSON.parse((await istioctl(...words, '-f', more, '--proxy', 'web.shop', '-o', 'json', '--why')).out) as Explained;
  assert.deepEqual((await from('route')).find(({ name }) => name === '80')?.from.slice(1), [
    { kind: 'VirtualService', namespace: 'shop', name: 'web' },
    { kind: 'VirtualService', namespace: 'team', name: 'routes' },
  ]);
  const fixed = (await from('cluster')).filter(({ name }) =>
    /^(BlackHole|Passthrough|InboundPassthrough)Cluster/.test(name),
  );
  assert.deepEqual(
    fixed.map(({ name, from: [first] }) => [name, first?.kind]),
    ['BlackHoleCluster', 'InboundPassthroughCluster', 'PassthroughCluster'].map((name) => [name, 'MeshConfig']),
  );
});

test('knows the ports and labels of a workload', async () => {
  const { out } = await istioctl('cluster', '-f', file, '--proxy', 'web.shop', '--name', 'inbound*', '-o', 'yaml');
  assert.match(out, /name: inbound\|8081\|\|/);
});

test('takes the networks of the mesh from the ConfigMap', async () => {
  const networks = join(folder, 'networks.yaml');
  writeFileSync(
    networks,
    `apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  meshNetworks: |
    networks: {far: {endpoints: [{fromCidr: 10.9.0.0/16}], gateways: [{address: 192.0.2.1, port: 15443}]}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: shop}
spec:
  hosts: [far.test]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 10.9.0.1, serviceAccount: far}]
`,
  );
  const seen = async (network: string) =>
    (await istioctl('endpoint', '-f', networks, '--proxy', 'web.shop', '--metadata', `NETWORK=${network}`)).out;
  assert.match(await seen('near'), /address: 192\.0\.2\.1/);
  assert.match(await seen('far'), /address: 10\.9\.0\.1/);
});

test('says what it needs', async () => {
  await assert.rejects(istioctl('-f', file), /--proxy NAME/);
  await assert.rejects(istioctl('--proxy', 'a.b'), /-f/);
  await assert.rejects(istioctl('nonsense', '-f', file, '--proxy', 'a.b'), /use one of cluster/);
  assert.match((await istioctl('-f', file, '--proxy', 'nobody.shop')).err, /there are web\.shop/);
});
