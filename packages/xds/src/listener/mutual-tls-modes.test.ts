import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect, type ConnectionOptions } from 'node:tls';
import { decodeMeshConfig } from '@istio-ts/api';
import type { KubeObject } from '@istio-ts/kube/object';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { freePort } from '../testing/envoy.ts';
import { sendBytes } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Which connections a workload takes, as PeerAuthentications say: plain text, mutual TLS of the mesh, or both. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'mutual-tls-modes-'));
const authority = new TestAuthority(folder, 'mesh');
const stranger = new TestAuthority(folder, 'stranger');
const web = authority.issue('web', ['URI:spiffe://cluster.local/ns/shop/sa/web']);
const client = authority.issue('client', ['URI:spiffe://cluster.local/ns/default/sa/client']);

const origins: Origin[] = [];
/** Ports of the workload: one for HTTP, one for bytes, and one that no Service names. */
const ports = { http: 0, tcp: 0, undeclared: 0 };
type Port = keyof typeof ports;

before(async () => {
  for (const name of Object.keys(ports) as Port[]) {
    ports[name] = await freePort();
    origins.push(await startOrigin(name, '127.0.0.1', ports[name]));
  }
});
after(async () => {
  for (const origin of origins) await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const policy = (
  name: string,
  namespace: string,
  spec: Readonly<Record<string, unknown>>,
  createdAt = '2026-01-01T00:00:00Z',
): KubeObject => istioObject('PeerAuthentication', { name, namespace, createdAt }, spec);
const mode = (of: string) => ({ mtls: { mode: of } });
const selector = { matchLabels: { app: 'web' } };

/** Where no Service names a port, connections go on to where they were going, which on this machine is the proxy itself. */
const toOrigin = (port: number): KubeObject =>
  istioObject(
    'EnvoyFilter',
    { name: 'origin', namespace: 'shop' },
    {
      configPatches: [
        {
          applyTo: 'CLUSTER',
          match: { context: 'SIDECAR_INBOUND', cluster: { name: 'InboundPassthroughCluster' } },
          patch: {
            operation: 'MERGE',
            value: {
              type: 'STATIC',
              lb_policy: 'RANDOM',
              load_assignment: {
                cluster_name: 'InboundPassthroughCluster',
                endpoints: [
                  {
                    lb_endpoints: [
                      { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: port } } } },
                    ],
                  },
                ],
              },
            },
          },
        },
      ],
    },
  );

const start = (policies: readonly KubeObject[], meshConfig: object = {}): Promise<OfflineEnvoy> =>
  startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'web-0', namespace: 'shop', labels: { app: 'web' }, ip: net.ip(9), account: 'web' }),
      serviceObject(
        { name: 'web', namespace: 'shop' },
        [
          { name: 'http', port: 80, targetPort: ports.http },
          { name: 'tcp', port: 81, targetPort: ports.tcp },
        ],
        { clusterIP: net.ip(20), clusterIPs: [net.ip(20)] },
      ),
      toOrigin(ports.undeclared),
      ...policies,
    ],
    proxy: { name: 'web-0', namespace: 'shop' },
    identity: { certificate: web.certificate, key: web.key, roots: authority.root },
    meshConfig: decodeMeshConfig({ inboundTrafficPolicy: { mode: 'LOCALHOST' }, ...meshConfig }).value,
    captured: { inbound: { address: net.ip(9), port: ports.http } },
    arrivals: [ports.tcp, ports.undeclared].map((port) => ({ address: net.ip(9), port })),
  });

const request = 'GET / HTTP/1.1\r\nhost: web\r\nconnection: close\r\n\r\n';

/** What comes back first over TLS, as a proxy of the mesh opens it; rejects where the handshake or the request is refused. */
function overTls(port: number, more: ConnectionOptions = {}): Promise<string> {
  const own = { cert: client.certificate, key: client.key, ALPNProtocols: ['istio', 'istio-http/1.1'] };
  return new Promise((resolve, reject) => {
    const socket = connect({ host: net.ip(9), port, rejectUnauthorized: false, ...own, ...more }, () =>
      socket.write(request),
    );
    socket.once('data', (data) => {
      socket.destroy();
      resolve(data.toString());
    });
    socket.on('error', reject);
    socket.on('close', () => reject(new Error('the connection ended without an answer')));
  });
}

/** Whether a try came to the application. */
const arrives = (answer: Promise<string>): Promise<boolean> =>
  answer.then(
    (text) => /HTTP\/1.1 200|^tcp#|^undeclared#/.test(text),
    () => false,
  );

/** What each port takes, by trying. */
async function taken(policies: readonly KubeObject[]): Promise<Readonly<Record<Port, string>>> {
  const envoy = await start(policies);
  try {
    const of = async (port: number) => {
      const plain = await arrives(sendBytes(net.ip(9), port, request));
      const mutual = await arrives(overTls(port));
      return plain && mutual ? 'both' : plain ? 'plain' : mutual ? 'mutual' : 'nothing';
    };
    return { http: await of(ports.http), tcp: await of(ports.tcp), undeclared: await of(ports.undeclared) };
  } finally {
    await envoy.stop();
  }
}
const everywhere = (what: string): Readonly<Record<Port, string>> => ({ http: what, tcp: what, undeclared: what });

test('every mode, for the whole mesh, on declared ports of HTTP and bytes and on others', async () => {
  proves(
    'PeerAuthentication.spec.mtls.mode',
    'PeerAuthentication.spec.mtls.mode=UNSET',
    'PeerAuthentication.spec.mtls.mode=DISABLE',
    'PeerAuthentication.spec.mtls.mode=PERMISSIVE',
    'PeerAuthentication.spec.mtls.mode=STRICT',
  );
  assert.deepEqual(await taken([]), everywhere('both'), 'PERMISSIVE without any policy');
  assert.deepEqual(await taken([policy('default', 'istio-system', mode('UNSET'))]), everywhere('both'));
  assert.deepEqual(await taken([policy('default', 'istio-system', mode('PERMISSIVE'))]), everywhere('both'));
  assert.deepEqual(await taken([policy('default', 'istio-system', mode('STRICT'))]), everywhere('mutual'));
  assert.deepEqual(await taken([policy('default', 'istio-system', mode('DISABLE'))]), everywhere('plain'));
});

test('the workload’s policy before the namespace’s before the mesh’s; UNSET asks the next', async () => {
  proves('PeerAuthentication.spec.mtls.mode', 'PeerAuthentication.spec.selector.matchLabels');
  const strictMesh = policy('default', 'istio-system', mode('STRICT'));
  const disabled = policy('default', 'shop', mode('DISABLE'));
  assert.deepEqual(await taken([strictMesh, disabled]), everywhere('plain'));
  assert.deepEqual(await taken([strictMesh, policy('default', 'shop', mode('UNSET'))]), everywhere('mutual'));
  assert.deepEqual(
    await taken([strictMesh, disabled, policy('web', 'shop', { selector, ...mode('PERMISSIVE') })]),
    everywhere('both'),
  );
  assert.deepEqual(
    await taken([strictMesh, disabled, policy('web', 'shop', { selector, ...mode('UNSET') })]),
    everywhere('plain'),
  );
  const others = [
    policy('elsewhere', 'default', mode('DISABLE')),
    policy('labels', 'shop', { selector: { matchLabels: { app: 'other' } }, ...mode('DISABLE') }),
    // A selector reaches workloads of the policy's own namespace only, be it the root namespace.
    policy('root', 'istio-system', { selector, ...mode('DISABLE') }),
  ];
  assert.deepEqual(await taken([strictMesh, ...others]), everywhere('mutual'), 'policies for others');
});

test('of several policies for the same workloads the oldest counts', async () => {
  proves('PeerAuthentication.spec.mtls.mode');
  const [older, younger] = ['2026-01-01T00:00:00Z', '2026-02-01T00:00:00Z'] as const;
  const pair = (namespace: string, more: object = {}) => [
    policy('a-young', namespace, { ...more, ...mode('DISABLE') }, younger),
    policy('b-old', namespace, { ...more, ...mode('STRICT') }, older),
  ];
  assert.deepEqual(await taken(pair('istio-system')), everywhere('mutual'));
  assert.deepEqual(await taken(pair('shop')), everywhere('mutual'));
  assert.deepEqual(await taken(pair('shop', { selector })), everywhere('mutual'));
});

test('single ports of a workload', async () => {
  proves('PeerAuthentication.spec.portLevelMtls[]', 'PeerAuthentication.spec.selector.matchLabels');
  const spec = (own: string, levels: Readonly<Record<number, string>>) => ({
    selector,
    ...mode(own),
    portLevelMtls: Object.fromEntries(Object.entries(levels).map(([port, of]) => [port, { mode: of }])),
  });
  assert.deepEqual(
    await taken([policy('web', 'shop', spec('STRICT', { [ports.tcp]: 'DISABLE', [ports.undeclared]: 'PERMISSIVE' }))]),
    { http: 'mutual', tcp: 'plain', undeclared: 'both' },
  );
  assert.deepEqual(
    await taken([
      policy('default', 'shop', mode('STRICT')),
      policy('web', 'shop', spec('UNSET', { [ports.http]: 'DISABLE', [ports.tcp]: 'UNSET' })),
    ]),
    { http: 'plain', tcp: 'mutual', undeclared: 'mutual' },
  );
  assert.deepEqual(await taken([policy('web', 'shop', spec('DISABLE', { [ports.http]: 'STRICT' }))]), {
    http: 'mutual',
    tcp: 'plain',
    undeclared: 'plain',
  });
});

test('STRICT takes certificates of the mesh and no others', async () => {
  proves('PeerAuthentication.spec.mtls.mode');
  const envoy = await start([policy('default', 'shop', mode('STRICT'))]);
  const forged = stranger.issue('forged', ['URI:spiffe://cluster.local/ns/default/sa/client']);
  const elsewhere = authority.issue('elsewhere', ['URI:spiffe://other.example/ns/default/sa/client']);
  try {
    assert.equal(await arrives(overTls(ports.http)), true);
    assert.equal(await arrives(overTls(ports.http, { cert: undefined, key: undefined })), false, 'none');
    assert.equal(await arrives(overTls(ports.http, { cert: forged.certificate, key: forged.key })), false, 'forged');
    assert.equal(
      await arrives(overTls(ports.http, { cert: elsewhere.certificate, key: elsewhere.key })),
      false,
      'of another trust domain',
    );
    // Protocol names are for servers that also take other TLS; here none has to be given.
    assert.equal(await arrives(overTls(ports.http, { ALPNProtocols: [] })), true);
  } finally {
    await envoy.stop();
  }
});

test('meshMTLS: versions, cipher suites and curves between proxies', async () => {
  proves(
    'MeshConfig.meshMTLS.minProtocolVersion',
    'MeshConfig.meshMTLS.cipherSuites',
    'MeshConfig.meshMTLS.ecdhCurves',
  );
  const strict = policy('default', 'shop', mode('STRICT'));
  const tries = async (meshMTLS: object | undefined, offers: readonly ConnectionOptions[]) => {
    const envoy = await start([strict], meshMTLS && { meshMTLS });
    try {
      const result: boolean[] = [];
      for (const offer of offers) result.push(await arrives(overTls(ports.http, offer)));
      return result;
    } finally {
      await envoy.stop();
    }
  };
  const v = (version: 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'): ConnectionOptions => ({
    minVersion: version,
    maxVersion: version,
    // The library of Node takes what is this old at its lowest level only.
    ...(version === 'TLSv1.1' && { ciphers: 'DEFAULT@SECLEVEL=0' }),
  });
  assert.deepEqual(await tries(undefined, [v('TLSv1.1'), v('TLSv1.2'), v('TLSv1.3')]), [false, true, true]);
  assert.deepEqual(await tries({ minProtocolVersion: 'TLSV1_3' }, [v('TLSv1.2'), v('TLSv1.3')]), [false, true]);
  const [gcm128, gcm256] = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384'] as const;
  assert.deepEqual(
    await tries({ cipherSuites: [gcm128] }, [
      { ...v('TLSv1.2'), ciphers: gcm256 },
      { ...v('TLSv1.2'), ciphers: gcm128 },
    ]),
    [false, true],
  );
  assert.deepEqual(await tries({ ecdhCurves: ['P-384'] }, [{ ecdhCurve: 'P-256' }, { ecdhCurve: 'P-384' }]), [
    false,
    true,
  ]);
});
