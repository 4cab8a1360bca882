import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  type OfflineEnvoySetup,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** What a client may see and whom it trusts, as the mesh's configuration says for everybody. */

const net = new LoopbackNet();
const PORT = 9600;
const folder = mkdtempSync(join(tmpdir(), 'mesh-visibility-'));
const authority = new TestAuthority(folder, 'authority');
const workload = authority.issue('workload', ['URI:spiffe://old.example/ns/shop/sa/shop']);
const own = authority.issue('client', ['URI:spiffe://old.example/ns/default/sa/default']);

const namespace = (name: string, labels: Readonly<Record<string, string>>): KubeObject => ({
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name, labels },
});
const entry = (name: string, inNamespace: string, more: object = {}) =>
  istioObject(
    'ServiceEntry',
    { name, namespace: inNamespace },
    {
      hosts: [`${name}.example`],
      ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: ORIGIN_PORT }],
      resolution: 'STATIC',
      endpoints: [{ address: net.ip(1) }],
      ...more,
    },
  );

const objects: readonly KubeObject[] = [
  namespace('default', { mesh: 'yes', kubernetes: 'x' }),
  namespace('shop', { mesh: 'yes', team: 'blue' }),
  namespace('lab', { team: 'red' }),
  ...loopbackApp(net, 'local', { last: 20, port: PORT, protocol: 'http' }, [{ last: 1 }]),
  ...loopbackApp(net, 'shop', { last: 21, port: PORT, protocol: 'http', namespace: 'shop' }, [{ last: 1 }]),
  ...loopbackApp(net, 'lab', { last: 22, port: PORT, protocol: 'http', namespace: 'lab' }, [{ last: 1 }]),
];

const opened: OfflineEnvoy[] = [];
const origins: Origin[] = [];

/** What a client in the namespace `default` gets from hosts: the status of the answer. Hosts that nobody knows are answered with 502. */
async function seen(
  meshConfig: object,
  hosts: readonly string[],
  more: Partial<OfflineEnvoySetup> = {},
): Promise<Record<string, number>> {
  const envoy = await start(meshConfig, more);
  const result: Record<string, number> = {};
  for (const host of hosts) result[host] = (await get(host)).status;
  await envoy.stop();
  return result;
}

async function start(meshConfig: object, more: Partial<OfflineEnvoySetup> = {}): Promise<OfflineEnvoy> {
  const envoy = await startOfflineEnvoy({
    net,
    objects,
    proxy: { name: 'client', namespace: 'default' },
    meshConfig: decodeMeshConfig({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' }, ...meshConfig }).value,
    ...more,
  });
  opened.push(envoy);
  return envoy;
}

const get = (host: string) => call('/', { address: net.everywhere, port: PORT, host });

before(async () => {
  origins.push(await startOrigin('plain', net.ip(1), ORIGIN_PORT));
  origins.push(
    await startOrigin('meshed', net.ip(2), ORIGIN_PORT, {
      cert: workload.certificate,
      key: workload.key,
      requestCert: true,
      rejectUnauthorized: false,
    }),
  );
});

after(async () => {
  await Promise.all(opened.map((envoy) => envoy.stop()));
  await Promise.all(origins.map((origin) => origin.close()));
  rmSync(folder, { recursive: true, force: true });
});

test('discoverySelectors: only services of namespaces that one of them takes', async () => {
  proves(
    'MeshConfig.discoverySelectors[].matchLabels',
    'MeshConfig.discoverySelectors[].matchExpressions[].key',
    'MeshConfig.discoverySelectors[].matchExpressions[].operator',
    'MeshConfig.discoverySelectors[].matchExpressions[].values',
  );
  const hosts = ['local', 'shop.shop', 'lab.lab'];
  const of = (...discoverySelectors: readonly object[]) => seen({ discoverySelectors }, hosts);
  assert.deepEqual(await of(), { local: 200, 'shop.shop': 200, 'lab.lab': 200 });
  assert.deepEqual(await of({ matchLabels: { mesh: 'yes' } }), { local: 200, 'shop.shop': 200, 'lab.lab': 502 });
  assert.deepEqual(
    await of(
      { matchLabels: { mesh: 'yes' }, matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] },
      { matchExpressions: [{ key: 'team', operator: 'In', values: ['red', 'green'] }] },
    ),
    { local: 200, 'shop.shop': 502, 'lab.lab': 200 },
  );
});

test('defaultServiceExportTo: who sees services that do not say it themselves', async () => {
  proves('MeshConfig.defaultServiceExportTo');
  const more = { objects: [...objects, entry('told', 'shop', { exportTo: ['*'] }), entry('silent', 'shop')] };
  const hosts = ['local', 'shop.shop', 'told.example', 'silent.example'];
  assert.deepEqual(await seen({ defaultServiceExportTo: ['.'] }, hosts, more), {
    local: 200,
    'shop.shop': 502,
    'told.example': 200,
    'silent.example': 502,
  });
});

test('serviceEntryVisibility: how far ServiceEntries are seen, by the labels of their namespaces', async () => {
  proves(
    'MeshConfig.serviceEntryVisibility.applyToSidecars',
    'MeshConfig.serviceEntryVisibility.defaultVisibility',
    'MeshConfig.serviceEntryVisibility.policies[].visibility',
    'MeshConfig.serviceEntryVisibility.policies[].matchingRules[].namespaceSelector',
  );
  const more = { objects: [...objects, entry('here', 'default'), entry('blue', 'shop'), entry('red', 'lab')] };
  const hosts = ['here.example', 'blue.example', 'red.example'];
  const of = (serviceEntryVisibility: object) => seen({ serviceEntryVisibility }, hosts, more);
  const policies = [
    {
      visibility: 'PUBLIC',
      matchingRules: [
        { namespaceSelector: { matchLabels: { mesh: 'yes' } } },
        { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } },
      ],
    },
  ];
  assert.deepEqual(await of({ defaultVisibility: 'NAMESPACE', policies }), {
    'here.example': 200,
    'blue.example': 200,
    'red.example': 200,
  });
  assert.deepEqual(await of({ applyToSidecars: true, defaultVisibility: 'NAMESPACE', policies }), {
    'here.example': 200,
    'blue.example': 200,
    'red.example': 502,
  });
  assert.deepEqual(await of({ applyToSidecars: true, defaultVisibility: 'NONE', policies }), {
    'here.example': 502,
    'blue.example': 200,
    'red.example': 502,
  });
});

test('rootNamespace: whose configuration is for all namespaces', async () => {
  proves('MeshConfig.rootNamespace');
  const upgrade = istioObject(
    'DestinationRule',
    { name: 'all', namespace: 'roots' },
    {
      host: '*.shop.svc.cluster.local',
      trafficPolicy: { connectionPool: { http: { h2UpgradePolicy: 'UPGRADE' } } },
    },
  );
  // Objects of the service's own namespace would be looked at anyway.
  const versions = [];
  for (const rootNamespace of ['roots', 'istio-system']) {
    const envoy = await start({ rootNamespace }, { objects: [...objects, upgrade] });
    versions.push((await get('shop.shop')).seen?.http);
    await envoy.stop();
  }
  assert.deepEqual(versions, ['2', '1']);
});

test('serviceSettings: traffic to some services stays in the cluster of the client', async () => {
  proves('MeshConfig.serviceSettings[].settings.clusterLocal', 'MeshConfig.serviceSettings[].hosts');
  const hosts = ['local', 'shop.shop', 'lab.lab'];
  const serviceSettings = [
    { settings: { clusterLocal: true }, hosts: ['*.svc.cluster.local'] },
    { settings: { clusterLocal: false }, hosts: ['*.lab.svc.cluster.local', 'local.default.svc.cluster.local'] },
  ];
  const of = (cluster: string) =>
    seen({ serviceSettings }, hosts, {
      proxy: { name: 'client', namespace: 'default', metadata: { CLUSTER_ID: cluster } },
    });
  assert.deepEqual(await of('Kubernetes'), { local: 200, 'shop.shop': 200, 'lab.lab': 200 });
  assert.deepEqual(await of('another'), { local: 200, 'shop.shop': 503, 'lab.lab': 200 });
});

test('mutual TLS between sidecars: whether it is automatic, and the trust domain of the identities', async () => {
  proves('MeshConfig.enableAutoMtls', 'MeshConfig.trustDomain', 'MeshConfig.trustDomainAliases');
  const meshed = loopbackApp(net, 'shop', { last: 21, port: PORT, protocol: 'http', namespace: 'shop' }, [
    { last: 2, mesh: true },
  ]);
  const identity = { certificate: own.certificate, key: own.key, roots: authority.root };
  const tlsTo = async (meshConfig: object) => {
    const envoy = await start(meshConfig, { objects: meshed, identity });
    const { status, seen: arrival } = await get('shop.shop');
    await envoy.stop();
    return [status, arrival?.tls?.sni];
  };
  const sni = `outbound_.${PORT}_._.shop.shop.svc.cluster.local`;
  assert.deepEqual(await tlsTo({ trustDomain: 'old.example' }), [200, sni]);
  assert.deepEqual(await tlsTo({ trustDomain: 'old.example', enableAutoMtls: false }), [200, undefined]);
  assert.deepEqual(await tlsTo({ trustDomain: 'new.example' }), [503, undefined]);
  assert.deepEqual(await tlsTo({ trustDomain: 'new.example', trustDomainAliases: ['old.example'] }), [200, sni]);
});
