import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { createGrpcServer, type GrpcServer } from '@istio-ts/envoy/grpc/server';
import { createCsr, describeCertificate, exportPrivateKey, generatePrivateKey } from '@istio-ts/security';
import { cleanups, eventually, freePort, http, type RunningAgent, skip, startAgent } from '../agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from '../fake-istiod.test-support.ts';

/** Where a workload's certificate comes from when it is not istiod that signs it. */

type Authority = Awaited<ReturnType<typeof startFakeIstiod>>['authority'];
const SOCKET = 'var/run/secrets/workload-spiffe-uds/socket';
const TYPE = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

function issue({ sign }: Authority): { readonly chain: string; readonly key: string } {
  const key = generatePrivateKey();
  const { chain } = sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'cart' },
    now: new Date(),
  });
  return { chain, key: exportPrivateKey(key) };
}

/** A program of the node that gives workloads their identity by Envoy's secret discovery, as a SPIRE agent does. */
async function startIdentityProvider(authority: Authority, path: string) {
  let current = issue(authority);
  const listeners = new Set<() => void>();
  const asked: string[] = [];
  const rejected: string[] = [];
  const bytes = (pem: string) => ({ inlineBytes: Buffer.from(pem).toString('base64') });
  const secretOf = (name: string): object | undefined => {
    if (name === 'default')
      return {
        name,
        tlsCertificate: { certificateChain: bytes(current.chain), privateKey: bytes(current.key) },
      };
    // With more than the anchors in it: Envoy has to get that, too.
    if (name === 'ROOTCA') return { name, validationContext: { trustedCa: bytes(authority.root), maxVerifyDepth: 7 } };
    return undefined;
  };
  let server: GrpcServer;
  const start = async (): Promise<void> => {
    rmSync(path, { force: true });
    server = createGrpcServer({
      methods: {
        '/envoy.service.secret.v3.SecretDiscoveryService/StreamSecrets': {
          kind: 'stream',
          handle: async (call) => {
            let names: readonly string[] = [];
            let version = 0;
            const send = (): void => {
              const resources = names.flatMap((name) => secretOf(name) ?? []);
              if (resources.length === 0) return;
              version++;
              void call.write(
                encode('envoy.service.discovery.v3.DiscoveryResponse', {
                  versionInfo: String(version),
                  nonce: String(version),
                  typeUrl: TYPE,
                  resources: resources.map((resource) => ({ '@type': TYPE, ...resource })),
                }),
              );
            };
            listeners.add(send);
            try {
              for await (const message of call.messages()) {
                const request = decode('envoy.service.discovery.v3.DiscoveryRequest', message);
                if (request.errorDetail) rejected.push(request.errorDetail.message ?? '');
                if (request.responseNonce) continue;
                names = request.resourceNames ?? [];
                asked.push(...names);
                send();
              }
            } finally {
              listeners.delete(send);
            }
          },
        },
      },
    });
    await server.listen({ path });
  };
  await start();
  return {
    asked,
    rejected,
    serial: () => describeCertificate(current.chain).serial,
    rotate: () => {
      current = issue(authority);
      for (const send of listeners) send();
    },
    restart: async () => {
      await server.close(0);
      await start();
    },
    close: () => server.close(0),
  };
}

const certificates = async (agent: RunningAgent): Promise<string> =>
  (await http(agent.ports.admin, '/certs')).body.toLowerCase();

async function end(agent: RunningAgent): Promise<void> {
  agent.process.kill('SIGTERM');
  assert.deepEqual(await agent.exit, { code: 0, signal: null });
}

test('a program of the node gives the certificate over its socket, rotates it, and may be away', { skip }, async () => {
  const istiod = await startFakeIstiod([mutualTlsListener(await freePort(), true)]);
  cleanups.push(() => istiod.close());
  let provider: Awaited<ReturnType<typeof startIdentityProvider>> | undefined;
  const agent = await startAgent(istiod, { OUTPUT_CERTS: './out' }, {}, {}, [], async (directory) => {
    mkdirSync(join(directory, SOCKET, '..'), { recursive: true });
    provider = await startIdentityProvider(istiod.authority, join(directory, SOCKET));
  });
  assert.ok(provider);
  const { serial, rotate, restart, asked, rejected, close } = provider;
  cleanups.push(close);
  await eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  assert.ok((await certificates(agent)).includes(serial()));
  // The control plane was asked with it, and for no other one.
  assert.deepEqual(istiod.peers[0], ['spiffe://cluster.local/ns/shop/sa/cart']);
  assert.equal(istiod.issued, 0);
  assert.deepEqual(asked.toSorted(), ['ROOTCA', 'default']);

  rotate();
  await eventually(
    'the next certificate in Envoy',
    () => certificates(agent),
    (body) => body.includes(serial()),
  );
  await restart();
  rotate();
  await eventually(
    'one after a restart',
    () => certificates(agent),
    (body) => body.includes(serial()),
  );
  await close();
  assert.equal((await http(agent.ports.ready, '/healthz/ready')).status, 200);
  assert.deepEqual(rejected, []);
  assert.match(agent.output(), /secrets are served by another program/);
  // A process of its own reads the certificate, when the agent has it already.
  await eventually(
    'the metric of its end',
    () => http(agent.ports.status, '/stats/prometheus'),
    ({ body }) => /^istio_agent_cert_expiry_seconds\{resource_name="default"\} /m.test(body),
  );
  await end(agent);
});

test('a socket that was named and that nobody serves is an error', async () => {
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const agent = await startAgent(istiod, { WORKLOAD_IDENTITY_SOCKET_FILE: 'spire.sock' });
  assert.equal((await agent.exit).code, 1);
  assert.match(agent.output(), /WORKLOAD_IDENTITY_SOCKET_FILE: nobody serves secrets on .*spire\.sock/);
});

test('credentials that a node puts into the pod are taken, and again when they change', { skip }, async () => {
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const put = (directory: string): string => {
    const folder = join(directory, 'var/run/secrets/workload-spiffe-credentials');
    mkdirSync(folder, { recursive: true });
    const { chain, key } = issue(istiod.authority);
    writeFileSync(join(folder, 'ca_certificates.pem'), istiod.authority.root);
    writeFileSync(join(folder, 'private_key.pem'), key);
    writeFileSync(join(folder, 'certificates.pem'), chain);
    return describeCertificate(chain).serial;
  };
  let serial = '';
  const agent = await startAgent(istiod, {}, {}, {}, [], (directory) => {
    serial = put(directory);
  });
  await eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  assert.ok((await certificates(agent)).includes(serial));
  serial = put(agent.directory);
  await eventually(
    'the next ones',
    () => certificates(agent),
    (body) => body.includes(serial),
  );
  assert.equal(istiod.issued, 0);
  await end(agent);
});

test('a provisioned certificate proves the workload to the CA instead of a token', { skip }, async () => {
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const agent = await startAgent(
    istiod,
    { PROV_CERT: './provisioned', OUTPUT_CERTS: './provisioned' },
    {},
    {},
    [],
    (directory) => {
      rmSync(join(directory, 'var/run/secrets'), { recursive: true });
      const folder = join(directory, 'provisioned');
      mkdirSync(folder);
      const { chain, key } = issue(istiod.authority);
      writeFileSync(join(folder, 'root-cert.pem'), istiod.authority.root);
      writeFileSync(join(folder, 'key.pem'), key);
      writeFileSync(join(folder, 'cert-chain.pem'), chain);
    },
  );
  await eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  assert.equal(istiod.issued, 1);
  assert.deepEqual(istiod.tokens, ['']);
  assert.deepEqual(istiod.requesters, ['spiffe://cluster.local/ns/shop/sa/cart']);
  // What the CA gave is what the next request is made with.
  const written = readFileSync(join(agent.directory, 'provisioned/cert-chain.pem'), 'utf8');
  const { serial } = describeCertificate(written);
  await eventually(
    'it in Envoy',
    () => certificates(agent),
    (body) => body.includes(serial),
  );
  await end(agent);
});

test('kinds of key, and the chain that is shown', { skip }, async () => {
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const cases = [
    [{ WORKLOAD_RSA_KEY_SIZE: '3072' }, 'RSA PRIVATE KEY', 'rsa', 3072],
    [{ ECC_SIGNATURE_ALGORITHM: 'ECDSA', ECC_CURVE: 'P384' }, 'EC PRIVATE KEY', 'ec', 'secp384r1'],
    [{ ECC_SIGNATURE_ALGORITHM: 'ECDSA', PKCS8_KEY: 'true' }, 'PRIVATE KEY', 'ec', 'prime256v1'],
  ] as const;
  for (const [env, label, kind, detail] of cases) {
    const agent = await startAgent(istiod, { ...env, OUTPUT_CERTS: './out', SECRET_TTL: '2h', DISABLE_ENVOY: 'true' });
    await eventually(
      'ready',
      () => http(agent.ports.status, '/healthz/ready'),
      ({ status }) => status === 200,
    );
    const pem = readFileSync(join(agent.directory, 'out/key.pem'), 'utf8');
    assert.match(pem, new RegExp(`^-----BEGIN ${label}-----`));
    const { createPrivateKey, X509Certificate } = await import('node:crypto');
    const key = createPrivateKey(pem);
    const details = key.asymmetricKeyDetails;
    assert.deepEqual([key.asymmetricKeyType, details?.modulusLength ?? details?.namedCurve], [kind, detail]);
    const certificate = new X509Certificate(readFileSync(join(agent.directory, 'out/cert-chain.pem'), 'utf8'));
    assert.ok(certificate.checkPrivateKey(key));
    assert.equal(istiod.ttls.at(-1), 7200);
    await end(agent);
  }
});
