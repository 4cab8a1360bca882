import assert from 'node:assert/strict';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { MetricsRegistry } from '@istio-ts/metrics';
import { catalogue } from '@istio-ts/metrics/catalogue';
import { namesIn, promtoolComplaints } from '@istio-ts/metrics/promtool.test-support';
import { serveHttp } from './http-servers.ts';
import { createCniMetrics } from './metrics.ts';

test('what a node scrapes is in the catalogue, all of it, and promtool takes it', async (t) => {
  const registry = new MetricsRegistry();
  const { ready, installs, requests, repairs } = createCniMetrics(registry);
  const server = await serveHttp(0, (path) =>
    path === '/metrics' ? { status: 200, text: registry.text() } : undefined,
  );
  t.after(() => server.close());
  const scrape = async (): Promise<string> =>
    (await fetch(`http://localhost:${(server.address() as AddressInfo).port}/metrics`)).text();
  assert.deepEqual(namesIn(await scrape()), ['istio_cni_install_ready']);
  ready.set(1);
  installs.add({ result: 'SUCCESS' });
  requests.add({ response_code: '200' });
  repairs.add({ type: 'label', result: 'success' });
  const text = await scrape();
  const known = catalogue.filter(({ program, state }) => program === 'install-cni' && state.kind !== 'absent');
  assert.deepEqual([...namesIn(text)].sort(), known.map(({ name }) => name).sort());
  const complaints = promtoolComplaints(text, () => true);
  if (complaints === undefined) return t.skip('promtool is not on this machine');
  assert.deepEqual(complaints, []);
});
