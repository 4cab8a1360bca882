import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { createMesh, MeshSources } from '@istio-ts/mesh';
import { MetricsRegistry } from '@istio-ts/metrics';
import { forbiddenAddresses } from '@istio-ts/security/fetch/addresses';
import { hostileUrls } from '@istio-ts/security/fetch/hostile-urls.test-support';
import { istioObject } from '@istio-ts/xds/testing/objects';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { silent } from '../silent-log.test-support.ts';
import { startTokenKeys } from '../jwks/start.ts';
import { startTrustBundles } from '../trust/start.ts';

/** What policies and the mesh configuration can have istiod ask: never its own machine, link or cloud, and a redirect does not help. */

let asked = 0;
const inside = createServer((_request, response) => {
  asked++;
  response.end('{"keys":[]}');
});
/** A server that may be asked, and leads elsewhere. */
const outside = createServer((request, response) => {
  response.writeHead(302, { location: decodeURIComponent((request.url ?? '').slice(2)) }).end();
});
let urls: readonly string[] = [];

before(async () => {
  await new Promise<void>((done) => inside.listen(0, '127.0.0.1', done));
  await new Promise<void>((done) => outside.listen(0, '127.0.0.4', done));
  const direct = hostileUrls((inside.address() as AddressInfo).port);
  const by = `http://127.0.0.4:${(outside.address() as AddressInfo).port}/?`;
  urls = [...direct, ...direct.map((url) => `${by}${encodeURIComponent(url)}`)];
});
after(() => {
  for (const server of [inside, outside]) {
    server.closeAllConnections();
    server.close();
  }
});

const settings = {
  fetching: 'istiod' as const,
  refreshMs: 60_000,
  insecure: false,
  forbids: forbiddenAddresses('', '127.0.0.4'),
  proxies: () => undefined,
};
const REFUSED = /nothing is fetched from this address \(ISTIO_TS_ALLOWED_CIDRS_IN_JWKS_URIS/;

test('keys of tokens', async () => {
  const sources = new MeshSources({ meshConfig: defaultMeshConfig() });
  const mesh = createMesh(sources, { keyFetching: 'istiod' });
  sources.set(
    istioObject(
      'RequestAuthentication',
      { name: 'hostile' },
      { jwtRules: urls.map((jwksUri, i) => ({ issuer: `i${i}`, jwksUri })) },
    ),
  );
  const keys = startTokenKeys(mesh, sources, settings, { metrics: new MetricsRegistry(), log: silent });
  try {
    await eventually(
      'an outcome for each',
      () => [...sources.fetchedKeys.values()].filter(({ problem }) => problem !== undefined).length,
      (count) => count === new Set(urls).size,
    );
    for (const [name, { problem, keys: got }] of sources.fetchedKeys.entries()) {
      assert.match(problem ?? '', REFUSED, name);
      assert.equal(got, undefined);
    }
    assert.equal(asked, 0);
  } finally {
    keys.close();
  }
});

test('trust bundles', async () => {
  const sources = new MeshSources({
    meshConfig: {
      ...defaultMeshConfig(),
      caCertificates: urls.map((spiffeBundleUrl, i) => ({ spiffeBundleUrl, trustDomains: [`d${i}.example`] })),
    },
  });
  const mesh = createMesh(sources);
  const lines: string[] = [];
  const bundles = startTrustBundles(mesh, sources, {
    own: () => ({ root: '', crl: undefined }),
    settings,
    metrics: new MetricsRegistry(),
    log: { ...silent, warn: (line) => void lines.push(line) },
  });
  try {
    await eventually(
      'word of each',
      () => lines.length,
      (count) => count >= new Set(urls).size,
    );
    for (const line of lines) assert.match(line, REFUSED);
    assert.equal(asked, 0);
  } finally {
    bundles.close();
  }
});
