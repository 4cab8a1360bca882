import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject } from '../testing/objects.ts';
import { LoopbackNet, loopbackApp, ORIGIN_PORT, startOfflineEnvoy } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';

/** Whose request ids a gateway trusts. */

const net = new LoopbackNet();
const PORT = 9720;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
let origin: Origin;

before(async () => {
  origin = await startOrigin('web', net.ip(2), ORIGIN_PORT);
});
after(() => origin.close());

/** Ids that the origin sees where a client sends `sent`. */
async function seenAtGateway(sent: readonly (string | undefined)[], patches: readonly object[]): Promise<unknown[]> {
  const port = await freePort();
  const envoy = await startOfflineEnvoy({
    net,
    objects: [
      podObject({ name: 'edge', labels: { istio: 'edge' }, ip: net.ip(50) }),
      istioObject(
        'Gateway',
        { name: 'edge' },
        {
          selector: { istio: 'edge' },
          servers: [{ port: { number: port, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
        },
      ),
      istioObject(
        'VirtualService',
        { name: 'web' },
        {
          hosts: ['*'],
          gateways: ['edge'],
          http: [{ route: [{ destination: { host: 'web.default.svc.cluster.local', port: { number: PORT } } }] }],
        },
      ),
      ...loopbackApp(net, 'web', { last: 31, port: PORT, protocol: 'http' }, [{ last: 2 }]),
      ...(patches.length > 0 ? [istioObject('EnvoyFilter', { name: 'ids' }, { configPatches: patches })] : []),
    ],
    proxy: { name: 'edge', namespace: 'default', type: 'router' },
  });
  try {
    const seen: unknown[] = [];
    for (const id of sent) {
      const answer = await call('/', {
        address: net.everywhere,
        port,
        host: 'web.test',
        ...(id !== undefined && { headers: { 'x-request-id': id } }),
      });
      assert.equal(answer.headers['x-request-id'], undefined);
      seen.push(answer.seen?.headers['x-request-id']);
    }
    return seen;
  } finally {
    await envoy.stop();
  }
}

test('a gateway gives requests ids of its own, in place of those from outside', async () => {
  const [none, foreign] = await seenAtGateway([undefined, 'of-the-client'], []);
  assert.match(String(none), UUID);
  assert.match(String(foreign), UUID);
});

test('preserveExternalRequestId by an EnvoyFilter: a gateway keeps the ids of its clients', async () => {
  const patch = {
    applyTo: 'NETWORK_FILTER',
    match: {
      context: 'GATEWAY',
      listener: { filterChain: { filter: { name: 'envoy.filters.network.http_connection_manager' } } },
    },
    patch: {
      operation: 'MERGE',
      value: {
        typed_config: {
          '@type':
            'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
          preserve_external_request_id: true,
          always_set_request_id_in_response: false,
        },
      },
    },
  };
  const [none, foreign] = await seenAtGateway([undefined, 'of-the-client'], [patch]);
  assert.match(String(none), UUID);
  assert.equal(foreign, 'of-the-client');
});
