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
import { istioObject, podObject, serviceObject, sliceObject } from '../testing/objects.ts';
import { LoopbackNet, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** How a client speaks to each pod of a service when nobody tells it: as the PeerAuthentications of the other side let it. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'automatic-tls-'));
const authority = new TestAuthority(folder, 'mesh');
const server = authority.issue('mixed', ['URI:spiffe://cluster.local/ns/shop/sa/mixed']);
const client = authority.issue('client', ['URI:spiffe://cluster.local/ns/default/sa/client']);

/** Pods of one service: two versions with a sidecar and one pod without. */
const pods = { v1: 1, v2: 2, plain: 3 } as const;
const targets = { first: 8080, second: 8081 } as const;
const servicePorts = { first: 9610, second: 9611 } as const;
type Port = keyof typeof targets;

const objects: readonly KubeObject[] = [
  serviceObject(
    { name: 'mixed', namespace: 'shop' },
    (Object.keys(targets) as Port[]).map((name) => ({
      name,
      port: servicePorts[name],
      targetPort: targets[name],
      appProtocol: 'http',
    })),
    { clusterIP: net.ip(20), clusterIPs: [net.ip(20)] },
  ),
  ...Object.entries(pods).map(([version, last]) =>
    podObject({
      name: version,
      namespace: 'shop',
      labels: { app: 'mixed', version },
      ip: net.ip(last),
      account: 'mixed',
      mesh: version !== 'plain',
    }),
  ),
  sliceObject(
    'mixed',
    (Object.keys(targets) as Port[]).map((name) => ({ name, port: targets[name], protocol: 'TCP' })),
    Object.entries(pods).map(([pod, last]) => ({ ip: net.ip(last), pod })),
    'shop',
  ),
];

const origins: Origin[] = [];
before(async () => {
  for (const [version, last] of Object.entries(pods))
    for (const port of Object.values(targets))
      origins.push(
        await startOrigin(version, net.ip(last), port, {
          cert: server.certificate,
          key: server.key,
          requestCert: true,
          rejectUnauthorized: false,
        }),
      );
});
after(async () => {
  for (const origin of origins) await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const policy = (name: string, namespace: string, spec: Readonly<Record<string, unknown>>): KubeObject =>
  istioObject('PeerAuthentication', { name, namespace }, spec);
const mtls = (mode: string) => ({ mtls: { mode } });

/** How requests come to each pod, by port: in mutual TLS with the client's certificate, or in plain text. */
async function seen(
  more: readonly KubeObject[],
  meshConfig: object = {},
): Promise<Readonly<Record<Port, Readonly<Record<string, string>>>>> {
  const envoy = await startOfflineEnvoy({
    net,
    objects: [...objects, ...more],
    proxy: { name: 'client', namespace: 'default' },
    identity: { certificate: client.certificate, key: client.key, roots: authority.root },
    meshConfig: decodeMeshConfig(meshConfig).value,
  });
  const of = async (port: Port) => {
    const found: Record<string, string> = {};
    // Round robin: after some turns each pod has been asked.
    for (let turn = 0; turn < 30 && Object.keys(found).length < 3; turn++) {
      const answer = await call('/', { address: net.everywhere, port: servicePorts[port], host: 'mixed.shop' });
      const arrival = answer.seen;
      if (arrival) found[arrival.origin] = arrival.tls?.client === 'client' ? 'mutual' : arrival.tls ? 'tls' : 'plain';
      else found[`status ${answer.status}`] = answer.text;
    }
    return Object.fromEntries(Object.entries(found).sort());
  };
  try {
    return { first: await of('first'), second: await of('second') };
  } finally {
    await envoy.stop();
  }
}
const all = (of: Readonly<Record<string, string>>) => ({ first: of, second: of });
const usual = { plain: 'plain', v1: 'mutual', v2: 'mutual' };

test('pods with a proxy get mutual TLS, others of the same service plain text', async () => {
  proves('MeshConfig.enableAutoMtls');
  assert.deepEqual(await seen([]), all(usual));
  // Without a proxy there is nobody who would speak TLS, whatever the mode demands of the workload.
  assert.deepEqual(await seen([policy('default', 'istio-system', mtls('STRICT'))]), all(usual));
  const never = { plain: 'plain', v1: 'plain', v2: 'plain' };
  assert.deepEqual(await seen([], { enableAutoMtls: false }), all(never));
});

test('the client follows the mode of each workload and each port', async () => {
  proves(
    'PeerAuthentication.spec.mtls.mode',
    'PeerAuthentication.spec.portLevelMtls[]',
    'PeerAuthentication.spec.selector.matchLabels',
  );
  const plain = { plain: 'plain', v1: 'plain', v2: 'plain' };
  assert.deepEqual(await seen([policy('default', 'istio-system', mtls('DISABLE'))]), all(plain));
  assert.deepEqual(
    await seen([policy('default', 'istio-system', mtls('DISABLE')), policy('default', 'shop', mtls('PERMISSIVE'))]),
    all(usual),
  );
  const onlyV1 = { selector: { matchLabels: { version: 'v1' } } };
  assert.deepEqual(
    await seen([policy('v1', 'shop', { ...onlyV1, ...mtls('DISABLE') })]),
    all({ ...usual, v1: 'plain' }),
  );
  assert.deepEqual(
    await seen([
      policy('v1', 'shop', { ...onlyV1, ...mtls('STRICT'), portLevelMtls: { [targets.second]: { mode: 'DISABLE' } } }),
    ]),
    { first: usual, second: { ...usual, v1: 'plain' } },
    'ports of the workload, not of the Service',
  );
  assert.deepEqual(
    await seen([
      policy('v1', 'shop', { ...onlyV1, ...mtls('DISABLE'), portLevelMtls: { [targets.first]: { mode: 'STRICT' } } }),
    ]),
    { first: usual, second: { ...usual, v1: 'plain' } },
  );
});

test('a DestinationRule that says how to speak goes before it', async () => {
  proves('PeerAuthentication.spec.mtls.mode', 'DestinationRule.spec.trafficPolicy.tls.mode');
  const rule = (mode: string) =>
    istioObject(
      'DestinationRule',
      { name: 'mixed', namespace: 'shop' },
      { host: 'mixed.shop.svc.cluster.local', trafficPolicy: { tls: { mode } } },
    );
  assert.deepEqual(await seen([rule('DISABLE')]), all({ plain: 'plain', v1: 'plain', v2: 'plain' }));
  assert.deepEqual(
    await seen([rule('ISTIO_MUTUAL'), policy('default', 'istio-system', mtls('DISABLE'))]),
    all({ plain: 'mutual', v1: 'mutual', v2: 'mutual' }),
  );
});
