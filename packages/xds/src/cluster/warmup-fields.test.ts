import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { anywhere, app, balanced, clientOf, clusterName, host } from './balance-fields.test-support.ts';

/** How a DestinationRule gives new endpoints their share slowly, as a client of one real Envoy sees it. */

const WARMUP_MS = 6000;
const warming = (settings: object) => ({
  loadBalancer: { ...anywhere, ...settings },
});

const policies: Readonly<Record<string, object>> = {
  warm: warming({ warmup: { duration: '6s', minimumPercent: 1, aggression: 1 } }),
  eager: warming({ warmup: { duration: '6s', minimumPercent: 1, aggression: 10 } }),
  floor: warming({ warmup: { duration: '6s', minimumPercent: 90, aggression: 1 } }),
  old: warming({ warmupDurationSecs: '6s' }),
};

const { shares, stat, envoy } = clientOf(
  [...Object.entries(policies).flatMap(([name, policy]) => [...app(name, ['a1', 'a2']), ...balanced(name, policy)])],
  Object.keys(policies),
);

let started = 0;
// After Envoy's own start.
before(() => {
  started = performance.now();
});

test('new endpoints get their share slowly', async () => {
  proves(
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.duration',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.minimumPercent',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmup.aggression',
    'DestinationRule.spec.trafficPolicy.loadBalancer.warmupDurationSecs',
  );
  const share = async (name: string): Promise<number> => {
    const cluster = clusterName(name);
    const whole = envoy().endpoints(cluster);
    const [group] = whole.endpoints ?? [];
    const [first, second] = (whole.endpoints ?? []).flatMap((one) => one.lbEndpoints ?? []);
    assert.ok(first && second);
    const members = (count: number) =>
      eventually(async () => ((await stat(host(name), 'membership_total')) === count ? true : undefined), `${count}`);
    for (let tries = 0; ; tries++) {
      await envoy().setEndpoints(cluster, { ...whole, endpoints: [{ ...group, lbEndpoints: [first] }] });
      await members(1);
      const added = performance.now();
      await envoy().setEndpoints(cluster, { ...whole, endpoints: [{ ...group, lbEndpoints: [first, second] }] });
      await members(2);
      const share = (await shares(name, 100)).a2 ?? 0;
      // On a machine that was busy with other things the warm-up went on: that says nothing of its beginning.
      if (performance.now() - added < WARMUP_MS / 3 || tries === 20) return share;
    }
  };
  // The other endpoint is as old as Envoy: its own warm-up has to be over.
  await eventually(() => (performance.now() > started + WARMUP_MS + 500 ? true : undefined), 'the end of the warm-up');
  const [warm, eager, floor, old] = [
    await share('warm'),
    await share('eager'),
    await share('floor'),
    await share('old'),
  ];
  const all = JSON.stringify({ warm, eager, floor, old });
  assert.ok(warm < 30 && old < 35, all);
  assert.ok(eager > 32 && floor > 40, all);
});
