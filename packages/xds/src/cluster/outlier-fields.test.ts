import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { loopbackApp } from '../testing/offline-envoy.ts';
import { anywhere, app, balanced, clientOf, host, net, places, PORT, quick } from './balance-fields.test-support.ts';

/** How a DestinationRule leaves endpoints out that fail, as a client of one real Envoy sees it. */

const policies: Readonly<Record<string, object>> = {
  fivexx: {
    outlierDetection: { consecutive5xxErrors: 3, ...quick },
    loadBalancer: anywhere,
  },
  gateway: {
    outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 2, ...quick },
    loadBalancer: anywhere,
  },
  old5xx: {
    outlierDetection: { consecutiveErrors: 2, ...quick },
    loadBalancer: anywhere,
  },
  codes: {
    outlierDetection: { consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429], ...quick },
    loadBalancer: anywhere,
  },
  back: {
    outlierDetection: { consecutive5xxErrors: 1, interval: '0.1s', baseEjectionTime: '0.5s', maxEjectionPercent: 100 },
    loadBalancer: anywhere,
  },
  half: {
    outlierDetection: { consecutive5xxErrors: 1, interval: '0.1s', baseEjectionTime: '60s', maxEjectionPercent: 50 },
    loadBalancer: anywhere,
  },
  panic: {
    outlierDetection: { consecutive5xxErrors: 1, ...quick, minHealthPercent: 60 },
    loadBalancer: anywhere,
  },
  local: {
    outlierDetection: { splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, ...quick },
    loadBalancer: anywhere,
  },
};

const { get, place, stat, origins } = clientOf([
  ...Object.entries(policies).flatMap(([name, policy]) => [
    ...(name === 'half'
      ? app(name)
      : name === 'local'
        ? loopbackApp(net, name, { last: 90, port: PORT, protocol: 'http' }, [{ last: places.a1 }, { last: 99 }])
        : app(name, ['a1', 'a2'])),
    ...balanced(name, policy),
  ]),
]);

test('endpoints that fail are left out for a while', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutive5xxErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveGatewayErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.outlierDetectionHttpErrorCodes',
    'DestinationRule.spec.trafficPolicy.outlierDetection.splitExternalLocalOriginErrors',
    'DestinationRule.spec.trafficPolicy.outlierDetection.consecutiveLocalOriginFailures',
    'DestinationRule.spec.trafficPolicy.outlierDetection.baseEjectionTime',
    'DestinationRule.spec.trafficPolicy.outlierDetection.interval',
    'DestinationRule.spec.trafficPolicy.outlierDetection.maxEjectionPercent',
    'DestinationRule.spec.trafficPolicy.outlierDetection.minHealthPercent',
  );
  const statuses = async (to: string, count: number): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (let i = 0; i < count; i++) {
      const { status } = await get(to);
      counts[status] = (counts[status] ?? 0) + 1;
    }
    return counts;
  };
  /** Failed answers until an endpoint was left out. Workers hear of that a little later: from then on no answer fails. */
  const failuresUntilEjection = async (to: string): Promise<number> => {
    let failures = 0;
    await eventually(async () => {
      const { status } = await get(to);
      if (status !== 200) failures++;
      return (await stat(host(to), 'outlier_detection.ejections_active')) === 1 ? true : undefined;
    }, `an endpoint of ${to} is left out`);
    await eventually(
      async () => ((await statuses(to, 8))[200] === 8 ? true : undefined),
      `${to} answers without that endpoint`,
    );
    return failures;
  };
  /** What is left out after so many failures. Some more arrive while workers have not heard of it. */
  const leftOutAfter = async (to: string, failures: number): Promise<void> => {
    const seen = await failuresUntilEjection(to);
    assert.ok(seen >= failures, `${to}: left out after ${seen} failures instead of ${failures}`);
  };
  origins.a1.status = 500;
  await leftOutAfter('fivexx', 3);
  await leftOutAfter('old5xx', 2);
  // 500 is no error of a gateway.
  assert.deepEqual(await statuses('gateway', 10), { 200: 5, 500: 5 });
  origins.a1.status = 502;
  await leftOutAfter('gateway', 2);
  // Only the listed status counts.
  assert.deepEqual(await statuses('codes', 10), { 200: 5, 502: 5 });
  origins.a1.status = 429;
  await leftOutAfter('codes', 2);
  assert.deepEqual(await statuses('local', 2), { 429: 1, 503: 1 });
  await eventually(async () => {
    await get('local');
    const ejected = await stat(host('local'), 'outlier_detection.ejections_enforced_consecutive_local_origin_failure');
    return ejected === 1 ? true : undefined;
  }, 'an endpoint where nobody listens is left out');
  await eventually(
    async () => ((await statuses('local', 8))[429] === 8 ? true : undefined),
    'the other endpoint answers everything',
  );
  origins.a1.status = 500;
  await eventually(async () => {
    await get('back');
    const ejected = await stat(host('back'), 'outlier_detection.ejections_enforced_consecutive_5xx');
    return (ejected ?? 0) > 0 ? true : undefined;
  }, 'an endpoint is left out for a short time');
  origins.a1.status = undefined;
  await eventually(async () => ((await place('back')) === 'a1' ? true : undefined), 'its return');

  origins.a1.status = 500;
  const panicked = await statuses('panic', 20);
  assert.ok((panicked[500] ?? 0) > 5, 'with too few healthy endpoints all are used');
  for (const origin of Object.values(origins)) origin.status = 500;
  await statuses('half', 20);
  await eventually(
    async () => ((await stat(host('half'), 'outlier_detection.ejections_active')) === 2 ? true : undefined),
    'half of the endpoints are left out',
  );
  for (const origin of Object.values(origins)) origin.status = undefined;
});
