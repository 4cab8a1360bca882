import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Listener, TypedExtensionConfig } from '@istio-ts/envoy';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { call } from '../testing/http-call.ts';
import { istioObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { headerModule } from '../testing/wasm.ts';

/** WebAssembly and Lua in a real Envoy, put there by WasmPlugins and TrafficExtensions. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'wasm-'));
const module = (name: string, header: string, value: string): string => {
  const file = join(folder, `${name}.wasm`);
  writeFileSync(file, headerModule(header, value));
  return `file://${file}`;
};
const plugin = (name: string, spec: object) => istioObject('WasmPlugin', { name }, { ...spec });
const script = (header: string) =>
  `function envoy_on_request(handle) handle:headers():add("${header}", "yes") handle:headers():add("x-order", "${header}") end`;

const objects = () => [
  ...loopbackApp(net, 'web', { last: 11, port: 9000, protocol: 'http' }, [{ last: 1 }]),
  ...loopbackApp(net, 'other', { last: 12, port: 9001, protocol: 'http' }, [{ last: 1 }]),
  plugin('low', { url: module('low', 'x-order', 'low'), priority: 1 }),
  plugin('high', { url: module('high', 'x-order', 'high'), priority: 10, phase: 'UNSPECIFIED_PHASE' }),
  plugin('early', { url: module('early', 'x-order', 'early'), phase: 'AUTHN', pluginConfig: { a: 1 } }),
  plugin('port', { url: module('port', 'x-port', 'yes'), match: [{ mode: 'CLIENT', ports: [{ number: 9001 }] }] }),
  plugin('server', { url: module('server', 'x-server', 'yes'), match: [{ mode: 'SERVER' }] }),
  plugin('elsewhere', { url: module('elsewhere', 'x-else', 'yes'), selector: { matchLabels: { app: 'nobody' } } }),
  plugin('connections', { url: module('connections', 'x-tcp', 'yes'), type: 'NETWORK', failStrategy: 'FAIL_OPEN' }),
  istioObject('TrafficExtension', { name: 'lua' }, { lua: { inlineCode: script('x-lua') }, phase: 'STATS' }),
];

let envoy: OfflineEnvoy;
let origin: Origin;
before(async () => {
  origin = await startOrigin('web', net.ip(1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({ net, objects: objects(), proxy: { name: 'client', namespace: 'default' } });
});
after(async () => {
  await envoy?.stop();
  await origin?.close();
  rmSync(folder, { recursive: true });
});
const headers = async (port: number, host = 'web.default') =>
  (await call('/', { address: net.everywhere, port, host })).seen?.headers ?? {};

test('modules run by phase and priority, Lua among them', async () => {
  assert.equal((await headers(9000))['x-order'], 'early, x-lua, high, low');
});

test('a plugin is for the ports, sides and workloads that it names', async () => {
  assert.equal((await headers(9001, 'other.default'))['x-port'], 'yes');
  const seen = await headers(9000);
  for (const header of ['x-port', 'x-server', 'x-else']) assert.equal(seen[header], undefined, header);
});

test('the configuration of a filter is a resource of its own, with all that the object says', () => {
  const spec = {
    url: 'oci://registry.example.com/team/filter:v1',
    sha256: 'ab'.repeat(32),
    imagePullPolicy: 'Always',
    imagePullSecret: 'pull',
    pluginName: 'root',
    pluginConfig: { limit: 3 },
    failStrategy: 'FAIL_OPEN',
    vmConfig: {
      env: [
        { name: 'A', value: 'a' },
        { name: 'B', valueFrom: 'HOST' },
      ],
    },
  };
  const secret = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'pull', namespace: 'default' },
    type: 'kubernetes.io/dockerconfigjson',
    data: { '.dockerconfigjson': Buffer.from('{"auths":{}}').toString('base64') },
  };
  const generate = (metadata: object, identity?: string) =>
    generateOffline([...objects(), plugin('remote', spec), secret], {
      name: 'client',
      namespace: 'default',
      metadata: metadata as Record<string, unknown>,
      ...(identity && { identity }),
    });
  const name = 'extenstions.istio.io/wasmplugin/default.remote';
  const ours = generate({ EXTENSION_SOURCE: 'agent' });
  assert.deepEqual(ours.errors, []);
  const resource = ours.resources.get(typeUrls.extension)?.find((one) => one.name === name);
  assert.ok(resource);
  const { config } = (resource.json() as TypedExtensionConfig).typedConfig as unknown as {
    readonly config: { readonly vmConfig: { readonly code: unknown; readonly environmentVariables: unknown } };
  };
  assert.deepEqual(config, {
    name,
    rootId: 'root',
    vmConfig: {
      runtime: 'envoy.wasm.runtime.v8',
      code: {
        remote: {
          httpUri: { uri: spec.url, cluster: '_', timeout: '30s' },
          sha256: spec.sha256,
        },
      },
      environmentVariables: {
        hostEnvKeys: ['B'],
        keyValues: {
          A: 'a',
          ISTIO_META_WASM_IMAGE_PULL_POLICY: 'Always',
          ISTIO_META_WASM_IMAGE_PULL_SECRET: '{"auths":{}}',
        },
      },
    },
    configuration: { '@type': 'type.googleapis.com/google.protobuf.StringValue', value: '{"limit":3}' },
    failurePolicy: 'FAIL_OPEN',
  });
  const source = (result: typeof ours): string => {
    const listener = result.resources
      .get(typeUrls.listener)
      ?.find((one) => one.name.endsWith('_9000'))
      ?.json() as Listener;
    return (
      JSON.stringify(listener).match(/wasmplugin\/default\.remote","configDiscovery":\{"configSource":\{"(\w+)/)?.[1] ??
      ''
    );
  };
  assert.equal(source(ours), 'apiConfigSource', 'our agents fetch it');
  assert.equal(source(generate({})), 'ads', 'others see it pass');
  const stranger = generate({}, 'spiffe://cluster.local/ns/other/sa/default');
  assert.equal(
    stranger.resources.get(typeUrls.extension)?.some((one) => one.name === name),
    false,
    'credentials are for proxies that have proved to be of the namespace',
  );
});
