import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, type KeyFetching as Fetcher, MeshSources } from '@istio-ts/mesh';
import { istioObject, serviceObject } from '@istio-ts/xds/testing/objects';
import { FetchError } from '@istio-ts/security/fetch/fetch';
import { atMost } from './at-most.ts';
import { keepTokenKeys } from './token-keys.ts';

const jwks = (kid: string): string =>
  JSON.stringify({
    keys: [{ ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' }), kid }],
  });
const policy = (name: string, ...jwtRules: readonly object[]) =>
  istioObject('RequestAuthentication', { name }, { jwtRules });

/** A mesh, servers of documents and a clock. */
function setUp(fetching: Fetcher = 'istiod', random: () => number = () => 0.5) {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources, { keyFetching: fetching });
  const documents = new Map<string, string>();
  const asked: string[] = [];
  const timers: { readonly ms: number; readonly work: () => void }[] = [];
  const counts = { good: 0, bad: 0 };
  const messages: string[] = [];
  const note = (message: string): void => void messages.push(message);
  const start = () =>
    keepTokenKeys(mesh.wantedKeys, sources.fetchedKeys, {
      fetch: async (url, timeoutMs) => {
        asked.push(`${url} ${timeoutMs}`);
        const text = documents.get(url);
        if (text === undefined) throw new FetchError(`${url}: answers with status 503`);
        return text;
      },
      after: (ms, work) => {
        const timer = { ms, work };
        timers.push(timer);
        return () => void (timers.includes(timer) && timers.splice(timers.indexOf(timer), 1));
      },
      refreshMs: 1_200_000,
      random,
      onFetch: (good) => counts[good ? 'good' : 'bad']++,
      log: { debug: note, info: note, warn: note, error: note },
    });
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 10; i++) await turn();
  };
  return {
    sources,
    mesh,
    documents,
    asked,
    timers,
    counts,
    messages,
    start,
    settle,
    /** Runs the timers that are set now. */
    later: async () => {
      for (const { work } of timers.splice(0)) work();
      await settle();
    },
    kids: (name: string) =>
      (JSON.parse(mesh.tokenKeys.get(name)?.keys ?? '{"keys":[]}').keys as { kid: string }[]).map(({ kid }) => kid),
    problems: () => [...mesh.problems.values()].flat().map(({ path, message }) => `${path}: ${message}`),
  };
}

const URI = 'https://idp.test/keys';

test('keys are fetched, refreshed, kept while they cannot be, and their absence is told', async () => {
  const t = setUp();
  t.sources.set(
    policy('a', { issuer: 'i', jwksUri: URI, timeout: '3s' }, { issuer: 'j', jwksUri: URI, timeout: '2s' }),
  );
  t.documents.set(URI, jwks('first'));
  const keeper = t.start();
  await keeper.firstRound;
  assert.deepEqual(t.asked, [`${URI} 3000`]);
  assert.deepEqual(t.kids(URI), ['first']);
  assert.deepEqual(t.problems(), []);
  assert.deepEqual(
    t.timers.map(({ ms }) => ms),
    [1_200_000],
  );

  t.documents.set(URI, jwks('second'));
  await t.later();
  assert.deepEqual(t.kids(URI), ['second']);

  t.documents.delete(URI);
  await t.later();
  assert.deepEqual(t.kids(URI), ['second']);
  assert.deepEqual(t.problems(), [
    `spec.jwtRules[0].jwksUri: the keys of i are those fetched before: ${URI}: answers with status 503`,
    `spec.jwtRules[1].jwksUri: the keys of j are those fetched before: ${URI}: answers with status 503`,
  ]);
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    waits.push(...t.timers.map(({ ms }) => ms));
    await t.later();
  }
  assert.deepEqual(waits, [1000, 2000, 4000, 8000]);
  // A page instead of keys is no reason to forget them.
  t.documents.set(URI, '<html>');
  await t.later();
  assert.deepEqual(t.kids(URI), ['second']);

  t.documents.set(URI, jwks('third'));
  await t.later();
  assert.deepEqual(t.kids(URI), ['third']);
  assert.deepEqual(t.problems(), []);
  assert.deepEqual(t.counts, { good: 4, bad: 5 });
  keeper.close();
});

test('without any keys istiod asks again and again, not less than once a minute', async () => {
  const t = setUp();
  t.sources.set(policy('a', { issuer: 'i', jwksUri: URI }));
  const keeper = t.start();
  await t.settle();
  assert.equal(t.mesh.tokenKeys.get(URI)?.keys, undefined);
  assert.match(
    t.problems()[0] ?? '',
    /there are no keys, so all tokens of i are refused: https:\/\/idp\.test\/keys: answers with status 503/,
  );
  assert.ok(t.messages.some((message) => /all tokens that need them are refused/.test(message)));
  // Proxies that start do not wait for ever.
  for (let i = 0; i < 2; i++) await t.later();
  await keeper.firstRound;
  for (let i = 0; i < 10; i++) await t.later();
  assert.deepEqual(
    t.timers.map(({ ms }) => ms),
    [60_000],
  );
  keeper.close();
});

test('the OpenID configuration of an issuer tells where its keys are', async () => {
  const t = setUp();
  t.sources.set(
    policy('a', { issuer: 'https://idp.test/realm/' }, { issuer: 'somebody' }, { issuer: 'https://down.test' }),
  );
  t.documents.set('https://idp.test/realm/.well-known/openid-configuration', JSON.stringify({ jwks_uri: URI }));
  t.documents.set(
    'https://down.test/.well-known/openid-configuration',
    JSON.stringify({ jwks_uri: 'http://down.test' }),
  );
  t.documents.set(URI, jwks('found'));
  const keeper = t.start();
  await t.settle();
  assert.deepEqual(t.kids('issuer https://idp.test/realm/'), ['found']);
  assert.deepEqual(t.problems(), [
    'spec.jwtRules[1].issuer: there are no keys, so all tokens of somebody are refused: somebody is no URL, so it has no OpenID configuration: give jwksUri or jwks',
    'spec.jwtRules[2].issuer: there are no keys, so all tokens of https://down.test are refused: https://down.test/.well-known/openid-configuration: its jwks_uri http://down.test is not https',
  ]);
  keeper.close();
});

test('fetches have to wait for others where there are too many at a time', async () => {
  const ends: (() => void)[] = [];
  let most = 0;
  let running = 0;
  const fetch = atMost(2, async (name: string) => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running--;
    if (name === 'b') throw new Error('down');
    return name;
  });
  const all = Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => fetch(name)));
  for (let i = 0; i < 4; i++) {
    await turn();
    ends.shift()?.();
  }
  assert.deepEqual(
    (await all).map((one) => (one.status === 'fulfilled' ? one.value : 'failed')),
    ['a', 'failed', 'c', 'd'],
  );
  assert.equal(most, 2);
});

test('what nobody wants is asked for no more, and is there for a while when it is wanted again', async () => {
  const t = setUp();
  t.documents.set(URI, jwks('one'));
  const keeper = t.start();
  await keeper.firstRound;
  assert.deepEqual(t.asked, []);
  t.sources.set(policy('a', { issuer: 'i', jwksUri: URI }));
  await t.settle();
  assert.deepEqual(t.kids(URI), ['one']);
  t.sources.delete(policy('a'));
  await t.settle();
  assert.deepEqual(
    t.timers.map(({ ms }) => ms),
    [60_000],
  );
  t.documents.delete(URI);
  t.sources.set(policy('b', { issuer: 'i', jwksUri: URI }));
  await t.settle();
  assert.deepEqual(t.kids(URI), ['one']);
  t.sources.delete(policy('b'));
  await t.settle();
  await t.later();
  assert.equal(t.sources.fetchedKeys.size, 0);
  keeper.close();
});

test('proxies fetch keys themselves: from services of the mesh, or always', async () => {
  const inside = 'http://idp.auth.svc.cluster.local:8080/keys';
  const rules = [{ issuer: 'i', jwksUri: inside }, { issuer: 'j', jwksUri: URI }, { issuer: 'https://k.test' }];
  for (const [mode, remote, wanted] of [
    ['hybrid', [inside], [URI, 'issuer https://k.test']],
    ['envoy', [inside, URI, 'issuer https://k.test'], ['issuer https://k.test']],
  ] as const) {
    const t = setUp(mode);
    t.sources.set(serviceObject({ name: 'idp', namespace: 'auth' }, [{ name: 'http', port: 8080 }]));
    t.sources.set(policy('a', ...rules));
    t.documents.set(
      'https://k.test/.well-known/openid-configuration',
      JSON.stringify({ jwks_uri: 'https://k.test/k' }),
    );
    const keeper = t.start();
    await t.settle();
    assert.deepEqual(
      t.mesh.wantedKeys.current.map(({ name }) => name),
      wanted,
    );
    assert.deepEqual(
      [...t.mesh.tokenKeys.entries()]
        .filter(([, { uri }]) => uri !== undefined)
        .map(([name]) => name)
        .sort(),
      [...remote].sort(),
    );
    keeper.close();
  }
});

test('a thousand policies with one issuer ask once, and many issuers are not asked together again', async () => {
  const t = setUp();
  t.documents.set(URI, jwks('one'));
  t.sources.batch(() => {
    for (let i = 0; i < 1000; i++) t.sources.set(policy(`p${i}`, { issuer: 'i', jwksUri: URI }));
  });
  const keeper = t.start();
  await keeper.firstRound;
  assert.equal(t.asked.length, 1);
  assert.equal(t.timers.length, 1);
  await t.later();
  assert.equal(t.asked.length, 2, 'nor more often later');
  keeper.close();

  const spread = setUp('istiod', Math.random);
  spread.sources.batch(() => {
    for (let i = 0; i < 200; i++) {
      spread.documents.set(`${URI}/${i}`, jwks('k'));
      spread.sources.set(policy(`p${i}`, { issuer: `i${i}`, jwksUri: `${URI}/${i}` }));
    }
  });
  const many = spread.start();
  await many.firstRound;
  const waits = spread.timers.map(({ ms }) => ms);
  assert.equal(waits.length, 200);
  assert.ok(waits.every((ms) => ms >= 0.9 * 1_200_000 && ms <= 1.1 * 1_200_000));
  assert.ok(new Set(waits).size > 100, 'at times of their own');
  many.close();
});

test('a new istiod has no keys of an earlier one: what it cannot fetch is refused', async () => {
  const before = setUp();
  before.sources.set(policy('a', { issuer: 'i', jwksUri: URI }));
  before.documents.set(URI, jwks('one'));
  const first = before.start();
  await first.firstRound;
  assert.deepEqual(before.kids(URI), ['one']);
  first.close();

  const after = setUp();
  after.sources.set(policy('a', { issuer: 'i', jwksUri: URI }));
  const second = after.start();
  await after.settle();
  assert.equal(after.mesh.tokenKeys.get(URI)?.keys, undefined);
  assert.match(after.problems()[0] ?? '', /there are no keys, so all tokens of i are refused/);
  after.documents.set(URI, jwks('one'));
  await after.later();
  assert.deepEqual(after.kids(URI), ['one']);
  second.close();
});
