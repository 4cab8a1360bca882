import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { blob, type Digest } from '../oci/blob.ts';
import { buildIndex } from '../oci/image.ts';
import { attach, referrersTag } from './attach.ts';
import { registryClient } from './client.ts';
import { push } from './push.ts';
import { registryAddress, remoteImage } from './reference.ts';
import { images, LOGIN, tokenRegistry } from './registry.test-support.ts';
import { RegistryError } from './registry-error.ts';

test('names of images are taken apart; a registry on this machine and a marked one speak HTTP', () => {
  assert.deepEqual(remoteImage('ghcr.io/team/mesh/pilot:1'), {
    registry: 'ghcr.io',
    repository: 'team/mesh/pilot',
    tag: '1',
  });
  assert.deepEqual(remoteImage('localhost:5000/pilot:1'), {
    registry: 'localhost:5000',
    repository: 'pilot',
    tag: '1',
  });
  for (const name of ['pilot:1', 'team/pilot:1', 'ghcr.io/pilot'])
    assert.throws(() => remoteImage(name), /does not name a registry/);
  assert.equal(registryAddress('docker.io', false), 'https://registry-1.docker.io');
  assert.equal(registryAddress('localhost:5000', false), 'http://localhost:5000');
  assert.equal(registryAddress('registry.test', true), 'http://registry.test');
  assert.deepEqual(remoteImage('[::1]:5000/mesh/pilot:1'), {
    registry: '[::1]:5000',
    repository: 'mesh/pilot',
    tag: '1',
  });
  assert.equal(registryAddress('[::1]:5000', false), 'http://[::1]:5000');
  assert.throws(() => registryAddress('registry.test:99999', false), /is not the host of a registry/);
});

test('a push logs in for a token, sends what is missing, takes shared layers over and names the tag last', async (context) => {
  const { address, asked } = await tokenRegistry(context);
  const client = registryClient(address, LOGIN);
  const placed = new Map<Digest, string>();
  const first = await push(client, 'team/pilot', '1', images, placed);
  assert.equal(first.digest, buildIndex(images).descriptor.digest);
  assert.ok(asked.includes('token GET test repository:team/pilot:pull,push'));
  assert.equal(asked.at(-1), 'PUT team/pilot manifests 1');
  assert.equal(
    asked.filter((line) => line === 'PUT team/pilot blobs uploads').length,
    3,
    'the shared layer once, two configurations',
  );
  asked.length = 0;
  const second = await push(client, 'team/other', '1', images, placed);
  assert.equal(second.sent, 0, 'everything was mounted');
  assert.ok(asked.includes('token GET test repository:team/other:pull,push repository:team/pilot:pull'));
  assert.equal(asked.filter((line) => line.startsWith('token')).length, 2, 'one token to write, one to take over');
  assert.ok(!asked.includes('refused 401'), 'what is needed is known after the first challenge');
  asked.length = 0;
  assert.equal((await push(client, 'team/pilot', '2', images, new Map())).sent, 0, 'everything was there');
});

/** A registry that keeps what it is given, for anyone; with `referrers` it says that it lists what belongs to a manifest. */
async function openRegistry(context: TestContext, { referrers }: { readonly referrers: boolean }) {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, Buffer>();
  const server = createServer(async (incoming, outgoing) => {
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const data = Buffer.concat(chunks);
    const url = new URL(incoming.url ?? '', 'http://registry');
    const [, repository = '', kind, name = ''] = /^\/v2\/(.*?)\/(blobs|manifests)\/(.*)$/.exec(url.pathname) ?? [];
    const answer = (status: number, headers: Record<string, string> = {}, body?: Buffer): void =>
      void outgoing.writeHead(status, headers).end(body);
    if (kind === 'manifests' && incoming.method === 'PUT') {
      manifests.set(name, data);
      const { subject } = JSON.parse(data.toString()) as { readonly subject?: { readonly digest: string } };
      return answer(201, referrers && subject !== undefined ? { 'OCI-Subject': subject.digest } : {});
    }
    const found = kind === 'manifests' ? manifests.get(name) : blobs.get(name);
    if (incoming.method === 'HEAD') return answer(found === undefined ? 404 : 200);
    if (incoming.method === 'GET') return answer(found === undefined ? 404 : 200, {}, found);
    if (incoming.method === 'POST') return answer(202, { location: `/v2/${repository}/blobs/uploads/1` });
    blobs.set(url.searchParams.get('digest') ?? '', data);
    return answer(201);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, blobs, manifests };
}

for (const referrers of [true, false])
  test(`documents are attached to an image ${referrers ? 'that lists them itself' : 'in an index beside it where the registry does not list them'}`, async (context) => {
    const { address, blobs, manifests } = await openRegistry(context, { referrers });
    const client = registryClient(address, undefined);
    const { descriptor } = await push(client, 'team/pilot', '1', images, new Map());
    const document = (text: string) => ({
      title: 'x.spdx.json',
      content: blob('application/spdx+json', Buffer.from(text)),
    });
    const tag = referrersTag(descriptor.digest);
    const attached = () =>
      [...manifests.values()].map((data) => JSON.parse(data.toString())).filter(({ subject }) => subject);
    const listed = (): { digest: string; artifactType: string }[] =>
      JSON.parse(manifests.get(tag)?.toString() ?? '{"manifests":[]}').manifests;

    await attach(client, 'team/pilot', descriptor, [document('one')]);
    await attach(client, 'team/pilot', descriptor, [document('one')]);
    const [manifest, ...more] = attached();
    assert.deepEqual(more, [], 'the same document is there once');
    assert.equal(manifest.subject.digest, descriptor.digest);
    assert.equal(manifest.artifactType, 'application/spdx+json');
    assert.equal(manifest.layers[0].annotations['org.opencontainers.image.title'], 'x.spdx.json');
    assert.equal(blobs.get(manifest.layers[0].digest)?.toString(), 'one');
    assert.equal(blobs.get(manifest.config.digest)?.toString(), '{}');
    assert.equal(listed().length, referrers ? 0 : 1);

    await attach(client, 'team/pilot', descriptor, [document('two')]);
    assert.equal(attached().length, 2);
    if (referrers) return;
    assert.deepEqual(
      listed().map(({ artifactType }) => artifactType),
      ['application/spdx+json', 'application/spdx+json'],
      'what was listed before stays',
    );
    for (const { digest } of listed()) assert.ok(manifests.has(digest));
  });

test('an index that cannot be read is not replaced, as it may list what others attached', async (context) => {
  const { address, manifests } = await openRegistry(context, { referrers: false });
  const client = registryClient(address, undefined);
  const { descriptor } = await push(client, 'team/pilot', '1', images, new Map());
  const tag = referrersTag(descriptor.digest);
  const document = { title: 'x.json', content: blob('application/spdx+json', Buffer.from('one')) };
  for (const broken of ['{"manifests":', 'null', '{"manifests":[null]}', '{"manifests":{}}']) {
    manifests.set(tag, Buffer.from(broken));
    await assert.rejects(
      attach(client, 'team/pilot', descriptor, [document]),
      (error: Error) => error instanceof RegistryError && /is not an index of what belongs/.test(error.message),
    );
    assert.equal(manifests.get(tag)?.toString(), broken);
  }
});

test('a registry without TLS is told from one that is not there', async (context) => {
  const { address } = await openRegistry(context, { referrers: true });
  const attempt = (url: string) => push(registryClient(url, undefined), 'team/pilot', '1', images, new Map());
  await assert.rejects(attempt(address.replace('http:', 'https:')), /does not speak TLS: --plain-http/);
  await assert.rejects(attempt('http://127.0.0.1:1'), /cannot reach 127\.0\.0\.1:1: .+/);
});

test('a refusal says what was refused and by whom; a password is in no message', async (context) => {
  const { address } = await tokenRegistry(context);
  const wrong = registryClient(address, { kind: 'password', user: 'user', password: 'mistyped' });
  await assert.rejects(
    push(wrong, 'team/pilot', '1', images, new Map()),
    (error: Error) =>
      error instanceof RegistryError &&
      /gives no token for repository:team\/pilot/.test(error.message) &&
      !error.message.includes('mistyped'),
  );
  await assert.rejects(
    push(registryClient('http://127.0.0.1:1', undefined), 'a', '1', images, new Map()),
    /cannot reach 127\.0\.0\.1:1/,
  );
});
