import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { TrustBundles } from '@istio-ts/mesh';
import { proves } from '../field-proof.ts';
import { type Issued, TestAuthority } from '../testing/authority.ts';
import { freePort } from '../testing/envoy.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import { LoopbackNet, type OfflineEnvoy, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** Whose certificates a workload takes where the mesh configuration names authorities beside the mesh's own. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'trust-bundle-'));
const mesh = new TestAuthority(folder, 'mesh');
const second = new TestAuthority(folder, 'second');
const partner = new TestAuthority(folder, 'partner');
const own = 'URI:spiffe://cluster.local/ns/default/sa/client';
const old = 'URI:spiffe://old.domain/ns/default/sa/client';
const foreign = 'URI:spiffe://partner.example/ns/billing/sa/worker';
const server = mesh.issue('web', ['URI:spiffe://cluster.local/ns/shop/sa/web']);
let port = 0;
let origin: Origin;

before(async () => {
  port = await freePort();
  origin = await startOrigin('web', '127.0.0.1', port);
});
after(async () => {
  await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

function start(caCertificates: readonly object[], trustBundles: TrustBundles): Promise<OfflineEnvoy> {
  return startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'web-0', namespace: 'shop', labels: { app: 'web' }, ip: net.ip(9), account: 'web' }),
      serviceObject({ name: 'web', namespace: 'shop' }, [{ name: 'http', port: 80, targetPort: port }], {
        clusterIP: net.ip(20),
        clusterIPs: [net.ip(20)],
      }),
      istioObject('PeerAuthentication', { name: 'default', namespace: 'shop' }, { mtls: { mode: 'STRICT' } }),
    ],
    proxy: { name: 'web-0', namespace: 'shop' },
    // The agent's roots are those of the mesh alone: what else is trusted comes from the control plane.
    identity: { certificate: server.certificate, key: server.key, roots: mesh.root },
    meshConfig: decodeMeshConfig({
      inboundTrafficPolicy: { mode: 'LOCALHOST' },
      trustDomainAliases: ['old.domain'],
      caCertificates,
    }).value,
    trustBundles,
    captured: { inbound: { address: net.ip(9), port } },
  });
}

const admits = ({ certificate, key }: Issued): Promise<boolean> =>
  tlsGet(net.ip(9), port, { servername: 'web', cert: certificate, key, ALPNProtocols: ['istio-http/1.1'] }).then(
    ({ status }) => status === 200,
    () => false,
  );

test('an authority without trust domains vouches for the mesh’s own, and a revoked certificate is refused', async () => {
  proves('MeshConfig.caCertificates[].pem');
  const revoked = mesh.issue('revoked', [own]);
  const crl = [mesh.revocations(revoked), second.revocations()].map((file) => readFileSync(file, 'utf8')).join('');
  const both = mesh.root + second.root;
  const envoy = await start([{ pem: second.root }], { domains: { 'cluster.local': both, 'old.domain': both }, crl });
  try {
    assert.equal(await admits(mesh.issue('a', [own])), true);
    assert.equal(await admits(second.issue('a', [own])), true);
    assert.equal(await admits(second.issue('b', [old])), true);
    assert.equal(await admits(partner.issue('a', [own])), false);
    assert.equal(await admits(second.issue('c', [foreign])), false, 'nobody named that domain');
    assert.equal(await admits(revoked), false);
  } finally {
    await envoy.stop();
  }
});

test('the authority of another trust domain vouches for that one and no other', async () => {
  proves('MeshConfig.caCertificates[].trustDomains[]');
  const envoy = await start([{ pem: partner.root, trustDomains: ['partner.example'] }], {
    domains: { 'cluster.local': mesh.root, 'old.domain': mesh.root, 'partner.example': partner.root },
  });
  try {
    assert.equal(await admits(mesh.issue('d', [own])), true);
    assert.equal(await admits(mesh.issue('e', [old])), true, 'an alias has the anchors of the mesh');
    assert.equal(await admits(partner.issue('d', [foreign])), true);
    assert.equal(await admits(partner.issue('e', [own])), false, 'the partner makes no identities of the mesh');
    assert.equal(await admits(mesh.issue('f', [foreign])), false, 'nor the mesh those of the partner');
    assert.equal(await admits(second.issue('d', [foreign])), false);
    assert.equal(await admits(mesh.issue('g', ['URI:spiffe://elsewhere.example/ns/a/sa/b'])), false);
  } finally {
    await envoy.stop();
  }
});

test('a revoked certificate is refused where several domains are trusted, and each still has its own anchors', async () => {
  proves('MeshConfig.caCertificates[].trustDomains[]');
  const revoked = mesh.issue('revoked-2', [own]);
  const revokedOld = mesh.issue('revoked-3', [old]);
  mesh.revocations(revokedOld);
  const crl = readFileSync(mesh.revocations(revoked), 'utf8');
  const named = [{ pem: partner.root, trustDomains: ['partner.example'] }];
  const domains = { 'cluster.local': mesh.root, 'old.domain': mesh.root, 'partner.example': partner.root };
  const envoy = await start(named, { domains, crl });
  try {
    assert.equal(await admits(mesh.issue('i', [own])), true);
    assert.equal(await admits(revoked), false);
    assert.equal(await admits(revokedOld), false, 'an alias has the list, too');
    assert.equal(await admits(partner.issue('i', [foreign])), true, 'the mesh has no list of the partner');
    assert.equal(await admits(mesh.issue('j', [foreign])), false);
    assert.equal(await admits(partner.issue('j', [own])), false);
  } finally {
    await envoy.stop();
  }
  // Fails closed: with a list, but none of the authority that has signed, nobody is admitted.
  const foreignList = readFileSync(second.revocations(), 'utf8');
  const other = await start(named, { domains, crl: foreignList });
  try {
    assert.equal(await admits(mesh.issue('k', [own])), false);
    assert.equal(await admits(partner.issue('k', [foreign])), true);
  } finally {
    await other.stop();
  }
});

test('a client takes a server of another domain with the anchors of that domain only, and no revoked one', async () => {
  proves('MeshConfig.caCertificates[].trustDomains[]');
  const revoked = mesh.issue('revoked-4', ['URI:spiffe://cluster.local/ns/billing/sa/api']);
  const crl = readFileSync(mesh.revocations(revoked), 'utf8');
  const shown: Readonly<Record<string, { readonly names: string; readonly server: Issued }>> = {
    partner: {
      names: 'partner.example',
      server: partner.issue('l', ['URI:spiffe://partner.example/ns/billing/sa/api']),
    },
    forged: { names: 'partner.example', server: mesh.issue('l', ['URI:spiffe://partner.example/ns/billing/sa/api']) },
    own: { names: 'cluster.local', server: mesh.issue('m', ['URI:spiffe://cluster.local/ns/billing/sa/api']) },
    usurped: { names: 'cluster.local', server: partner.issue('m', ['URI:spiffe://cluster.local/ns/billing/sa/api']) },
    revoked: { names: 'cluster.local', server: revoked },
    other: {
      names: 'partner.example',
      server: partner.issue('n', ['URI:spiffe://partner.example/ns/billing/sa/other']),
    },
  };
  const servers = await Promise.all(
    Object.entries(shown).map(
      async (
        [
          name,
          {
            names,
            server: { certificate, key },
          },
        ],
        index,
      ) => {
        const tls = createServer(
          { cert: certificate, key, requestCert: true, rejectUnauthorized: false },
          (_, response) => response.end(name),
        );
        await new Promise<void>((done) => tls.listen(0, net.ip(100 + index), done));
        return { name, names, tls, ip: net.ip(100 + index), port: (tls.address() as AddressInfo).port };
      },
    ),
  );
  const envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'web-0', namespace: 'shop', labels: { app: 'web' }, ip: net.ip(9), account: 'web' }),
      ...servers.flatMap(({ name, names, ip, port: targetPort }, index) => [
        istioObject(
          'ServiceEntry',
          { name, namespace: 'shop' },
          {
            hosts: [`${name}.example`],
            addresses: [net.ip(150 + index)],
            ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort }],
            resolution: 'STATIC',
            location: 'MESH_INTERNAL',
            endpoints: [{ address: ip }],
            subjectAltNames: [`spiffe://${names}/ns/billing/sa/api`],
          },
        ),
        istioObject(
          'DestinationRule',
          { name, namespace: 'shop' },
          { host: `${name}.example`, trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } },
        ),
      ]),
    ],
    proxy: { name: 'web-0', namespace: 'shop' },
    identity: { certificate: server.certificate, key: server.key, roots: mesh.root },
    meshConfig: decodeMeshConfig({ caCertificates: [{ pem: partner.root, trustDomains: ['partner.example'] }] }).value,
    trustBundles: { domains: { 'cluster.local': mesh.root, 'partner.example': partner.root }, crl },
  });
  try {
    const answers: Record<string, string> = {};
    for (const { name } of servers) {
      const { status, body } = await httpGet({ address: net.everywhere, port: 80, host: `${name}.example` });
      answers[name] = status === 200 ? body : `${status}`;
    }
    assert.deepEqual(answers, {
      partner: 'partner',
      forged: '503',
      own: 'own',
      usurped: '503',
      revoked: '503',
      other: '503',
    });
  } finally {
    await envoy.stop();
    for (const { tls } of servers) {
      tls.closeAllConnections();
      tls.close();
    }
  }
});

test('workloads of another domain are admitted once its SPIFFE bundle is there', async () => {
  proves('MeshConfig.caCertificates[].spiffeBundleUrl');
  const named = [{ spiffeBundleUrl: 'https://partner.example/bundle', trustDomains: ['partner.example'] }];
  const tries = async (fetched: string) => {
    const envoy = await start(named, { domains: { 'cluster.local': mesh.root, 'partner.example': fetched } });
    try {
      return { own: await admits(mesh.issue('h', [own])), partner: await admits(partner.issue('h', [foreign])) };
    } finally {
      await envoy.stop();
    }
  };
  assert.deepEqual(await tries(''), { own: true, partner: false });
  assert.deepEqual(await tries(partner.root), { own: true, partner: true });
});
