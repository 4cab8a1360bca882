import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube/object';
import { proves } from '../field-proof.ts';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { sendBytes } from '../testing/http-client.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { startWorkloads, type Workloads } from '../testing/workloads-envoy.ts';

/** Which proxies a policy is for: by selector, by namespace, for the whole mesh, by reference to a Gateway. */

const net = new LoopbackNet();
const GATEWAY_API = 'gateway.networking.k8s.io';

const deny = (path: string, target: object, meta: { readonly namespace?: string } = {}): KubeObject =>
  istioObject(
    'AuthorizationPolicy',
    { name: `deny${path.replace('/', '-')}`, ...meta },
    { ...target, action: 'DENY', rules: [{ to: [{ operation: { paths: [path] } }] }] },
  );

describe('at a gateway of the Gateway API', () => {
  let origin: Origin;
  let gateway: OfflineEnvoy;
  const reference = (kind: string, name: string, group = '') => ({ group, kind, name });

  before(async () => {
    origin = await startOrigin('web', net.ip(4), ORIGIN_PORT);
    gateway = await startOfflineEnvoy({
      net,
      objects: [
        podObject({
          name: 'gw-0',
          labels: { app: 'gw', [`${GATEWAY_API}/gateway-name`]: 'front' },
          ip: net.everywhere,
        }),
        ...loopbackApp(net, 'web', { last: 3, port: 80, protocol: 'http' }, [{ last: 4 }]),
        istioObject(
          'Gateway',
          { name: 'gw' },
          {
            selector: { app: 'gw' },
            servers: [
              { port: { number: 8088, name: 'http', protocol: 'HTTP' }, hosts: ['*'] },
              { port: { number: 8089, name: 'tcp', protocol: 'TCP' }, hosts: ['*'] },
            ],
          },
        ),
        istioObject(
          'VirtualService',
          { name: 'gw' },
          {
            hosts: ['*'],
            gateways: ['gw'],
            http: [{ route: [{ destination: { host: 'web' } }] }],
            tcp: [{ match: [{ port: 8089 }], route: [{ destination: { host: 'web', port: { number: 80 } } }] }],
          },
        ),
        deny('/one', { targetRef: reference('Gateway', 'front', GATEWAY_API) }),
        deny('/near', { targetRef: { ...reference('Gateway', 'front', GATEWAY_API), namespace: 'default' } }),
        deny('/list', {
          targetRefs: [reference('Gateway', 'other', GATEWAY_API), reference('Gateway', 'front', GATEWAY_API)],
        }),
        deny('/selected', { selector: { matchLabels: { app: 'gw' } } }),
        deny('/other', { targetRefs: [reference('Gateway', 'other', GATEWAY_API)] }),
        deny('/elsewhere', { targetRefs: [reference('Gateway', 'front', GATEWAY_API)] }, { namespace: 'elsewhere' }),
        istioObject(
          'AuthorizationPolicy',
          { name: 'near' },
          {
            targetRefs: [reference('Gateway', 'front', GATEWAY_API)],
            rules: [{ from: [{ source: { ipBlocks: [net.ip(9)] } }] }, { to: [{ operation: { ports: ['8088'] } }] }],
          },
        ),
      ],
      proxy: { name: 'gw-0', namespace: 'default', ipAddress: net.everywhere, type: 'router' },
    });
  });
  after(async () => {
    await gateway?.stop();
    await origin?.close();
  });

  test('those that name it, with requests', async () => {
    proves(
      'AuthorizationPolicy.spec.targetRef.group',
      'AuthorizationPolicy.spec.targetRef.kind',
      'AuthorizationPolicy.spec.targetRef.name',
      'AuthorizationPolicy.spec.targetRef.namespace',
      'AuthorizationPolicy.spec.targetRefs[].group',
      'AuthorizationPolicy.spec.targetRefs[].kind',
      'AuthorizationPolicy.spec.targetRefs[].name',
    );
    const to = { address: net.everywhere, port: 8088, host: 'web.test' };
    const paths = ['/', '/one', '/near', '/list', '/selected', '/other', '/elsewhere'];
    const seen = await Promise.all(paths.map(async (path) => [path, (await call(path, to)).status]));
    assert.deepEqual(seen, [
      ['/', 200],
      ['/one', 403],
      ['/near', 403],
      ['/list', 403],
      ['/selected', 403],
      ['/other', 200],
      ['/elsewhere', 200],
    ]);
  });

  test('and with connections, which it closes', async () => {
    proves('AuthorizationPolicy.spec.targetRefs[].name');
    await assert.rejects(sendBytes(net.everywhere, 8089, 'hello'), /without an answer|ECONNRESET/);
  });
});

describe('at sidecars', () => {
  let app: Origin;
  let envoy: Workloads;
  before(async () => {
    app = await startOrigin('app', '127.0.0.1', await freePort());
    envoy = await startWorkloads({
      net,
      app: app.port,
      workloads: [{ name: 'one' }, { name: 'two' }, { name: 'far', namespace: 'far' }],
      objects: [
        deny('/mesh', {}, { namespace: 'istio-system' }),
        deny('/namespace', {}),
        deny('/selected', { selector: { matchLabels: { app: 'one' } } }),
        deny('/selected-mesh', { selector: { matchLabels: { app: 'far' } } }, { namespace: 'istio-system' }),
        // A Service is reached through waypoints; sidecars do not follow it.
        deny('/service', { targetRefs: [{ group: '', kind: 'Service', name: 'one' }] }),
      ],
    });
  });
  after(async () => {
    await envoy?.stop();
    await app?.close();
  });

  test('those of the mesh, of the namespace and of the selector', async () => {
    proves('AuthorizationPolicy.spec.selector.matchLabels[]', 'MeshConfig.rootNamespace');
    const seen = async (name: string): Promise<readonly string[]> => {
      const paths = ['/mesh', '/namespace', '/selected', '/selected-mesh', '/service'];
      const statuses = await Promise.all(paths.map(async (path) => (await envoy.ask(name, { path })).status));
      return paths.filter((_, i) => statuses[i] === 403);
    };
    assert.deepEqual(await seen('one'), ['/mesh', '/namespace', '/selected']);
    assert.deepEqual(await seen('two'), ['/mesh', '/namespace']);
    assert.deepEqual(await seen('far'), ['/mesh', '/selected-mesh']);
  });
});
