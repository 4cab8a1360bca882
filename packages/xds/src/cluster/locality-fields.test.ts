import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { istioObject } from '../testing/objects.ts';
import { anywhere, app, balanced, clientOf, type Place, quick, rule } from './balance-fields.test-support.ts';

/** How a DestinationRule prefers some places to others, as a client of one real Envoy sees it. */

const policies: Readonly<Record<string, object>> = {
  distribute: {
    loadBalancer: {
      localityLbSetting: { distribute: [{ from: 'a/1/*', to: { 'a/1/*': 1, 'c/*': 99 } }] },
    },
  },
  failover: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: { localityLbSetting: { failover: [{ from: 'a', to: 'c' }] } },
  },
  labels: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: { localityLbSetting: { failoverPriority: ['place', 'topology.kubernetes.io/region'] } },
  },
  spread: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick },
    loadBalancer: anywhere,
  },
};

const { place, shares, origins } = clientOf([
  ...Object.entries(policies).flatMap(([name, policy]) => [...app(name), ...balanced(name, policy)]),
  // Two attempts fail near the client; where the next ones go is for the route to say.
  ...['remote', 'near'].flatMap((name) => [
    ...app(name, ['a1', 'c1']),
    rule(name, { outlierDetection: { consecutive5xxErrors: 100 } }),
    istioObject(
      'VirtualService',
      { name },
      {
        hosts: [name],
        http: [
          {
            retries: {
              attempts: 3,
              retryOn: '5xx',
              backoff: '1ms',
              retryIgnorePreviousHosts: false,
              retryRemoteLocalities: name === 'remote',
            },
            route: [{ destination: { host: name } }],
          },
        ],
      },
    ),
  ]),
]);

test('localities: a split by weight, regions and labels that take over, and none of it', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].from',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[].to',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].from',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failover[].to',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.failoverPriority',
    'DestinationRule.spec.trafficPolicy.loadBalancer.localityLbSetting.enabled',
  );
  const split = await shares('distribute', 100);
  assert.ok((split.c1 ?? 0) > 85 && (split.c1 ?? 0) + (split.a1 ?? 0) === 100, JSON.stringify(split));
  assert.equal(Object.keys(await shares('spread', 8)).length, 4);

  const down = async (to: string, bad: Place, next: string): Promise<void> => {
    origins[bad].status = 500;
    await eventually(async () => ((await place(to)) === next ? true : undefined), `${to}: ${next} instead of ${bad}`);
    assert.deepEqual(await shares(to, 10), { [next]: 10 });
  };
  assert.deepEqual(await shares('failover', 10), { a1: 10 });
  await down('failover', 'a1', 'a2');
  await down('failover', 'a2', 'c1');
  await down('failover', 'c1', 'b1');
  for (const origin of Object.values(origins)) origin.status = undefined;

  assert.deepEqual(await shares('labels', 10), { b1: 10 }, 'the label of the client itself');
  origins.b1.status = 500;
  await eventually(async () => ((await place('labels')) !== 'b1' ? true : undefined), 'another one than b1');
  // Nobody else has the first label, so the second one does not count.
  assert.equal(Object.keys(await shares('labels', 30)).length, 3);
  origins.b1.status = undefined;
});

test('attempts go to other localities where the route says so', async () => {
  proves('VirtualService.spec.http[].retries.retryRemoteLocalities');
  for (const name of ['remote', 'near']) assert.deepEqual(await shares(name, 5), { a1: 5 });
  origins.a1.status = 500;
  assert.deepEqual(await shares('remote', 5), { c1: 5 });
  assert.deepEqual(await shares('near', 5), { a1: 5 });
  origins.a1.status = undefined;
});
