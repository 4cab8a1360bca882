import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { addons } from './observe/chapters.ts';
import { openDashboard } from './observe/dashboard.ts';
import { obstacle } from './support/cluster.ts';
import { http } from './support/http.ts';
import { ownCluster } from './support/own-cluster.ts';
import { until } from './support/shell.ts';

const samples = join(addons, '..');

// As on a machine that has no such program; the cluster hears of it by its environment.
process.env.ISTIO_TS_LOCAL_WITHOUT = 'prometheus';

describe('a machine without Prometheus', {
  skip: obstacle({ localCluster: 'it decides what an image is' }) ?? false,
}, () => {
  const cluster = ownCluster(async (started) => {
    await started.istioctl('install', '--set', 'profile=demo', '-y');
    await started.kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await started.kubectl(
      ...['apply', '-f', join(samples, 'httpbin', 'httpbin.yaml'), '-f', join(samples, 'curl', 'curl.yaml')],
    );
    await started.kubectl('apply', '-f', join(addons, 'prometheus.yaml'), '-f', join(addons, 'kiali.yaml'));
    await started.podsReady('default');
    await started.podsReady('istio-system');
  });
  const calls = (): Promise<unknown> =>
    cluster().tryKubectl(
      'exec',
      'deploy/curl',
      '-c',
      'curl',
      '--',
      'curl',
      '-s',
      '-o',
      '/dev/null',
      'httpbin:8000/get',
    );

  test('istioctl dashboard prometheus opens a store of ours, which says what it is and has the metrics of the mesh', async () => {
    const { url, close } = await openDashboard(cluster(), 'prometheus');
    try {
      const page = await http(new URL('/', url).href);
      assert.equal(page.status, 200);
      assert.match(page.body, /Metrics store of istio-ts/);
      assert.match(page.body, /This is not Prometheus: this machine has no program of that name/);
      await until('requests in the store', async () => {
        await calls();
        const query = encodeURIComponent('sum(istio_requests_total{destination_app="httpbin",reporter="destination"})');
        const { body } = await http(new URL(`/api/v1/query?query=${query}`, url).href);
        const { data } = JSON.parse(body) as { data: { result: readonly { value: readonly [number, string] }[] } };
        return Number(data.result[0]?.value[1]) > 0 || undefined;
      });
    } finally {
      await close();
    }
  });

  test('the console draws its graph from it', async () => {
    const { url, close } = await openDashboard(cluster(), 'kiali');
    try {
      await until('the call in the graph', async () => {
        await calls();
        const query = encodeURIComponent('sum(rate(istio_requests_total{destination_app="httpbin"}[1m]))');
        const { status, body } = await http(new URL(`/api/query?query=${query}`, url).href);
        assert.equal(status, 200, body);
        return /"value":\[[\d.]+,"0?\.?\d*[1-9]/.test(body) || undefined;
      });
    } finally {
      await close();
    }
  });
});
