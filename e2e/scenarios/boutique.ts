import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkOut, fillCart } from '../support/checkout.ts';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';

const samples = join(import.meta.dirname, '..', '..', 'samples', 'online-boutique');

/** Online Boutique with sidecars, reached through the ingress gateway. */
export function boutique(cluster: () => Cluster): void {
  test('every pod of Online Boutique gets a sidecar and becomes ready', async () => {
    await cluster().kubectl('create', 'ns', 'istio-app');
    await cluster().kubectl('label', 'ns', 'istio-app', 'istio-injection=enabled');
    await cluster().apply(readFileSync(join(samples, 'kubernetes-manifests.yaml'), 'utf8'), 'istio-app');
    await cluster().apply(readFileSync(join(samples, 'istio-manifests.yaml'), 'utf8'), 'istio-app');
    const pods = await cluster().podsReady('istio-app');
    assert.equal(pods.match(/2\/2\s+Running/g)?.length, 12, pods);
  });

  test('the gateway shows the shop with products in it', async () => {
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    const page = await until('the shop to answer', async () => {
      const answer = await http(`http://${address}/`);
      if (answer.status !== 200) throw new Error(`status ${answer.status} ${answer.error ?? ''}`);
      return answer;
    });
    assert.match(page.body, /Sunglasses/);
    assert.equal(page.headers.server, 'istio-envoy');
  });

  test('a checkout succeeds', async () => {
    const address = await cluster().loadBalancer('istio-system', 'istio-ingressgateway');
    const session = { cookie: `shop_session-id=e2e-${process.pid}` };
    // The services behind the shop may become reachable a moment after it.
    await eventually('an order', async () => {
      await fillCart(address, session);
      await checkOut(address, session);
    });
  });

  test('every proxy is synchronised', async () => {
    const table = await until('all proxies to be synchronised', async () => {
      const output = await cluster().istioctl('proxy-status');
      const rows = output.trim().split('\n').slice(1);
      if (rows.length < 14) throw new Error(output);
      if (rows.some((row) => /STALE|NOT SENT.*NOT SENT.*NOT SENT/.test(row) || !row.includes('SYNCED')))
        throw new Error(output);
      return output;
    });
    assert.match(table, /frontend-.*\.istio-app/);
  });
}
