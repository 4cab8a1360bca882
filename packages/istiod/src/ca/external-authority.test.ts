// A CA outside the mesh gives certificates: agents and Envoys as in pods, and what a client of Envoy is shown.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from 'node:tls';
import { defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import { cleanups, freePort, skip, startAgent } from '@istio-ts/agent/agent.test-support';
import { mutualTlsListener, startFakeIstiod } from '@istio-ts/agent/fake-istiod.test-support';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, GrpcError, type MethodHandler } from '@istio-ts/envoy/grpc';
import { authoritySettings, authorityValues } from '@istio-ts/injector/certificate-authority';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  createCsr,
  createRevocationList,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  parseCertificates,
  parseCsr,
  parseSpiffe,
} from '@istio-ts/security';
import { proves } from '@istio-ts/xds/field-proof';
import { createCaMetrics } from '../metrics/pilot.ts';
import { createExternalAuthority, forwardsRequests } from './external-authority.ts';
import { createCaService } from './service.ts';

type Ca = NonNullable<MeshConfig['ca']>;
type Tls = NonNullable<Ca['tlsSettings']>;

const PATH = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const NAME = 'ca.outside.example';
/** Long enough for a handshake on a busy machine; agents ask again when most of it is left. */
const LIFE = 20_000;
const OFTEN = { SECRET_GRACE_PERIOD_RATIO: '0.97', SECRET_GRACE_PERIOD_RATIO_JITTER: '0' };

/** The CA: its servers' certificate is for {@link NAME} alone, and it serves who shows a certificate of its root, or a token that it knows. */
async function startOutside() {
  const directory = mkdtempSync(join(tmpdir(), 'outside-'));
  const material = createRootCertificate({ organization: 'outside', now: new Date() });
  const authority = loadAuthority(material);
  const own = authority.issueServer({ dnsNames: [NAME], now: new Date() });
  const requests: { readonly peer: string; readonly token: string; readonly impersonated: unknown }[] = [];
  let delay = 0;
  const method: MethodHandler = {
    kind: 'unary',
    handle: async (bytes, call) => {
      const request = decode('istio.v1.auth.IstioCertificateRequest', bytes);
      const [peer = ''] = call.peer.uris;
      const token = call.metadata.authorization ?? '';
      requests.push({ peer, token, impersonated: request.metadata?.ImpersonatedIdentity });
      await wait(delay);
      if (call.peer.encrypted && peer === '' && token === '')
        throw new GrpcError('UNAUTHENTICATED', 'show a certificate');
      const csr = request.csr ?? '';
      const identity = parseSpiffe(parseCsr(csr).altNames[0]?.value ?? '');
      const issued = authority.sign({ csr, identity, ttl: LIFE, now: new Date() });
      return encode('istio.v1.auth.IstioCertificateResponse', { certChain: issued.response });
    },
  };
  const secure = createGrpcServer({
    methods: { [PATH]: method },
    tls: { key: own.key, cert: own.chain, ca: authority.root },
  });
  const plain = createGrpcServer({ methods: { [PATH]: method } });
  const listen = async (server: typeof secure): Promise<string> =>
    `127.0.0.1:${((await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo).port}`;
  const write = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const key = generatePrivateKey();
  const { chain } = authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'outside', namespace: 'istio-system', serviceAccount: 'istiod' },
    now: new Date(),
  });
  const revoked = (serials: readonly string[]): string =>
    createRevocationList(material, { serials, ttl: 3_600_000, now: new Date() });
  const client = { cert: chain, key: exportPrivateKey(key), ca: authority.root };
  cleanups.push(async () => {
    await Promise.all([secure.close(100), plain.close(100)]);
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    root: authority.root,
    requests,
    client,
    files: {
      root: write('root.pem', authority.root),
      cert: write('cert.pem', chain),
      key: write('key.pem', client.key),
      stranger: write('stranger.pem', createRootCertificate({ organization: 'stranger', now: new Date() }).root),
      nobodyRevoked: write('none.crl', revoked([])),
      serverRevoked: write('all.crl', revoked(parseCertificates(own.chain).map(({ serial }) => serial))),
    },
    secure: await listen(secure),
    plain: await listen(plain),
    slow: (ms: number) => {
      delay = ms;
    },
  };
}

/** What a client of Envoy is shown: organization of the issuer and serial number; undefined while Envoy has no certificate. */
async function shown(port: number): Promise<{ readonly issuer: string; readonly serial: string } | undefined> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    const certificate = socket.getPeerX509Certificate();
    assert.equal(certificate?.subjectAltName, 'URI:spiffe://cluster.local/ns/shop/sa/cart');
    return { issuer: certificate?.issuer ?? '', serial: certificate?.serialNumber ?? '' };
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    return undefined;
  } finally {
    socket.destroy();
  }
}

async function eventually<T>(what: () => string, ask: () => Promise<T | undefined>): Promise<T> {
  for (const end = Date.now() + 120_000; Date.now() < end; await wait(50)) {
    const value = await ask();
    if (value !== undefined) return value;
  }
  return assert.fail(`in vain: ${what()}`);
}

describe('a CA outside the mesh', { skip }, () => {
  it('gives certificates by way of istiod', async () => {
    proves(
      'MeshConfig.ca.address',
      'MeshConfig.ca.requestTimeout',
      'MeshConfig.ca.istiodSide',
      'MeshConfig.ca.tlsSettings.mode',
      'MeshConfig.ca.tlsSettings.clientCertificate',
      'MeshConfig.ca.tlsSettings.privateKey',
      'MeshConfig.ca.tlsSettings.caCertificates',
      'MeshConfig.ca.tlsSettings.caCrl',
      'MeshConfig.ca.tlsSettings.credentialName',
      'MeshConfig.ca.tlsSettings.sni',
      'MeshConfig.ca.tlsSettings.subjectAltNames[]',
      'MeshConfig.ca.tlsSettings.insecureSkipVerify',
    );
    const outside = await startOutside();
    const port = await freePort();
    const istiod = await startFakeIstiod([mutualTlsListener(port, true)]);
    cleanups.push(() => istiod.close());
    let ca: Ca | undefined;
    let token: string | undefined;
    const learned: string[] = [];
    const complaints: string[] = [];
    const log = { debug() {}, info() {}, warn: (text: string) => void complaints.push(text), error() {} };
    const external = createExternalAuthority({
      settings: () => (forwardsRequests(ca) ? ca : undefined),
      defaultTtlMs: 24 * 3_600_000,
      maxTtlMs: 90 * 24 * 3_600_000,
      readFile: (path) => readFileSync(path, 'utf8'),
      readSecret: async (name) => {
        if (name !== 'ca-client') throw new Error('not found');
        return outside.client;
      },
      ownMaterial: () => ({ ...outside.client }),
      ownVersion: () => '1',
      token: () => token,
      clusterId: 'Kubernetes',
      onRoots: (pem) => void learned.push(pem),
      log,
    });
    cleanups.push(external.close);
    const own = istiod.authority.issueServer({ dnsNames: ['localhost'], now: new Date() });
    const server = createGrpcServer({
      methods: createCaService({
        authority: () => external,
        trustDomain: 'cluster.local',
        authenticateToken: async () => ({ authenticated: true, namespace: 'shop', serviceAccount: 'cart' }),
        subject: () => undefined,
        metrics: createCaMetrics(new MetricsRegistry()),
        log,
        now: () => new Date(),
      }),
      tls: { key: own.key, cert: own.chain, ca: istiod.authority.root },
    });
    cleanups.push(() => server.close(100));
    const { port: caPort } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    const agent = await startAgent(istiod, { ...OFTEN, CA_ADDR: `localhost:${caPort}` });
    const talk = () => `${complaints.slice(-3).join('\n')}\n${agent.output().slice(-1500)}`;

    let serial = '';
    const given = async (settings: Ca): Promise<void> => {
      ca = settings;
      // The one that was on its way when the settings changed does not count.
      for (let fresh = 0; fresh < 2; fresh++) {
        const next = await eventually(talk, async () => {
          const now = await shown(port);
          return now !== undefined && now.serial !== serial ? now : undefined;
        });
        serial = next.serial;
        assert.equal(next.issuer, 'O=outside');
      }
    };
    const refused = async (settings: Ca, reason: RegExp): Promise<void> => {
      ca = settings;
      await eventually(talk, async () => {
        complaints.splice(0);
        return eventually(talk, async () => complaints.find((text) => reason.test(text)));
      });
    };
    const { files } = outside;
    const tls: Tls = {
      mode: 'MUTUAL',
      clientCertificate: files.cert,
      privateKey: files.key,
      caCertificates: files.root,
      sni: NAME,
    };
    const with_ = (more: Partial<Tls>, rest: Partial<Ca> = {}): Ca => ({
      address: outside.secure,
      tlsSettings: { ...tls, ...more },
      ...rest,
    });

    // Nothing yet: a client of Envoy is refused.
    await refused(with_({ caCertificates: files.stranger }), /self.signed|issuer|verify/i);
    assert.equal(await shown(port), undefined);
    await given(with_({}));
    assert.deepEqual(outside.requests.at(-1), {
      peer: 'spiffe://outside/ns/istio-system/sa/istiod',
      token: '',
      impersonated: 'spiffe://cluster.local/ns/shop/sa/cart',
    });
    assert.equal(learned[0], outside.root);

    await refused(with_({ mode: 'SIMPLE' }), /FAILED_PRECONDITION|show a certificate/);
    token = 'of-istiod';
    await given(with_({ mode: 'SIMPLE' }));
    assert.equal(outside.requests.at(-1)?.token, 'Bearer of-istiod');
    token = undefined;
    await refused(with_({ sni: '' }), /127\.0\.0\.1/);
    await given(with_({ sni: '', subjectAltNames: ['other.example', NAME] }));
    await refused(with_({ subjectAltNames: ['other.example'] }), /wants other\.example/);
    await given(with_({ caCertificates: '', insecureSkipVerify: true }));
    await refused(with_({ caCrl: files.serverRevoked }), /revoked/i);
    await given(with_({ caCrl: files.nobodyRevoked }));
    outside.slow(400);
    await refused(with_({}, { requestTimeout: '100ms' }), /DEADLINE_EXCEEDED/);
    await given(with_({}, { requestTimeout: '60s' }));
    outside.slow(0);
    const secret = { mode: 'MUTUAL', credentialName: 'missing', sni: NAME } as const;
    await refused({ address: outside.secure, tlsSettings: secret }, /Secret missing: not found/);
    await given({ address: outside.secure, tlsSettings: { ...secret, credentialName: 'ca-client' } });
    await given({ address: outside.secure, tlsSettings: { mode: 'ISTIO_MUTUAL', sni: NAME } });
    await refused({ address: outside.plain, tlsSettings: secret, istiodSide: false }, /meshConfig\.ca names none/);
    await given({ address: outside.plain, tlsSettings: { mode: 'DISABLE' }, istiodSide: true });
    agent.process.kill('SIGTERM');
    await agent.exit;
  });

  it('gives them to agents themselves with istiodSide: false', async () => {
    proves('MeshConfig.ca.istiodSide', 'MeshConfig.ca.address', 'MeshConfig.ca.tlsSettings.caCertificates');
    const outside = await startOutside();
    const port = await freePort();
    const istiod = await startFakeIstiod([mutualTlsListener(port, true)]);
    cleanups.push(() => istiod.close());
    const mesh: MeshConfig = {
      ...defaultMeshConfig(),
      ca: {
        address: outside.secure,
        istiodSide: false,
        tlsSettings: { mode: 'SIMPLE', caCertificates: outside.files.root, sni: NAME },
      },
    };
    const { global } = authorityValues({ global: { caAddress: '' } }, mesh) as { global: { caAddress: string } };
    const { proxyMetadata = {} } = authoritySettings(mesh.defaultConfig, mesh);
    const agent = await startAgent(istiod, { ...proxyMetadata, CA_ADDR: global.caAddress });
    const certificate = await eventually(
      () => agent.output().slice(-2000),
      () => shown(port),
    );
    assert.equal(certificate.issuer, 'O=outside');
    assert.equal(istiod.issued, 0);
    assert.deepEqual(outside.requests.at(-1), { peer: '', token: 'Bearer the-token', impersonated: undefined });
    agent.process.kill('SIGTERM');
    await agent.exit;
  });
});
