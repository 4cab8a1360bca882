import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { decode, encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc/client';
import { createLogger } from '../log.ts';
import {
  decodeCertificateResponse,
  decodeDeltaRequest,
  decodeDiscoveryRequest,
  encodeCertificateRequest,
  SECRET_TYPE,
} from './messages.ts';
import { startSdsServer } from './server.ts';
import type { SdsServer } from './server.ts';
import { SecretStore } from './store.ts';

const directory = mkdtempSync(join(tmpdir(), 'agent-sds-'));
const socketFile = join(directory, 'deep/er/socket');
const store = new SecretStore();
const wanted: string[] = [];
const lines: string[] = [];
let server: SdsServer;
before(async () => {
  server = await startSdsServer({
    socketFile,
    store,
    want: (name) => wanted.push(name),
    log: createLogger({ write: (line) => lines.push(line) }),
  });
});
after(async () => {
  await server.close();
  rmSync(directory, { recursive: true });
});

test('messages are those of the generic encoder', () => {
  assert.deepEqual(
    decode('istio.v1.auth.IstioCertificateRequest', encodeCertificateRequest('CSR', 86400, { CertSigner: 'x' })),
    {
      csr: 'CSR',
      validityDuration: '86400',
      metadata: { CertSigner: 'x' },
    },
  );
  assert.deepEqual(
    decodeCertificateResponse(encode('istio.v1.auth.IstioCertificateResponse', { certChain: ['a', 'ä'] })),
    ['a', 'ä'],
  );
  const status = { code: 3, message: 'bad key' };
  assert.deepEqual(
    decodeDiscoveryRequest(
      encode('envoy.service.discovery.v3.DiscoveryRequest', {
        versionInfo: '1',
        node: { id: 'n' },
        typeUrl: SECRET_TYPE,
        resourceNames: ['a', 'b'],
        responseNonce: '7',
        errorDetail: status,
      }),
    ),
    { typeUrl: SECRET_TYPE, names: ['a', 'b'], unsubscribe: [], nonce: '7', error: 'bad key' },
  );
  assert.deepEqual(
    decodeDeltaRequest(
      encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
        typeUrl: SECRET_TYPE,
        resourceNamesSubscribe: ['a'],
        resourceNamesUnsubscribe: ['b'],
        responseNonce: '7',
        errorDetail: status,
      }),
    ),
    { typeUrl: SECRET_TYPE, names: ['a'], unsubscribe: ['b'], nonce: '7', error: 'bad key' },
  );
});

const SERVICE = '/envoy.service.secret.v3.SecretDiscoveryService';
const base64 = (text: string): string => Buffer.from(text).toString('base64');

test('state of the world: a secret comes when it is there and again when it changes', async () => {
  const channel = openGrpcChannel({ kind: 'unix', path: socketFile });
  const stream = await channel.stream(`${SERVICE}/StreamSecrets`);
  const messages = stream.messages();
  const request = (fields: object): Promise<void> =>
    stream.write(
      encode('envoy.service.discovery.v3.DiscoveryRequest', {
        typeUrl: SECRET_TYPE,
        resourceNames: ['late'],
        ...fields,
      }),
    );
  const next = async () =>
    decode('envoy.service.discovery.v3.DiscoveryResponse', (await messages.next()).value ?? Buffer.alloc(0));
  await request({});
  while (!wanted.includes('late')) await new Promise((resolve) => setTimeout(resolve, 5));
  store.put('late', { kind: 'certificate', chain: 'CHAIN', key: 'KEY' });
  const first = await next();
  assert.deepEqual(first.resources, [
    {
      '@type': SECRET_TYPE,
      name: 'late',
      tlsCertificate: {
        certificateChain: { inlineBytes: base64('CHAIN') },
        privateKey: { inlineBytes: base64('KEY') },
      },
    },
  ]);
  await request({ versionInfo: first.versionInfo, responseNonce: first.nonce });
  store.put('late', { kind: 'certificate', chain: 'CHAIN', key: 'KEY' });
  store.put('late', { kind: 'certificate', chain: 'CHAIN2', key: 'KEY' });
  const second = await next();
  assert.notEqual(second.versionInfo, first.versionInfo);
  assert.match(JSON.stringify(second.resources), new RegExp(base64('CHAIN2')));
  await request({ responseNonce: second.nonce, errorDetail: { message: 'bad' } });
  while (!lines.some((line) => /Envoy refused a secret\tnames=late\treason=bad/.test(line)))
    await new Promise((resolve) => setTimeout(resolve, 5));
  channel.close();
});

test('delta: only what changed is sent, nothing after unsubscribing', async () => {
  store.put('one', { kind: 'root', trustedCa: 'ROOT' });
  const channel = openGrpcChannel({ kind: 'unix', path: socketFile });
  const stream = await channel.stream(`${SERVICE}/DeltaSecrets`);
  const messages = stream.messages();
  const request = (fields: object): Promise<void> =>
    stream.write(encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', { typeUrl: SECRET_TYPE, ...fields }));
  const next = async () =>
    decode('envoy.service.discovery.v3.DeltaDiscoveryResponse', (await messages.next()).value ?? Buffer.alloc(0));
  await request({ resourceNamesSubscribe: ['one', 'two'] });
  assert.deepEqual(
    (await next()).resources?.map(({ name }) => name),
    ['one'],
  );
  store.put('two', { kind: 'root', trustedCa: 'ROOT' });
  assert.deepEqual(
    (await next()).resources?.map(({ name, resource }) => ({ name, resource })),
    [
      {
        name: 'two',
        resource: {
          '@type': SECRET_TYPE,
          name: 'two',
          validationContext: { trustedCa: { inlineBytes: base64('ROOT') } },
        },
      },
    ],
  );
  await request({ resourceNamesUnsubscribe: ['one'] });
  await request({ resourceNamesSubscribe: ['three'] });
  while (!wanted.includes('three')) await new Promise((resolve) => setTimeout(resolve, 5));
  store.put('one', { kind: 'root', trustedCa: 'OTHER' });
  store.put('three', { kind: 'root', trustedCa: 'ROOT' });
  assert.deepEqual(
    (await next()).resources?.map(({ name }) => name),
    ['three'],
  );
  channel.close();
});

test("other types and damaged requests are refused; the socket is the user's alone", async () => {
  const channel = openGrpcChannel({ kind: 'unix', path: socketFile });
  await assert.rejects(
    channel.unary(`${SERVICE}/FetchSecrets`, encode('envoy.service.discovery.v3.DiscoveryRequest', { typeUrl: 'x' })),
    /only secrets/,
  );
  await assert.rejects(channel.unary(`${SERVICE}/FetchSecrets`, Buffer.of(0x0a, 0xff)), /malformed/);
  await assert.rejects(channel.unary(`${SERVICE}/Nothing`, Buffer.alloc(0)), /no method/);
  channel.close();
  assert.equal(statSync(socketFile).mode & 0o777, 0o600);
});
