import assert from 'node:assert/strict';
import { it } from 'node:test';
import { builtInImage, type Machine } from './catalog.ts';
import { matchesPattern, parseImageName } from './image.ts';
import { findUserImage, ImageTableError, parseUserTable } from './user-table.ts';

const machine: Machine = { dist: '/dist', node: '/node', envoy: '/envoy', has: () => true };

it('takes image names apart', () => {
  assert.deepEqual(parseImageName('localhost:5000/a/b:v1@sha256:00'), {
    repository: 'localhost:5000/a/b',
    base: 'b',
    tag: 'v1',
  });
  assert.equal(parseImageName('redis').tag, 'latest');
  assert.throws(() => parseImageName('a b'), /not an image name/);
});

it('knows the images of the tutorials, whatever the registry', () => {
  for (const name of [
    'us-central1-docker.pkg.dev/online-boutique-ci/microservices-demo/frontend:v0.10.6',
    'gcr.io/google-samples/microservices-demo/productcatalogservice:v0.3.5',
    'redis:alpine',
    'busybox:1.38.0@sha256:fd8d9aa63ba2f0982b5304e1ee8d3b90a210bc1ffb5314d980eb6962f1a9715d',
    'docker.io/istio/pilot:1.30.0',
    'docker.io/istio/proxyv2:1.30.0-distroless',
    'whoami:v2',
    'kennethreitz/httpbin',
    'curlimages/curl',
    'docker.io/istio/examples-bookinfo-productpage-v1:1.20.3',
    'docker.io/istio/examples-bookinfo-reviews-v3:1.20.3',
    'docker.io/istio/tcp-echo-server:1.3',
    'fortio/fortio:latest_release',
  ]) {
    assert.equal(typeof builtInImage(parseImageName(name), machine), 'object', name);
  }
  assert.equal(builtInImage(parseImageName('example.com/unheard-of'), machine), undefined);
});

it('says why the proxy cannot run without Envoy', () => {
  const result = builtInImage(parseImageName('istio/proxyv2'), { ...machine, envoy: undefined });
  assert.match(String(result), /no Envoy/);
});

it('matches stars', () => {
  assert(matchesPattern('example.com/*/api*', 'example.com/team/api-v2'));
  assert(!matchesPattern('a*a', 'a'));
  assert(matchesPattern('*', ''));
});

it("reads the user's table and names mistakes in it", () => {
  const table = parseUserTable('images: [{match: "x/*", entrypoint: [node, a.mjs], user: 7}]', 'images.yaml');
  assert.equal(findUserImage(table, parseImageName('x/y:1'))?.changes.user, 7);
  assert.equal(findUserImage(table, parseImageName('z/y:1')), undefined);
  assert.throws(
    () => parseUserTable('images: [{match: a, files: [{path: ../b, content: c}]}]', 'images.yaml'),
    (error: Error) => error instanceof ImageTableError && error.field === 'images[0].files[0].path',
  );
});
