import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode } from '@istio-ts/envoy';
import type { XdsResource } from '@istio-ts/xds';
import { deltaResponse, discoveryResponse } from './response.ts';
import { TypeUrl } from './resource-kinds.ts';

const resource = (name: string, version: string): XdsResource => ({
  typeUrl: TypeUrl.cluster,
  name,
  version,
  value: Buffer.from(`\n${String.fromCharCode(name.length)}${name}`, 'latin1'),
  json: () => ({ name }),
  origins: [],
});
const shared = Array.from({ length: 200 }, (_, index) =>
  resource(`shared-${index}`, index.toString(16).padStart(16, 'a')),
);
/** What one class of proxies gets: some resources are its own. */
const ofClass = (name: string): readonly XdsResource[] => {
  const own = new Map(
    [50, 90, 130].map((index) => [index, resource(`${name}-${index}`, index.toString(16).padStart(16, 'b'))]),
  );
  return shared.map((one, index) => own.get(index) ?? one);
};
const respond = (resources: readonly XdsResource[]) =>
  deltaResponse({ typeUrl: TypeUrl.cluster, nonce: 'n', version: 'v', resources, removed: ['gone'] }, Buffer.alloc(0));

test('proxies of several classes share the bytes of large responses, each class its own', () => {
  const classes = Array.from({ length: 10 }, (_, index) => ofClass(`class-${index}`));
  const firstRound = classes.map(respond);
  const secondRound = classes.map(respond);
  for (const [index, parts] of firstRound.entries()) {
    const large = parts.filter(({ length }) => length > 500);
    assert.ok(large.length > 0);
    for (const part of large) assert.ok(secondRound[index]?.includes(part), `a block of class ${index} was made again`);
    const { resources = [], removedResources } = decode(
      'envoy.service.discovery.v3.DeltaDiscoveryResponse',
      Buffer.concat(parts),
    );
    assert.deepEqual(
      resources.map(({ name, version }) => [name, version]),
      classes[index]?.map(({ name, version }) => [name, version]),
    );
    assert.deepEqual(removedResources, ['gone']);
  }
});

test('so do those of the state of the world', () => {
  const classes = [ofClass('a'), ofClass('b')];
  const respondWorld = (resources: readonly XdsResource[]) =>
    discoveryResponse({ typeUrl: TypeUrl.cluster, nonce: 'n', version: 'v', resources, removed: [] }, Buffer.alloc(0));
  const firstRound = classes.map(respondWorld);
  const secondRound = classes.map(respondWorld);
  for (const [index, parts] of firstRound.entries()) {
    for (const part of parts.filter(({ length }) => length > 500)) assert.ok(secondRound[index]?.includes(part));
    const { resources = [] } = decode('envoy.service.discovery.v3.DiscoveryResponse', Buffer.concat(parts));
    assert.equal(resources.length, 200);
  }
});
