import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { catalogue } from '@istio-ts/metrics/catalogue';
import { namesIn } from '@istio-ts/metrics/promtool.test-support';
import { headerModule } from '@istio-ts/xds/testing/wasm';
import { cleanups, eventually, freePort, http, skip, startAgent } from './agent.test-support.ts';
import { type Served, startFakeIstiod } from './fake-istiod.test-support.ts';

/** A registry of one image, `/team/filter:v1`, for who shows a token that it gives for a password. */
async function startRegistry(module: Buffer): Promise<{ readonly host: string; readonly pulls: string[] }> {
  const digest = (bytes: Buffer): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      layers: [
        {
          mediaType: 'application/vnd.module.wasm.content.layer.v1+wasm',
          digest: digest(module),
          size: module.length,
        },
      ],
    }),
  );
  const pulls: string[] = [];
  const server = createHttpServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://registry');
    const authorization = request.headers.authorization ?? '';
    if (pathname === '/token') {
      const good = authorization === `Basic ${Buffer.from('me:secret').toString('base64')}`;
      response.writeHead(good ? 200 : 401).end(JSON.stringify({ token: 'the-token' }));
      return;
    }
    if (authorization !== 'Bearer the-token') {
      const { port } = server.address() as AddressInfo;
      response
        .writeHead(401, { 'www-authenticate': `Bearer realm="http://127.0.0.1:${port}/token",service="registry"` })
        .end();
      return;
    }
    pulls.push(pathname);
    const found =
      pathname === '/v2/team/filter/manifests/v1'
        ? manifest
        : pathname === `/v2/team/filter/blobs/${digest(module)}`
          ? module
          : undefined;
    response.writeHead(found ? 200 : 404).end(found);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, pulls };
}

test('modules of filters come from a registry; without one traffic is admitted or refused', { skip }, async () => {
  const registry = await startRegistry(headerModule('x-wasm', 'yes'));
  const TYPE = 'type.googleapis.com/';
  const pullSecret = JSON.stringify({ auths: { [registry.host]: { username: 'me', password: 'secret' } } });
  const extension = (name: string, image: string, failurePolicy: string): Served => ({
    name,
    resource: {
      '@type': `${TYPE}envoy.config.core.v3.TypedExtensionConfig`,
      name,
      typedConfig: {
        '@type': `${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm`,
        config: {
          name,
          failurePolicy,
          vmConfig: {
            runtime: 'envoy.wasm.runtime.v8',
            code: {
              remote: {
                httpUri: { uri: `oci://${registry.host}/${image}`, cluster: '_', timeout: '30s' },
                sha256: 'nil',
              },
            },
            environmentVariables: {
              keyValues: { ISTIO_META_WASM_IMAGE_PULL_SECRET: pullSecret, OTHER: 'stays' },
            },
          },
        },
      },
    },
  });
  const listener = (name: string, port: number): Served => ({
    name: `listener-${name}`,
    resource: {
      '@type': `${TYPE}envoy.config.listener.v3.Listener`,
      name: `listener-${name}`,
      address: { socketAddress: { address: '127.0.0.1', portValue: port } },
      filterChains: [
        {
          filters: [
            {
              name: 'envoy.filters.network.http_connection_manager',
              typedConfig: {
                '@type': `${TYPE}envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
                statPrefix: name,
                httpFilters: [
                  {
                    name,
                    configDiscovery: {
                      configSource: {
                        apiConfigSource: {
                          apiType: 'GRPC',
                          transportApiVersion: 'V3',
                          grpcServices: [{ envoyGrpc: { clusterName: 'sds-grpc' } }],
                        },
                        initialFetchTimeout: '0s',
                        resourceApiVersion: 'V3',
                      },
                      typeUrls: [
                        `${TYPE}envoy.extensions.filters.http.wasm.v3.Wasm`,
                        `${TYPE}envoy.extensions.filters.http.rbac.v3.RBAC`,
                      ],
                    },
                  },
                  {
                    name: 'envoy.filters.http.router',
                    typedConfig: { '@type': `${TYPE}envoy.extensions.filters.http.router.v3.Router` },
                  },
                ],
                routeConfig: {
                  virtualHosts: [
                    {
                      name: 'all',
                      domains: ['*'],
                      routes: [
                        {
                          match: { prefix: '/' },
                          directResponse: { status: 200, bodyFormat: { textFormat: 'wasm=%REQ(x-wasm)%' } },
                        },
                      ],
                    },
                  ],
                },
              },
            },
          ],
        },
      ],
    },
  });
  const ports = { good: await freePort(), closed: await freePort(), open: await freePort() };
  const istiod = await startFakeIstiod([
    extension('good', 'team/filter:v1', 'FAIL_CLOSED'),
    extension('closed', 'team/none:v1', 'FAIL_CLOSED'),
    extension('open', 'team/none:v1', 'FAIL_OPEN'),
    ...Object.entries(ports).map(([name, port]) => listener(name, port)),
  ]);
  cleanups.push(() => istiod.close());
  const agent = await startAgent(istiod, { WASM_INSECURE_REGISTRIES: registry.host });
  const answer = (port: number, status: number) =>
    eventually(
      `status ${status}`,
      () => http(port, '/'),
      (got) => got.status === status,
    );
  assert.equal((await answer(ports.good, 200)).body, 'wasm=yes');
  await answer(ports.closed, 403);
  assert.equal((await answer(ports.open, 200)).body, 'wasm=-');
  // Each refused filter may have been tried again.
  const { body: metrics } = await http(agent.ports.status, '/metrics');
  assert.match(metrics, /^istio_agent_wasm_cache_entries 1$/m);
  assert.match(metrics, /^istio_agent_wasm_cache_lookup_count\{hit="false"\} [3-9]$/m);
  assert.match(metrics, /^istio_agent_wasm_remote_fetch_count\{result="success"\} 1$/m);
  assert.match(metrics, /^istio_agent_wasm_remote_fetch_count\{result="download_failure"\} [1-9]$/m);
  assert.match(metrics, /^istio_agent_wasm_config_conversion_count\{result="fetch_failure"\} [2-9]$/m);
  const served = new Set(namesIn(metrics));
  for (const { name, program } of catalogue)
    if (program === 'pilot-agent' && name.includes('_wasm_')) assert.ok(served.has(name), name);
  assert.ok(registry.pulls.includes('/v2/team/filter/manifests/v1'));
  assert.match(agent.output(), /a module cannot be fetched.*team\/none/);
  assert.doesNotMatch(agent.output(), /secret"/);
  const dump = await http(agent.ports.admin, '/config_dump?include_eds');
  assert.doesNotMatch(dump.body, /IMAGE_PULL_SECRET/);
  assert.match(dump.body, /stays/);
});
