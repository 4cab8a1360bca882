import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultMeshConfig, type MeshConfig } from '@istio-ts/api';
import type { TrustBundles } from '@istio-ts/mesh';
import { createRootCertificate, parseCertificates } from '@istio-ts/security';
import { settle } from '../fake-cluster.test-support.ts';
import { parseSpiffeBundle, SpiffeBundleError } from './spiffe-bundle.ts';
import { keepTrustBundles } from './trust-bundles.ts';

const root = (organization: string): string => createRootCertificate({ organization, now: new Date() }).certificate;
const [own, a, b] = [root('own'), root('a'), root('b')] as const;
const document = (...pems: readonly string[]): string =>
  JSON.stringify({
    spiffe_sequence: 1,
    spiffe_refresh_hint: 60,
    keys: [
      { use: 'jwt-svid', kty: 'EC', kid: 'x' },
      ...pems.map((pem) => ({
        use: 'x509-svid',
        kty: 'EC',
        x5c: [parseCertificates(pem)[0]!.der.toString('base64')],
      })),
    ],
  });

function keeper(caCertificates: MeshConfig['caCertificates'], answers: Readonly<Record<string, string>> = {}) {
  const state = {
    config: { ...defaultMeshConfig(), caCertificates, trustDomainAliases: ['old.domain'] } as MeshConfig,
    own,
    answers: { ...answers } as Record<string, string | undefined>,
    changes: [] as TrustBundles[],
    lines: [] as string[],
    timers: [] as { ms: number; work: () => void }[],
  };
  const say = (line: string) => void state.lines.push(line);
  const bundles = keepTrustBundles({
    meshConfig: () => state.config,
    own: () => ({ root: state.own, crl: undefined }),
    fetch: async (url) => {
      const answer = state.answers[url];
      if (answer === undefined) throw new Error('connection refused');
      return answer;
    },
    onChange: (changed) => void state.changes.push(changed),
    onFetch: () => undefined,
    after: (ms, work) => {
      const timer = { ms, work };
      state.timers.push(timer);
      return () => void state.timers.splice(state.timers.indexOf(timer), 1);
    },
    log: { debug() {}, info: say, warn: say, error: say },
  });
  bundles.refresh();
  return { state, bundles };
}

test('without further authorities there is nothing to distribute', () => {
  const { state, bundles } = keeper([{ pem: a, certSigners: ['example.com/x'] }]);
  assert.deepEqual(state.changes, [{ domains: {} }]);
  assert.equal(bundles.own(), own);
});

test('authorities are those of the mesh where they name no domain, else of the domains that they name', () => {
  const { state, bundles } = keeper([{ pem: a }, { pem: b, trustDomains: ['partner.example'] }]);
  assert.deepEqual(state.changes.at(-1), {
    domains: { 'cluster.local': own + a, 'old.domain': own + a, 'partner.example': b },
  });
  assert.equal(bundles.own(), own + a);
});

test('a rotated root of the CA follows, and equal bundles are told once', () => {
  const { state, bundles } = keeper([{ pem: b, trustDomains: ['partner.example'] }]);
  bundles.refresh();
  assert.equal(state.changes.length, 1);
  state.own = own + a;
  bundles.refresh();
  assert.equal(state.changes.at(-1)?.domains['cluster.local'], own + a);
});

test('a SPIFFE bundle is fetched, fetched again when its publisher says, and its last good anchors stay', async () => {
  const url = 'https://partner.example/bundle';
  const { state } = keeper([{ spiffeBundleUrl: url, trustDomains: ['partner.example'] }], { [url]: document(a) });
  await settle();
  const anchors = () => state.changes.at(-1)?.domains['partner.example'];
  assert.equal(anchors(), a);
  const again = async (): Promise<number> => {
    const timer = state.timers.shift()!;
    timer.work();
    await settle();
    return timer.ms;
  };
  state.answers[url] = document(a, b);
  assert.equal(await again(), 60_000);
  assert.equal(anchors(), a + b);
  state.answers[url] = undefined;
  await again();
  state.answers[url] = '{"keys":[]}';
  assert.equal(await again(), 1000);
  assert.equal(await again(), 2000);
  assert.equal(anchors(), a + b);
  assert.equal(state.lines.filter((line) => line.includes('last good anchors stay')).length, 1);
  state.answers[url] = document(b);
  await again();
  assert.equal(anchors(), b);
  assert.match(state.lines.at(-1) ?? '', /can be had again/);
});

test('a URL that is no longer named is asked no more, and its anchors go', async () => {
  const url = 'https://partner.example/bundle';
  const { state, bundles } = keeper([{ spiffeBundleUrl: url, trustDomains: ['partner.example'] }], {
    [url]: document(a),
  });
  await settle();
  state.config = { ...state.config, caCertificates: [] };
  bundles.refresh();
  assert.deepEqual(state.timers, []);
  assert.deepEqual(state.changes.at(-1), { domains: {} });
});

test('what is no PEM is said and left out', () => {
  const { state } = keeper([{ pem: 'nonsense' }, { pem: a }]);
  assert.equal(state.changes.at(-1)?.domains['cluster.local'], own + a);
  assert.deepEqual(state.lines, ['mesh configuration: caCertificates[0].pem: no certificate found']);
});

test('documents that are no bundles', () => {
  const refuses = (text: string, reason: RegExp) =>
    assert.throws(
      () => parseSpiffeBundle(text),
      (error: Error) => error instanceof SpiffeBundleError && reason.test(error.message),
    );
  refuses('<html>', /no JSON/);
  refuses('null', /no list of keys/);
  refuses('{"keys":[]}', /no key of use x509-svid/);
  refuses('{"keys":[{"use":"x509-svid"}]}', /keys\[0\]\.x5c: one certificate/);
  refuses('{"keys":[{"use":"x509-svid","x5c":["AAAA"]}]}', /keys\[0\]\.x5c: no certificate/);
});
