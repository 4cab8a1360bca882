import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode, type RouteConfiguration, type VirtualHost } from '@istio-ts/envoy';
import { encodeRoutes } from './route-bytes.ts';
import { routeType } from './type-urls.ts';

const host = (name: string, timeout = '1s'): VirtualHost => ({
  name: `${name}:80`,
  domains: [name, `${name}.shop`],
  routes: [{ match: { prefix: '/' }, route: { cluster: `outbound|80||${name}`, timeout } }],
});
const routes = (hosts: readonly VirtualHost[]): RouteConfiguration => ({
  name: '80',
  virtualHosts: [...hosts],
  validateClusters: false,
  ignorePortInHostMatching: true,
  maxDirectResponseBodySizeBytes: 7,
});
const bytes = (configuration: RouteConfiguration) =>
  encodeRoutes(routeType, '80', { resource: configuration, origins: [] }).value;
const plain = (configuration: RouteConfiguration) => encode('envoy.config.route.v3.RouteConfiguration', configuration);

test('a configuration with hosts of an earlier one has the bytes that it would have on its own', () => {
  const hosts = Array.from({ length: 50 }, (_, index) => host(`svc-${index}`));
  const all = routes(hosts);
  assert.deepEqual(bytes(all), plain(all));
  for (const next of [
    hosts.with(20, host('svc-20', '9s')),
    hosts.toSpliced(3, 1),
    [host('new'), ...hosts],
    hosts.toReversed(),
    hosts.slice(0, 1),
    [],
  ]) {
    assert.deepEqual(bytes(routes(next)), plain(routes(next)));
  }
});

test('a host that is no virtual host is named, and is not remembered', () => {
  const hosts = [host('a'), { ...host('b'), domain: ['b'] }, host('c')];
  for (let round = 0; round < 2; round++)
    assert.throws(() => bytes(routes(hosts)), /virtualHosts\[1\]\.domain: .*no such field/);
});
