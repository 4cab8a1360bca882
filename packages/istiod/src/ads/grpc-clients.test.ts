import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import * as grpc from '@grpc/grpc-js';
import { defaultMeshConfig } from '@istio-ts/api';
import { createGrpcServer } from '@istio-ts/envoy/grpc';
import type { KubeObject } from '@istio-ts/kube/object';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
  P256,
} from '@istio-ts/security';
import { createEngine, withGrpcClients } from '@istio-ts/xds';
import { istioObject, podObject, serviceObject, sliceObject } from '@istio-ts/xds/testing/objects';
import { createAdsMetrics } from '../metrics/pilot.ts';
import { createAdsServer } from './server.ts';
import { silent } from '../silent-log.test-support.ts';

/** gRPC's own library as a client and as a server of the mesh, without any proxy: all it knows comes from our control plane. */

const PORT = 8099;
const byte = 16 + Math.floor(Math.random() * 200);
const ip = (last: number): string => `127.77.${byte}.${last}`;
const OWN = ip(9);
/** gRPC's server listens on all addresses, whichever it is told, so its port is another one. */
const OWN_PORT = 20_000 + Math.floor(Math.random() * 10_000);

const app = (
  name: string,
  pods: readonly { readonly ip: string; readonly version: string }[],
  port = PORT,
): KubeObject[] => [
  serviceObject({ name }, [{ name: 'grpc', port: 80, targetPort: port }], { selector: { app: name } }),
  ...pods.map((pod, i) =>
    podObject({ name: `${name}-${i}`, labels: { app: name, version: pod.version }, ip: pod.ip, account: name }),
  ),
  sliceObject(
    name,
    [{ name: 'grpc', port, protocol: 'TCP' }],
    pods.map((pod, i) => ({ ip: pod.ip, pod: `${name}-${i}` })),
  ),
];
const versions = [
  { name: 'v1', labels: { version: 'v1' } },
  { name: 'v2', labels: { version: 'v2' } },
];
const to = (subset: string, weight?: number) => ({
  destination: { host: 'echo', subset },
  ...(weight !== undefined && { weight }),
});

const routing = (weights: readonly [number, number]): KubeObject =>
  istioObject(
    'VirtualService',
    { name: 'echo' },
    {
      hosts: ['echo'],
      http: [
        { match: [{ headers: { user: { exact: 'tester' } } }], route: [to('v2')] },
        { route: [to('v1', weights[0]), to('v2', weights[1])] },
      ],
    },
  );

const definition = {
  say: {
    path: '/echo.Echo/Say',
    requestStream: false,
    responseStream: false,
    requestSerialize: (text: string) => Buffer.from(text),
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (text: string) => Buffer.from(text),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  },
};
const Echo = grpc.makeGenericClientConstructor(definition, 'echo.Echo');

function answering(server: grpc.Server, answer: (call: grpc.ServerUnaryCall<string, string>) => string): void {
  server.addService(definition, {
    say: (call: grpc.ServerUnaryCall<string, string>, done: grpc.sendUnaryData<string>) => done(null, answer(call)),
  });
}
const bind = (server: grpc.Server, address: string, credentials: grpc.ServerCredentials): Promise<void> =>
  new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error) => (error ? reject(error) : resolve()));
  });

const cleanups: (() => void | Promise<void>)[] = [];
let sources: MeshSources;
let xds: typeof import('@grpc/grpc-js-xds');
const clients = new Map<string, grpc.Client>();

function say(target: string, user?: string, credentials = grpc.credentials.createInsecure()): Promise<string> {
  const key = `${target} ${credentials._isSecure()}`;
  const client = clients.get(key) ?? new Echo(`xds:///${target}`, credentials);
  clients.set(key, client);
  const metadata = new grpc.Metadata();
  if (user !== undefined) metadata.set('user', user);
  const call = client as unknown as {
    say(
      text: string,
      metadata: grpc.Metadata,
      options: object,
      done: (error: Error | null, answer: string) => void,
    ): void;
  };
  return new Promise((resolve, reject) => {
    call.say('hello', metadata, { deadline: Date.now() + 60_000 }, (error, answer) =>
      error ? reject(error) : resolve(answer),
    );
  });
}

before(async () => {
  const authority = loadAuthority(createRootCertificate({ organization: 'cluster.local', now: new Date() }));
  sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources);
  sources.batch(() => {
    for (const object of [
      ...app('echo', [
        { ip: ip(1), version: 'v1' },
        { ip: ip(2), version: 'v2' },
      ]),
      ...app('secure', [{ ip: OWN, version: 'v1' }], OWN_PORT),
      istioObject('DestinationRule', { name: 'echo' }, { host: 'echo', subsets: versions }),
      routing([100, 0]),
      istioObject(
        'DestinationRule',
        { name: 'secure' },
        { host: 'secure', trafficPolicy: { tls: { mode: 'ISTIO_MUTUAL' } } },
      ),
      istioObject('PeerAuthentication', { name: 'strict' }, { mtls: { mode: 'STRICT' } }),
    ])
      sources.set(object);
  });
  const engine = createEngine(mesh);
  cleanups.push(() => engine.close());
  const ads = createAdsServer({
    source: withGrpcClients(engine),
    trustDomain: 'cluster.local',
    systemNamespace: 'istio-system',
    controlPlaneId: 'test',
    metrics: createAdsMetrics(new MetricsRegistry(), 'test'),
    log: silent,
    now: Date.now,
  });
  const server = createGrpcServer({ methods: ads.methods });
  const { port } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  cleanups.push(() => server.close(50));

  const folder = mkdtempSync(join(tmpdir(), 'grpc-clients-'));
  cleanups.push(() => rmSync(folder, { recursive: true }));
  const key = generatePrivateKey(P256);
  const { chain } = authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'default', serviceAccount: 'secure' },
    now: new Date(),
  });
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  process.env.GRPC_XDS_BOOTSTRAP_CONFIG = JSON.stringify({
    xds_servers: [
      { server_uri: `127.0.0.1:${port}`, channel_creds: [{ type: 'insecure' }], server_features: ['xds_v3'] },
    ],
    node: {
      id: `sidecar~${OWN}~secure-0.default~default.svc.cluster.local`,
      metadata: { GENERATOR: 'grpc', NAMESPACE: 'default' },
      locality: {},
    },
    certificate_providers: {
      default: {
        plugin_name: 'file_watcher',
        config: {
          certificate_file: file('cert-chain.pem', chain),
          private_key_file: file('key.pem', exportPrivateKey(key)),
          ca_certificate_file: file('root-cert.pem', authority.root),
          refresh_interval: '900s',
        },
      },
    },
    server_listener_resource_name_template: 'xds.istio.io/grpc/lds/inbound/%s',
  });
  xds = await import('@grpc/grpc-js-xds');
  xds.register();

  for (const [i, version] of ['v1', 'v2'].entries()) {
    const backend = new grpc.Server();
    answering(backend, () => version);
    await bind(backend, `${ip(i + 1)}:${PORT}`, grpc.ServerCredentials.createInsecure());
    cleanups.push(() => backend.forceShutdown());
  }
  const secured = new xds.XdsServer();
  answering(secured, (call) => {
    const peer = (
      call as unknown as { getAuthContext?(): { sslPeerCertificate?: { subjectaltname?: string } } }
    ).getAuthContext?.().sslPeerCertificate?.subjectaltname;
    return `secured for ${peer}`;
  });
  await bind(secured, `${OWN}:${OWN_PORT}`, new xds.XdsServerCredentials(grpc.ServerCredentials.createInsecure()));
  cleanups.push(() => secured.forceShutdown());
});
after(async () => {
  for (const client of clients.values()) client.close();
  for (const cleanup of cleanups.reverse()) await cleanup();
});

test('requests follow the routes of a VirtualService, under each name of the service', async () => {
  for (const host of ['echo.default.svc.cluster.local', 'echo.default', 'echo']) {
    assert.equal(await say(`${host}:80`), 'v1', host);
    assert.equal(await say(`${host}:80`, 'tester'), 'v2', host);
  }
});

test('a change of weights reaches a connected client', async () => {
  sources.set(routing([50, 50]));
  const seen = new Set<string>();
  for (const deadline = Date.now() + 120_000; seen.size < 2 && Date.now() < deadline; )
    seen.add(await say('echo.default:80'));
  assert.deepEqual([...seen].sort(), ['v1', 'v2']);
});

test('mutual TLS between gRPC libraries, with the certificates of the mesh', async () => {
  const credentials = new xds.XdsChannelCredentials(grpc.credentials.createInsecure());
  assert.match(await say('secure.default.svc.cluster.local:80', undefined, credentials), /^secured/);
  const plain = new Echo(`${OWN}:${OWN_PORT}`, grpc.credentials.createInsecure());
  const refused = await new Promise<Error | null>((resolve) => {
    (plain as unknown as { say(text: string, options: object, done: (error: Error | null) => void): void }).say(
      'hello',
      { deadline: Date.now() + 3000 },
      resolve,
    );
  });
  plain.close();
  assert.ok(refused, 'plain text is refused where mutual TLS is strict');
});
