import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Digest } from '../oci/blob.ts';
import { challenges } from './challenge.ts';
import { registryClient } from './client.ts';
import type { Credentials } from './credentials.ts';
import { push } from './push.ts';
import { hastyNetwork, IDENTITY, images, LOGIN, tokenRegistry } from './registry.test-support.ts';
import { RegistryError } from './registry-error.ts';
import { mergeScopes } from './scope.ts';

/** The refusal of a registry or its token server, by its message. */
const refusal =
  (text: RegExp) =>
  (error: unknown): boolean =>
    error instanceof RegistryError && text.test(error.message) && !/dXNlcj|long-lived/.test(error.message);

test('challenges are read: several of them, quoted values with commas, bare ones', () => {
  assert.deepEqual(
    challenges('Basic realm="a, b", Bearer realm="https://x/token",scope="r:a:pull,push r:b:pull", error=none'),
    [
      { scheme: 'basic', parameters: { realm: 'a, b' } },
      { scheme: 'bearer', parameters: { realm: 'https://x/token', scope: 'r:a:pull,push r:b:pull', error: 'none' } },
    ],
  );
  assert.deepEqual(challenges('Negotiate'), [{ scheme: 'negotiate', parameters: {} }]);
  assert.deepEqual(challenges(''), []);
});

test('scopes of one resource become one, with all actions', () => {
  assert.deepEqual(
    mergeScopes(
      ['repository:a:pull,push', 'repository:b:pull'],
      ['repository:h:5000/a:pull', 'repository:a:pull', '', 'x'],
    ),
    ['repository:a:pull,push', 'repository:b:pull', 'repository:h:5000/a:pull'],
  );
});

test('layers of a repository that the login may not read are sent again, and a token for it is asked for once', async (context) => {
  const { address, asked, uploads } = await tokenRegistry(context, { unreadable: ['team/pilot'] });
  const client = registryClient(address, LOGIN, hastyNetwork());
  const placed = new Map<Digest, string>(
    images
      .flatMap(({ layers, config }) => [...layers.map((layer) => layer.blob), config])
      .map(({ descriptor }) => [descriptor.digest, 'team/pilot']),
  );
  const { sent } = await push(client, 'team/other', '1', images, placed);
  assert.ok(sent > 0);
  assert.equal(uploads.length, 3);
  const tokens = asked.filter((line) => line.includes('repository:team/pilot:pull'));
  assert.ok(tokens.length > 0 && tokens.length <= 2, tokens.join('\n'));
});

test('a token server that refuses everything for a repository it hides does not stop a push', async (context) => {
  const { address, uploads } = await tokenRegistry(context, {
    instead: ({ url = '' }, outgoing) => {
      const hidden = url.startsWith('/token') && url.includes('hidden');
      if (hidden) outgoing.writeHead(403).end();
      return hidden;
    },
  });
  const [image] = images;
  assert.ok(image);
  const client = registryClient(address, LOGIN, hastyNetwork());
  assert.equal(await client.putBlob('team/pilot', image.config, 'team/hidden'), 'sent');
  assert.equal(uploads.length, 1);
});

test('an identity token is changed for tokens with a form, never sent with a URL or as a password', async (context) => {
  const { address, asked } = await tokenRegistry(context);
  const seen: string[] = [];
  const network = hastyNetwork((url, init) => {
    seen.push(`${url} ${JSON.stringify(init?.headers)}`);
    return fetch(url, init);
  });
  const placed = new Map<Digest, string>();
  await push(registryClient(address, IDENTITY, network), 'team/pilot', '1', images, placed);
  const { sent } = await push(registryClient(address, IDENTITY, network), 'team/other', '1', images, placed);
  assert.equal(sent, 0);
  assert.ok(asked.includes('token POST test repository:team/pilot:pull,push'));
  assert.ok(asked.some((line) => /^token POST test .*repository:team\/pilot:pull$/.test(line)));
  assert.ok(!asked.some((line) => line.startsWith('token GET')));
  assert.doesNotMatch(seen.join('\n'), /long-lived/);
});

test('an identity token goes nowhere else: not along a redirect, not to a registry that asks for a password', async (context) => {
  const other = await tokenRegistry(context);
  const { address } = await tokenRegistry(context, {
    instead: ({ url }, outgoing) => {
      if (url !== '/token') return false;
      outgoing.writeHead(307, { location: `${other.address}/token` }).end();
      return true;
    },
  });
  const attempt = (url: string) =>
    push(registryClient(url, IDENTITY, hastyNetwork()), 'team/pilot', '1', images, new Map());
  await assert.rejects(attempt(address), refusal(/gives no token for repository:team\/pilot:pull,push: 307/));
  assert.deepEqual(other.asked, []);
  const basic = await tokenRegistry(context, {
    instead: (_, outgoing) => {
      outgoing.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      return true;
    },
  });
  await assert.rejects(
    attempt(basic.address),
    refusal(/the login that is kept for it is an identity token: docker login 127/),
  );
});

for (const [what, answer] of [
  ['that is not JSON', 'busy'],
  ['without a token', '{}'],
  ['that is null', 'null'],
  ['with a token that is no text', '{"token":5}'],
  ['with a token that cannot stand in a header', '{"token":"a\\nb"}'],
] as const)
  test(`an answer of a token server ${what} is told of`, async (context) => {
    const { address } = await tokenRegistry(context, { tokenAnswer: () => answer });
    await assert.rejects(
      push(registryClient(address, LOGIN, hastyNetwork()), 'team/pilot', '1', images, new Map()),
      refusal(/gives no token for repository:team\/pilot:pull,push: its answer is not JSON with a token/),
    );
  });

for (const [realm, message] of [
  ['not an address', /names a token server that is not an address: "not an address"/],
  ['file:///etc/passwd', /names a token server that is not an address/],
  ['http://localhost:1/token', /cannot reach localhost:1/],
] as const)
  test(`a challenge with the realm ${realm} is told of`, async (context) => {
    const { address } = await tokenRegistry(context, { realm });
    const attempt = (login: Credentials) =>
      push(registryClient(address, login, hastyNetwork()), 'team/pilot', '1', images, new Map());
    await assert.rejects(attempt(LOGIN), refusal(message));
    await assert.rejects(attempt(IDENTITY), refusal(message));
  });

test('who is not logged in is told how', async (context) => {
  const { address } = await tokenRegistry(context, {
    instead: ({ url = '' }, outgoing) => {
      if (url.startsWith('/token')) outgoing.end('{"token":"anonymous"}');
      return url.startsWith('/token');
    },
  });
  await assert.rejects(
    push(registryClient(address, undefined, hastyNetwork()), 'team/pilot', '1', images, new Map()),
    /401 Unauthorized.*nobody is logged in: docker login 127\.0\.0\.1/,
  );
});
