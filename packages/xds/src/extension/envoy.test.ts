import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Listener, TypedExtensionConfig } from '@istio-ts/envoy';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { eventually } from '../testing/envoy.ts';
import { proves } from '../field-proof.ts';
import { call } from '../testing/http-call.ts';
import { sendBytes } from '../testing/http-client.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { headerModule, mortalModule, prefixModule, tellingModule } from '../testing/wasm.ts';

/** WebAssembly and Lua in a real Envoy, put there by WasmPlugins and TrafficExtensions. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'wasm-'));
const stored = (name: string, bytes: Buffer): string => {
  const file = join(folder, `${name}.wasm`);
  writeFileSync(file, bytes);
  return `file://${file}`;
};
const module = (name: string, header: string, value: string): string => stored(name, headerModule(header, value));
const onPort = (number: number) => ({ match: [{ mode: 'CLIENT', ports: [{ number }] }] });
const mortal = { close: 9011, open: 9012, reload: 9013 } as const;
process.env.WASM_OF_THE_HOST = 'from the host';
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
  plugin('here', { url: module('here', 'x-here', 'yes'), selector: { matchLabels: { app: 'client' } } }),
  ...loopbackApp(net, 'raw', { last: 13, port: 9010, protocol: 'tcp' }, [{ last: 1 }]),
  plugin('connections', { url: stored('connections', prefixModule('wasm:')), type: 'NETWORK', ...onPort(9010) }),
  ...Object.entries(mortal).flatMap(([name, port], i) => [
    ...loopbackApp(net, name, { last: 14 + i, port, protocol: 'http' }, [{ last: 1 }]),
    plugin(name, {
      url: stored(name, mortalModule('x-alive')),
      failStrategy: `FAIL_${name.toUpperCase()}`,
      ...onPort(port),
      ...(name !== 'close' && { vmConfig: { env: [{ name: 'MACHINE', value: name }] } }),
    }),
  ]),
  ...loopbackApp(net, 'telling', { last: 18, port: 9020, protocol: 'http' }, [{ last: 1 }]),
  plugin('telling', {
    url: stored('telling', tellingModule()),
    pluginName: 'the-root',
    pluginConfig: { limit: 3 },
    vmConfig: {
      env: [
        { name: 'GIVEN', value: 'here' },
        { name: 'INLINE', valueFrom: 'INLINE', value: 'as well' },
        { name: 'WASM_OF_THE_HOST', valueFrom: 'HOST' },
      ],
    },
    ...onPort(9020),
  }),
  istioObject('TrafficExtension', { name: 'lua' }, { lua: { inlineCode: script('x-lua') }, phase: 'STATS' }),
];

let envoy: OfflineEnvoy;
let origin: Origin;
before(async () => {
  origin = await startOrigin('web', net.ip(1), ORIGIN_PORT);
  envoy = await startOfflineEnvoy({
    net,
    objects: objects(),
    proxy: { name: 'client', namespace: 'default', labels: { app: 'client' } },
  });
});
after(async () => {
  await envoy?.stop();
  await origin?.close();
  rmSync(folder, { recursive: true });
});
const headers = async (port: number, host = 'web.default') =>
  (await call('/', { address: net.everywhere, port, host })).seen?.headers ?? {};

test('modules run by phase and priority, Lua among them', async () => {
  proves('WasmPlugin.spec.phase', 'WasmPlugin.spec.priority', 'WasmPlugin.spec.url');
  assert.equal((await headers(9000))['x-order'], 'early, x-lua, high, low');
});

test('a plugin is for the ports, sides and workloads that it names', async () => {
  proves(
    'WasmPlugin.spec.match[].mode',
    'WasmPlugin.spec.match[].ports[].number',
    'WasmPlugin.spec.selector.matchLabels',
  );
  assert.equal((await headers(9001, 'other.default'))['x-port'], 'yes');
  const seen = await headers(9000);
  assert.equal(seen['x-here'], 'yes');
  for (const header of ['x-port', 'x-server', 'x-else']) assert.equal(seen[header], undefined, header);
});

test('a module gets its root, its configuration and its environment', async () => {
  proves(
    'WasmPlugin.spec.pluginName',
    'WasmPlugin.spec.pluginConfig',
    'WasmPlugin.spec.vmConfig.env[].name',
    'WasmPlugin.spec.vmConfig.env[].value',
    'WasmPlugin.spec.vmConfig.env[].valueFrom',
  );
  const seen = await headers(9020, 'telling.default');
  assert.equal(seen['x-root'], 'the-root');
  assert.deepEqual(JSON.parse(String(seen['x-config'])), { limit: 3 });
  assert.deepEqual(
    String(seen['x-env'])
      .split(';')
      .filter((one) => one !== '')
      .sort(),
    ['GIVEN=here', 'INLINE=as well', 'WASM_OF_THE_HOST=from the host'],
  );
});

test('a network plugin sees the bytes of connections', async () => {
  proves('WasmPlugin.spec.type');
  assert.match(await sendBytes(net.ip(13), 9010, 'hello'), /wasm:hello/);
});

test('what follows when a module breaks down', async () => {
  proves('WasmPlugin.spec.failStrategy');
  const get = (name: keyof typeof mortal) =>
    call('/', { address: net.everywhere, port: mortal[name], host: `${name}.default` });
  const alive = async (name: keyof typeof mortal) => (await get(name)).seen?.headers['x-alive'];
  for (const name of ['close', 'open', 'reload'] as const) {
    assert.equal(await alive(name), 'x', name);
    await get(name);
  }
  assert.equal((await get('open')).status, 200);
  assert.equal(await alive('open'), undefined, 'requests pass without the module');
  assert.equal((await get('close')).status, 503);
  await eventually(async () => ((await alive('reload')) === 'x' ? true : undefined), 'a new machine');
  assert.equal((await get('close')).status, 503, 'there is no other machine for it');
});

test('plugins of the Gateway that they refer to', async () => {
  proves('WasmPlugin.spec.targetRef', 'WasmPlugin.spec.targetRefs');
  const reference = (name: string, more: object = {}) => ({
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    name,
    namespace: 'default',
    ...more,
  });
  const labels = { team: 'edge', 'gateway.networking.k8s.io/gateway-name': 'edge' };
  const gateway = await startOfflineEnvoy({
    net,
    proxy: { type: 'router', name: 'gw-0', namespace: 'default', labels },
    objects: [
      podObject({ name: 'gw-0', labels, ip: net.everywhere }),
      ...loopbackApp(net, 'web', { last: 11, port: 9000, protocol: 'http' }, [{ last: 1 }]),
      istioObject(
        'Gateway',
        { name: 'edge' },
        {
          selector: { team: 'edge' },
          servers: [{ port: { number: 8100, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'web' },
        { hosts: ['*'], gateways: ['edge'], http: [{ route: [{ destination: { host: 'web' } }] }] },
      ),
      plugin('one', { url: module('one', 'x-one', 'yes'), targetRef: reference('edge') }),
      plugin('list', { url: module('list', 'x-list', 'yes'), targetRefs: [reference('none'), reference('edge')] }),
      plugin('name', { url: module('name', 'x-name', 'yes'), targetRef: reference('none') }),
      plugin('kind', {
        url: module('kind', 'x-kind', 'yes'),
        targetRefs: [reference('edge', { kind: 'GatewayClass' })],
      }),
      plugin('group', { url: module('group', 'x-group', 'yes'), targetRefs: [{ kind: 'Service', name: 'edge' }] }),
    ],
  });
  try {
    const seen = await headers(8100, 'any.test');
    assert.deepEqual([seen['x-one'], seen['x-list']], ['yes', 'yes']);
    for (const header of ['x-name', 'x-kind', 'x-group']) assert.equal(seen[header], undefined, header);
  } finally {
    await gateway.stop();
  }
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
