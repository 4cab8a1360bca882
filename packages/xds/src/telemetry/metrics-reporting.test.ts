import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { type Sample, samples, scrape } from '../testing/metrics.ts';
import { BYTES_PORT } from './access-log.test-support.ts';
import { MESH, type MetricsLab, sample, startMetricsLab, telemetry } from './metrics.test-support.ts';

/** Who gets metrics at all, and when those of open connections are reported. */

let lab: MetricsLab;
before(async () => {
  lab = await startMetricsLab();
});
after(() => lab?.close());

test('bytes of connections that stay open are reported at an interval', async () => {
  proves('Telemetry.spec.metrics[].reportingInterval');
  const objects = [telemetry('live', 'default', [{ reportingInterval: '0.2s' }])];
  await lab.withSidecar({ mesh: MESH, objects }, async (envoy) => {
    const socket = connect(BYTES_PORT, lab.net.ip(32), () => socket.write('ping'));
    const value = async (name: string, wanted: number): Promise<Sample> =>
      eventually(
        async () => samples(await scrape(envoy)).find((one) => one.name === name && one.value === wanted),
        `${wanted} of ${name}`,
      );
    const live = await value('istio_tcp_received_bytes_total', 4);
    assert.equal(live.labels.destination_app, 'bytes');
    assert.equal(live.labels.connection, undefined);
    socket.write('more');
    await value('istio_tcp_received_bytes_total', 8);
    assert.ok(!samples(await scrape(envoy)).some(({ name }) => name === 'istio_tcp_connections_closed_total'));
    socket.end();
    await sample(envoy, 'istio_tcp_connections_closed_total', { reporter: 'source' });
    const last = samples(await scrape(envoy)).filter(({ name }) => name === 'istio_tcp_received_bytes_total');
    assert.deepEqual(
      last.map((one) => one.value),
      [8],
    );
  });
});

test('bytes of open connections are reported without being asked for, those of short ones when they end', async () => {
  await lab.withSidecar({ mesh: MESH }, async (envoy) => {
    const received = async (): Promise<number> =>
      samples(await scrape(envoy)).find(({ name }) => name === 'istio_tcp_received_bytes_total')?.value ?? 0;
    assert.match(await lab.exchange('short'), /short$/);
    await eventually(
      async () => (await received()) === 'short'.length || undefined,
      'the bytes of the short connection',
    );
    // Nothing is kept for a connection that ended before it could be reported.
    assert.doesNotMatch(await envoy.admin('/stats/prometheus'), /_bytes_total_open/);
    const socket = connect(BYTES_PORT, lab.net.ip(32), () => socket.write('ping'));
    await eventually(async () => (await received()) === 'short'.length + 'ping'.length || undefined, 'open bytes');
    assert.equal(socket.destroyed, false);
    socket.end();
    await eventually(
      async () =>
        samples(await scrape(envoy)).some((one) => one.name.includes('closed') && one.value === 2) || undefined,
      'the end of both',
    );
    assert.equal(await received(), 'short'.length + 'ping'.length);
  });
});

test('without a provider of metrics there are none; a Telemetry may name one', async () => {
  proves('MeshConfig.defaultProviders.metrics[]', 'MeshConfig.extensionProviders[].prometheus');
  const count = async (objects: readonly ReturnType<typeof telemetry>[], mesh: object): Promise<number> => {
    let found = 0;
    await lab.withSidecar({ mesh, objects }, async (envoy) => {
      await lab.toWeb('/');
      await eventually(
        async () => (await envoy.admin('/stats?filter=downstream_rq_2xx|downstream_rq_completed')) || undefined,
        'statistics',
      );
      found = samples(await scrape(envoy)).filter(({ name }) => name === 'istio_requests_total').length;
    });
    return found;
  };
  assert.equal(await count([], { defaultProviders: {} }), 0);
  assert.equal(await count([telemetry('all-off', 'default', [{ overrides: [{ disabled: true }] }])], MESH), 0);
  const named = [telemetry('named', 'default', [{ providers: [{ name: 'mine' }] }])];
  assert.equal(await count(named, { extensionProviders: [{ name: 'mine', prometheus: {} }] }), 1);
});
