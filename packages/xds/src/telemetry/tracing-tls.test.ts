import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { eventually } from '../testing/envoy.ts';
import { secretObject } from '../testing/objects.ts';
import { ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import { type AccessLogLab, startAccessLogLab } from './access-log.test-support.ts';

/** TLS from a real Envoy to the collector that `defaultConfig.tracing` names, at real TLS servers. */

const folder = mkdtempSync(join(tmpdir(), 'tracing-tls-'));
const authority = new TestAuthority(folder, 'public');
const stranger = new TestAuthority(folder, 'stranger');
const meshAuthority = new TestAuthority(folder, 'mesh');
const NAME = 'collector.example';
const MESH_NAME = 'spiffe://cluster.local/ns/tracing/sa/collector';
const server = authority.issue('server', [`DNS:${NAME}`]);
const client = authority.issue('client', ['DNS:client.example']);
const meshServer = meshAuthority.issue('mesh-server', [`URI:${MESH_NAME}`]);
const workload = meshAuthority.issue('workload', ['URI:spiffe://cluster.local/ns/default/sa/client']);
const roots = { caCertificates: authority.rootFile };

let lab: AccessLogLab;
const receivers: { plain?: Origin; secure?: Origin; mesh?: Origin } = {};
type Receiver = keyof typeof receivers;
const LAST: Readonly<Record<Receiver, number>> = { plain: 50, secure: 51, mesh: 52 };

before(async () => {
  lab = await startAccessLogLab();
  const tls = { requestCert: true, rejectUnauthorized: false, ALPNProtocols: ['istio-http/1.1', 'http/1.1'] };
  receivers.plain = await startOrigin('plain', lab.net.ip(LAST.plain), ORIGIN_PORT);
  receivers.secure = await startOrigin('secure', lab.net.ip(LAST.secure), ORIGIN_PORT, {
    ...tls,
    cert: server.certificate,
    key: server.key,
    ca: authority.root,
  });
  receivers.mesh = await startOrigin('mesh', lab.net.ip(LAST.mesh), ORIGIN_PORT, {
    ...tls,
    cert: meshServer.certificate,
    key: meshServer.key,
    ca: meshAuthority.root,
  });
});

after(async () => {
  await Promise.all(Object.values(receivers).map((one) => one?.close()));
  await lab?.close();
  rmSync(folder, { recursive: true });
});

/** What comes of the spans of a sidecar: how they arrived, or the counters of TLS that went wrong. */
type Outcome =
  | { readonly kind: 'arrived'; readonly tls: Arrival['tls'] }
  | { readonly kind: 'refused'; readonly by: readonly string[] };

const FAILURES = ['connection_error', 'fail_verify_error', 'fail_verify_san', 'fail_verify_no_cert'];

async function outcome(
  to: Receiver,
  tlsSettings: object | undefined,
  place: 'mesh' | 'proxy' = 'mesh',
): Promise<Outcome> {
  const origin = receivers[to] as Origin;
  const before = origin.arrivals.length;
  const tracing = {
    zipkin: { address: `${origin.address}:${origin.port}` },
    sampling: 100,
    ...(tlsSettings && { tlsSettings }),
  };
  const { certificate, key } = workload;
  let result: Outcome | undefined;
  await lab.withSidecar(
    {
      mesh: place === 'mesh' ? { defaultConfig: { tracing } } : {},
      objects: [
        secretObject(
          { name: 'collector-credential' },
          { 'tls.crt': client.certificate, 'tls.key': client.key, 'ca.crt': authority.root },
        ),
      ],
      more: {
        identity: { certificate, key, roots: meshAuthority.root },
        ...(place === 'proxy' && {
          proxy: { name: 'client', namespace: 'default', metadata: { PROXY_CONFIG: { tracing } } },
        }),
      },
    },
    async (envoy) => {
      // Envoy sends spans as soon as it has five of them.
      for (let i = 0; i < 5; i++) assert.equal((await lab.arriving('/')).status, 200);
      result = await eventually(async (): Promise<Outcome | undefined> => {
        const arrival = origin.arrivals.slice(before).find(({ path }) => path === '/api/v2/spans');
        if (arrival !== undefined) return { kind: 'arrived', tls: arrival.tls };
        const stats = await envoy.admin('/stats?filter=^cluster\\.zipkin\\.(ssl|upstream_cx_connect_fail)');
        const by = FAILURES.filter((name) => new RegExp(`ssl\\.${name}: [1-9]`).test(stats));
        return by.length > 0 ? { kind: 'refused', by } : undefined;
      }, 'spans or the reason why there are none');
    },
  );
  return result as Outcome;
}

const arrived = async (...of: Parameters<typeof outcome>): Promise<Arrival['tls']> => {
  const found = await outcome(...of);
  assert.equal(found.kind, 'arrived', JSON.stringify(found));
  return found.kind === 'arrived' ? found.tls : undefined;
};
const refused = async (...of: Parameters<typeof outcome>): Promise<readonly string[]> => {
  const found = await outcome(...of);
  assert.equal(found.kind, 'refused', JSON.stringify(found));
  return found.kind === 'refused' ? found.by : [];
};

test('modes: plain text, TLS, mutual TLS by files, mutual TLS of the mesh', async () => {
  proves(
    'MeshConfig.defaultConfig.tracing.tlsSettings.mode',
    'MeshConfig.defaultConfig.tracing.tlsSettings.clientCertificate',
    'MeshConfig.defaultConfig.tracing.tlsSettings.privateKey',
    'MeshConfig.defaultConfig.tracing.tlsSettings.caCertificates',
    'MeshConfig.defaultConfig.tracing.tlsSettings.sni',
  );
  assert.equal(await arrived('plain', undefined), undefined);
  assert.equal(await arrived('plain', { mode: 'DISABLE', sni: NAME }), undefined);
  const simple = await arrived('secure', { mode: 'SIMPLE', ...roots, sni: NAME });
  assert.deepEqual([simple?.sni, simple?.client], [NAME, undefined]);
  const mutual = await arrived('secure', {
    mode: 'MUTUAL',
    ...roots,
    clientCertificate: client.certificateFile,
    privateKey: client.keyFile,
    sni: NAME,
  });
  assert.equal(mutual?.client, 'client');
  const ofMesh = await arrived('mesh', { mode: 'ISTIO_MUTUAL', sni: NAME, subjectAltNames: [MESH_NAME] });
  assert.deepEqual([ofMesh?.sni, ofMesh?.client, ofMesh?.alpn], [NAME, 'workload', 'istio-http/1.1']);
});

test('whom the proxy believes: roots, names, revocations, or everybody', async () => {
  proves(
    'MeshConfig.defaultConfig.tracing.tlsSettings.caCertificates',
    'MeshConfig.defaultConfig.tracing.tlsSettings.subjectAltNames',
    'MeshConfig.defaultConfig.tracing.tlsSettings.insecureSkipVerify',
    'MeshConfig.defaultConfig.tracing.tlsSettings.caCrl',
  );
  const simple = { mode: 'SIMPLE', ...roots, sni: NAME };
  assert.ok((await arrived('secure', { ...simple, subjectAltNames: [NAME] })) !== undefined);
  assert.ok((await refused('secure', { ...simple, subjectAltNames: ['other.example'] })).includes('fail_verify_san'));
  const untrusted = { ...simple, caCertificates: stranger.rootFile };
  assert.ok((await refused('secure', untrusted)).includes('fail_verify_error'));
  assert.ok((await arrived('secure', { ...untrusted, insecureSkipVerify: true })) !== undefined);
  const revoked = await refused('secure', { ...simple, caCrl: authority.revocations(server) });
  assert.ok(revoked.includes('fail_verify_error'));
  const wrongIdentity = { mode: 'ISTIO_MUTUAL', subjectAltNames: ['spiffe://cluster.local/ns/tracing/sa/other'] };
  assert.ok((await refused('mesh', wrongIdentity)).includes('fail_verify_san'));
});

test('a Secret of the proxy’s namespace, where the mesh names it and not only the proxy', async () => {
  proves('MeshConfig.defaultConfig.tracing.tlsSettings.credentialName');
  const credential = { mode: 'MUTUAL', credentialName: 'collector-credential', sni: NAME };
  assert.equal((await arrived('secure', credential))?.client, 'client');
  // Without the Secret the collector is checked against public roots.
  assert.ok((await refused('secure', credential, 'proxy')).includes('fail_verify_error'));
});
