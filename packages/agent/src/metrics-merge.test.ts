import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { proves, provesAnnotations } from '@istio-ts/xds/field-proof';
import { cleanups, freePort, http, skip } from './agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from './fake-istiod.test-support.ts';
import { ready, startProxy } from './injected-proxy.test-support.ts';

/** Whether a scrape of the agent has the application's metrics beside those of the real Envoy: what the mesh says, and the pod over it (`false` of the pod: `annotations.test.ts`). */

const CASES = [
  { mesh: {}, own: undefined, merged: true },
  { mesh: { enablePrometheusMerge: false }, own: undefined, merged: false },
  { mesh: { enablePrometheusMerge: false }, own: 'true', merged: true },
] as const;

test('the application’s metrics are served with the proxy’s, or not', { skip }, async (t) => {
  proves('MeshConfig.enablePrometheusMerge');
  provesAnnotations('prometheus.istio.io/merge-metrics');
  const istiod = await startFakeIstiod([mutualTlsListener(await freePort(), false)]);
  cleanups.push(() => istiod.close());
  const paths: string[] = [];
  const application = createServer((request, response) => {
    paths.push(request.url ?? '');
    response.end('# TYPE app_things gauge\napp_things 7\n');
  });
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => void application.close());
  const { port } = application.address() as AddressInfo;
  for (const { mesh, own, merged } of CASES)
    await t.test(`${JSON.stringify(mesh)}, annotation ${own}`, async () => {
      const agent = await startProxy(
        istiod,
        {
          'prometheus.io/port': String(port),
          'prometheus.io/scrape': 'true',
          'prometheus.io/path': '/own-metrics',
          ...(own !== undefined && { 'prometheus.istio.io/merge-metrics': own }),
        },
        {},
        mesh,
      );
      await ready(agent);
      // Where Prometheus is sent: to the agent, or to the application as before.
      assert.deepEqual(
        [agent.annotations['prometheus.io/port'], agent.annotations['prometheus.io/path']],
        merged ? [String(agent.statusPort), '/stats/prometheus'] : [String(port), '/own-metrics'],
      );
      const { body } = await http(agent.statusPort, '/stats/prometheus');
      assert.match(body, /^envoy_/m);
      assert.equal(/^app_things 7$/m.test(body), merged);
      assert.equal(paths.splice(0).includes('/own-metrics'), merged);
      agent.process.kill('SIGTERM');
      await agent.exit;
    });
});
