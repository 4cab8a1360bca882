import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { startControlPlane } from '../clients/control-plane.test-support.ts';
import { limitCallers } from '../process/identities.ts';
import { RateLimit } from './rate-limit.ts';

test('a caller has its burst, then so many in a second, whatever others do', () => {
  let now = 0;
  const limit = new RateLimit({ perSecond: 2, burst: 3 }, () => now);
  const take = (caller: string, times: number): boolean[] => Array.from({ length: times }, () => limit.take(caller));
  assert.deepEqual(take('a', 4), [true, true, true, false]);
  assert.deepEqual(take('b', 1), [true]);
  now = 500;
  assert.deepEqual(take('a', 2), [true, false]);
  now = 60_000;
  assert.deepEqual(take('a', 4), [true, true, true, false]);
});

test('certificates: a pod counts for itself, those without one by account and address', () => {
  const admits = limitCallers(new Set(['istio-system/ztunnel']), () => 0);
  const caller = (serviceAccount: string, podUid: string | undefined, remoteAddress: string, namespace = 'shop') => ({
    identity: { trustDomain: 'cluster.local', namespace, serviceAccount },
    podName: undefined,
    podUid,
    remoteAddress,
  });
  const admitted = (one: ReturnType<typeof caller>): number => {
    let count = 0;
    while (count < 5000 && admits(one)) count++;
    return count;
  };
  const pod = admitted(caller('cart', 'uid-1', '10.0.0.1'));
  assert.ok(pod >= 10 && pod < 100);
  assert.equal(admitted(caller('cart', 'uid-2', '10.0.0.1')), pod);
  const address = admitted(caller('cart', undefined, '10.0.0.1'));
  assert.ok(address > pod && address < 5000);
  assert.equal(admitted(caller('cart', undefined, '10.0.0.2')), address);
  assert.ok(admitted(caller('ztunnel', 'uid-3', '10.0.0.3', 'istio-system')) > address);
});

test('proxies that connect too many at a time are told to come again', async () => {
  let now = 0;
  const limit = new RateLimit({ perSecond: 1, burst: 2 }, () => now);
  const controlPlane = await startControlPlane([], {}, { admits: () => limit.take('') });
  const [host = '', port] = controlPlane.plain.split(':');
  const connect = async (): Promise<string> => {
    const channel = openGrpcChannel({ kind: 'tcp', host, port: Number(port) });
    try {
      const stream = await channel.stream(
        '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources',
      );
      await stream.write(
        encode('envoy.service.discovery.v3.DeltaDiscoveryRequest', {
          node: { id: 'sidecar~10.0.0.1~a.default~default.svc.cluster.local' },
          typeUrl: 'type.googleapis.com/envoy.config.cluster.v3.Cluster',
        }),
      );
      await stream.messages().next();
      stream.cancel();
      return 'OK';
    } catch (error) {
      return (error as { readonly status: string }).status;
    } finally {
      channel.close();
    }
  };
  try {
    assert.deepEqual([await connect(), await connect(), await connect()], ['OK', 'OK', 'RESOURCE_EXHAUSTED']);
    now = 1000;
    assert.equal(await connect(), 'OK');
  } finally {
    await controlPlane.close();
  }
});
