import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { type Answer, call } from '../testing/http-call.ts';
import { istioObject, serviceObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Where hosts of ServiceEntries are and whom their servers have to be, in the entries themselves and in WorkloadEntries, as a client sees it. */

const net = new LoopbackNet();
const PORT = 9300;
const TARGET = 8080;
const GATEWAY_PORT = 15_443;
const folder = mkdtempSync(join(tmpdir(), 'host-fields-'));
const mesh = new TestAuthority(folder, 'mesh');
const outside = new TestAuthority(folder, 'outside');
const FAR = 'spiffe://cluster.local/ns/default/sa/far';
const workload = mesh.issue('workload', ['URI:spiffe://cluster.local/ns/default/sa/client']);
const far = mesh.issue('far', [`URI:${FAR}`]);
const secure = outside.issue('secure', ['DNS:secure.example']);

/** Last bytes of the origins' addresses. */
const at = { one: 1, two: 2, far: 3, gateway: 4, secure: 5 } as const;
type Place = keyof typeof at;

interface Machine {
  readonly at: Place;
  readonly entry?: Readonly<Record<string, unknown>>;
}

interface Host {
  readonly entry?: Readonly<Record<string, unknown>>;
  readonly machines: readonly Machine[];
  readonly policy?: object;
  readonly rule?: object;
}

const ROUND_ROBIN = { loadBalancer: { simple: 'ROUND_ROBIN' } };
const FAILOVER = { outlierDetection: { consecutive5xxErrors: 5 } };
const inMesh = { location: 'MESH_INTERNAL' };
const simpleTls = { tls: { mode: 'SIMPLE', sni: 'secure.example', caCertificates: outside.rootFile } };

/** Hosts whose machines are given twice: as endpoints of the ServiceEntry, and as WorkloadEntries that it selects. */
const both: Readonly<Record<string, Host>> = {
  weighted: {
    machines: [
      { at: 'one', entry: { weight: 1 } },
      { at: 'two', entry: { weight: 9 } },
    ],
    policy: ROUND_ROBIN,
  },
  near: {
    machines: [
      { at: 'one', entry: { locality: 'a/1/x' } },
      { at: 'two', entry: { locality: 'b/1/x' } },
    ],
    policy: FAILOVER,
  },
  labelled: {
    machines: [
      { at: 'one', entry: { labels: { kind: 'old' } } },
      { at: 'two', entry: { labels: { kind: 'new' } } },
    ],
    rule: { subsets: [{ name: 'new', labels: { kind: 'new' } }] },
  },
  proxied: { entry: inMesh, machines: [{ at: 'far', entry: { serviceAccount: 'far' } }] },
  impostor: { entry: inMesh, machines: [{ at: 'far', entry: { serviceAccount: 'somebody' } }] },
  distant: { entry: inMesh, machines: [{ at: 'one', entry: { network: 'far', serviceAccount: 'far' } }] },
  'ports-of-its-own': { machines: [{ at: 'gateway', entry: { ports: { http: TARGET + 1 } } }] },
};

/** Hosts of which the entry itself says something. */
const listed: Readonly<Record<string, Host & { readonly namespace?: string }>> = {
  named: { entry: { subjectAltNames: ['secure.example'] }, machines: [{ at: 'secure' }], policy: simpleTls },
  misnamed: { entry: { subjectAltNames: ['other.example'] }, machines: [{ at: 'secure' }], policy: simpleTls },
  identified: {
    entry: { ...inMesh, subjectAltNames: [FAR] },
    machines: [{ at: 'far', entry: { labels: { 'security.istio.io/tlsMode': 'istio' } } }],
  },
  everybody: { entry: { exportTo: ['*'] }, machines: [{ at: 'one' }], namespace: 'away' },
  neighbours: { entry: { exportTo: ['.', 'default'] }, machines: [{ at: 'one' }], namespace: 'away' },
  family: { entry: { exportTo: ['.'] }, machines: [{ at: 'one' }], namespace: 'away' },
  secret: { entry: { exportTo: ['~'] }, machines: [{ at: 'one' }] },
};

const address = (machine: Machine): string => net.ip(at[machine.at]);
const hostOf = (name: string, selected = false): string => `${name}${selected ? '.selected' : ''}.example`;

function hostObjects(
  name: string,
  { entry, machines, policy, rule, namespace = 'default' }: Host & { namespace?: string },
  selected: boolean,
) {
  const id = `${name}${selected ? '-selected' : ''}`;
  const host = hostOf(name, selected);
  return [
    istioObject(
      'ServiceEntry',
      { name: id, namespace },
      {
        hosts: [host],
        ports: [{ number: PORT, name: 'http', protocol: 'HTTP', targetPort: TARGET }],
        resolution: 'STATIC',
        ...entry,
        ...(selected
          ? { workloadSelector: { labels: { app: id } } }
          : { endpoints: machines.map((machine) => ({ address: address(machine), ...machine.entry })) }),
      },
    ),
    ...(selected
      ? machines.map((machine, i) =>
          istioObject(
            'WorkloadEntry',
            { name: `${id}-${i}`, namespace },
            {
              address: address(machine),
              ...machine.entry,
              labels: { app: id, ...(machine.entry?.labels as object | undefined) },
            },
          ),
        )
      : []),
    ...(policy || rule
      ? [istioObject('DestinationRule', { name: id }, { host, ...(policy && { trafficPolicy: policy }), ...rule })]
      : []),
    ...(rule
      ? [
          istioObject(
            'VirtualService',
            { name: id },
            { hosts: [host], http: [{ route: [{ destination: { host, subset: 'new' } }] }] },
          ),
        ]
      : []),
  ];
}

const gateway = {
  ...serviceObject(
    { name: 'east-west', namespace: 'istio-system', labels: { 'topology.istio.io/network': 'far' } },
    [{ name: 'tls', port: GATEWAY_PORT }],
    { type: 'LoadBalancer', clusterIP: net.ip(40), clusterIPs: [net.ip(40)] },
  ),
  status: { loadBalancer: { ingress: [{ ip: net.ip(at.gateway) }] } },
};

let envoy: OfflineEnvoy;
const origins: Origin[] = [];

const get = (host: string): Promise<Answer> => call('/', { address: net.everywhere, port: PORT, host });
const counts = async (host: string, times: number): Promise<Readonly<Record<string, number>>> => {
  const seen: Record<string, number> = {};
  for (let i = 0; i < times; i++) {
    const name = (await get(host)).seen?.origin ?? 'nobody';
    seen[name] = (seen[name] ?? 0) + 1;
  }
  return seen;
};

before(async () => {
  const meshTls = {
    cert: far.certificate,
    key: far.key,
    ca: mesh.root,
    requestCert: true,
    rejectUnauthorized: false,
    ALPNProtocols: ['istio-http/1.1', 'http/1.1'],
  };
  origins.push(
    await startOrigin('one', net.ip(at.one), TARGET),
    await startOrigin('two', net.ip(at.two), TARGET),
    await startOrigin('far', net.ip(at.far), TARGET, meshTls),
    await startOrigin('gateway', net.ip(at.gateway), GATEWAY_PORT, meshTls),
    await startOrigin('other port', net.ip(at.gateway), TARGET + 1),
    await startOrigin('secure', net.ip(at.secure), TARGET, { cert: secure.certificate, key: secure.key }),
  );
  envoy = await startOfflineEnvoy({
    net,
    objects: [
      gateway,
      ...Object.entries(both).flatMap(([name, one]) => [
        ...hostObjects(name, one, false),
        ...hostObjects(name, one, true),
      ]),
      ...Object.entries(listed).flatMap(([name, one]) => hostObjects(name, one, false)),
    ],
    proxy: {
      name: 'client',
      namespace: 'default',
      labels: { app: 'client' },
      ipAddress: net.ip(9),
      locality: { region: 'a', zone: '1', subzone: 'x' },
      metadata: { NETWORK: 'near' },
    },
    meshConfig: decodeMeshConfig({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } }).value,
    identity: { certificate: workload.certificate, key: workload.key, roots: mesh.root },
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all(origins.map((one) => one.close()));
  rmSync(folder, { recursive: true });
});

for (const selected of [false, true]) {
  const where = selected ? 'of WorkloadEntries' : 'of a ServiceEntry’s endpoints';

  test(`weights ${where}`, async () => {
    proves('ServiceEntry.spec.endpoints[].weight', 'WorkloadEntry.spec.weight');
    const { one = 0, two = 0 } = await counts(hostOf('weighted', selected), 30);
    assert.equal(one + two, 30);
    assert.ok(one >= 1 && two > 4 * one, `${one} and ${two}`);
  });

  test(`localities ${where}`, async () => {
    proves('ServiceEntry.spec.endpoints[].locality', 'WorkloadEntry.spec.locality');
    assert.deepEqual(await counts(hostOf('near', selected), 6), { one: 6 });
  });

  test(`labels ${where}`, async () => {
    proves('ServiceEntry.spec.endpoints[].labels[]', 'WorkloadEntry.spec.labels[]');
    assert.deepEqual(await counts(hostOf('labelled', selected), 6), { two: 6 });
  });

  test(`service accounts ${where}: a proxy with that identity is there`, async () => {
    proves('ServiceEntry.spec.endpoints[].serviceAccount', 'WorkloadEntry.spec.serviceAccount');
    const { seen, text } = await get(hostOf('proxied', selected));
    assert.equal(seen?.tls?.client, 'workload', text);
    assert.equal((await get(hostOf('impostor', selected))).status, 503);
  });

  test(`networks ${where}: the way leads through their gateway`, async () => {
    proves('ServiceEntry.spec.endpoints[].network', 'WorkloadEntry.spec.network');
    const host = hostOf('distant', selected);
    const { seen, text } = await get(host);
    assert.deepEqual([seen?.origin, seen?.tls?.sni], ['gateway', `outbound_.${PORT}_._.${host}`], text);
  });

  test(`ports ${where}`, async () => {
    proves('ServiceEntry.spec.endpoints[].ports[]', 'WorkloadEntry.spec.ports[]');
    assert.equal((await get(hostOf('ports-of-its-own', selected))).seen?.origin, 'other port');
  });
}

test('names of the server’s certificate', async () => {
  proves('ServiceEntry.spec.subjectAltNames[]');
  const named = await get(hostOf('named'));
  assert.equal(named.seen?.tls?.sni, 'secure.example', named.text);
  assert.equal((await get(hostOf('misnamed'))).status, 503);
  const identified = await get(hostOf('identified'));
  assert.equal(identified.seen?.tls?.client, 'workload', identified.text);
});

test('namespaces that may see a host', async () => {
  proves('ServiceEntry.spec.exportTo[]');
  for (const [name, status] of [
    ['everybody', 200],
    ['neighbours', 200],
    ['family', 502],
    ['secret', 502],
  ] as const)
    assert.equal((await get(hostOf(name))).status, status, name);
});
