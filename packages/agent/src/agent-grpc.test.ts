import assert from 'node:assert/strict';
import { connect as connectHttp2 } from 'node:http2';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { cleanups, eventually, http, startAgent } from './agent.test-support.ts';
import { startFakeIstiod } from './fake-istiod.test-support.ts';

test('without Envoy a gRPC application gets its bootstrap, certificates and the control plane', async () => {
  const istiod = await startFakeIstiod([
    { name: 'a', resource: { '@type': 'type.googleapis.com/envoy.config.cluster.v3.Cluster', name: 'a' } },
  ]);
  cleanups.push(() => istiod.close());
  const certificates = mkdtempSync(join(tmpdir(), 'agent-test-certificates-'));
  cleanups.push(() => rmSync(certificates, { recursive: true }));
  const agent = await startAgent(istiod, {
    DISABLE_ENVOY: 'true',
    OUTPUT_CERTS: certificates,
    GRPC_XDS_BOOTSTRAP: './etc/istio/proxy/grpc-bootstrap.json',
    ISTIO_META_GENERATOR: 'grpc',
  });
  await eventually(
    'ready with its certificate',
    () => http(agent.ports.status, '/healthz/ready'),
    ({ status }) => status === 200,
  );
  const text = readFileSync(join(agent.directory, 'etc/istio/proxy/grpc-bootstrap.json'), 'utf8');
  const bootstrap = JSON.parse(text) as {
    readonly xds_servers: readonly [{ readonly server_uri: string }];
    readonly node: { readonly id: string; readonly metadata: Readonly<Record<string, unknown>> };
    readonly certificate_providers: { readonly default: { readonly config: Readonly<Record<string, string>> } };
  };
  assert.equal(bootstrap.xds_servers[0].server_uri, `unix://${join(agent.directory, 'etc/istio/proxy/XDS')}`);
  assert.equal(bootstrap.node.metadata.GENERATOR, 'grpc');
  for (const [key, mark] of [
    ['certificate_file', 'BEGIN CERTIFICATE'],
    ['private_key_file', 'PRIVATE KEY'],
    ['ca_certificate_file', 'BEGIN CERTIFICATE'],
  ] as const)
    assert.ok(readFileSync(bootstrap.certificate_providers.default.config[key] ?? '', 'utf8').includes(mark), key);

  // As a gRPC library: HTTP/2 in plain text over the socket.
  const client = connectHttp2('http://localhost', {
    createConnection: () => connectSocket(join(agent.directory, 'etc/istio/proxy/XDS')),
  });
  const stream = client.request({
    ':method': 'POST',
    ':path': '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
    'content-type': 'application/grpc',
    te: 'trailers',
  });
  const request = encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
    node: { id: bootstrap.node.id },
    typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
  });
  const head = Buffer.alloc(5);
  head.writeUInt32BE(request.length, 1);
  stream.write(Buffer.concat([head, request]));
  let received = Buffer.alloc(0);
  stream.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
  });
  await eventually(
    'an answer of the control plane',
    async () => received,
    (bytes) => bytes.length >= 5 && bytes.length >= 5 + bytes.readUInt32BE(1),
  );
  const answer = decode(
    'envoy.service.discovery.v3.DeltaDiscoveryResponse',
    received.subarray(5, 5 + received.readUInt32BE(1)),
  );
  assert.deepEqual(
    (answer.resources ?? []).map(({ name }) => name),
    ['a'],
  );
  assert.deepEqual(istiod.peers.at(-1), ['spiffe://cluster.local/ns/shop/sa/cart']);
  stream.close();
  client.destroy();
  agent.process.kill('SIGTERM');
  assert.deepEqual(await agent.exit, { code: 0, signal: null });
});
