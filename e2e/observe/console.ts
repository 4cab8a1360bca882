import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { split } from '../scenarios/canary.ts';
import type { Cluster } from '../support/cluster.ts';
import { until } from '../support/shell.ts';
import { type Dashboard, openDashboard } from './dashboard.ts';

const chromium = '/usr/bin/chromium';
const missing = existsSync(chromium) ? false : `there is no ${chromium}: install Debian's chromium`;

/** Rates of the versions of the product catalogue, as the drawing of the graph says them. */
async function drawn(page: Page): Promise<Readonly<Record<string, number>>> {
  const labels = await page
    .locator('[data-node][role=button]')
    .evaluateAll((nodes) => nodes.map((node) => node.getAttribute('aria-label') ?? ''));
  return Object.fromEntries(
    labels.flatMap((label) => {
      const [, version] = /productcatalogservice (v[12])\b/.exec(label) ?? [];
      const [, rate] = /, ([\d.]+) requests per second/.exec(label) ?? [];
      return version === undefined ? [] : [[version, Number(rate ?? 0)]];
    }),
  );
}

/** The console in a browser, opened as the tutorials open Kiali: a canary's weights moved by a slider, and the graph follows. */
export function consoleInBrowser(cluster: () => Cluster): void {
  describe('the console in a browser', { skip: missing }, () => {
    let browser: Browser | undefined;
    let dashboard: Dashboard | undefined;
    let page: Page;
    let address = '';
    const complaints: string[] = [];

    before(async () => {
      await cluster().kubectl('create', 'serviceaccount', 'operator-in-person', '-n', 'istio-app');
      const binding = ['rolebinding', 'operator-in-person', '-n', 'istio-app'];
      await cluster().kubectl(
        'create',
        ...binding,
        '--clusterrole=cluster-admin',
        '--serviceaccount=istio-app:operator-in-person',
      );
      await cluster().apply(split(75, 25), 'istio-app');
      dashboard = await openDashboard(cluster(), 'kiali');
      address = new URL('/', dashboard.url).href.slice(0, -1);
      const { chromium: program } = await import('playwright-core');
      browser = await program.launch({ executablePath: chromium, args: ['--no-sandbox'] });
      const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, reducedMotion: 'reduce' });
      page = await context.newPage();
      page.setDefaultTimeout(60_000);
      page.on('pageerror', (error) => complaints.push(String(error)));
    });
    after(async () => {
      await browser?.close();
      await dashboard?.close();
    });

    const graph = () => page.goto(`${address}/graph?ns=istio-app`);

    test('the graph has both versions of the catalogue with traffic, three quarters of it at the first', async () => {
      await until(
        'the graph to show the split',
        async () => {
          await graph();
          await page.locator('[data-node]').first().waitFor();
          const { v1 = 0, v2 = 0 } = await drawn(page);
          const share = v2 / (v1 + v2);
          // A minute of a few calls per second: a quarter, with what chance adds and takes away.
          if (v1 > 0 && v2 > 0 && share > 0.08 && share < 0.45) return true;
          throw new Error(`the graph has ${v1}/s of v1 and ${v2}/s of v2`);
        },
        180_000,
        3_000,
      );
    });

    test('who gives no token reads: nothing can be applied', async () => {
      await page.goto(`${address}/services/istio-app/productcatalogservice?wizard=shift`);
      await page.getByRole('slider', { name: /v2/ }).waitFor();
      await page.getByRole('slider', { name: /v2/ }).press('End');
      assert.equal(await page.getByRole('button', { name: 'Apply', exact: true }).isDisabled(), true);
      await page.getByRole('button', { name: 'Cancel' }).click();
      const answer = await page.evaluate(async () => {
        const path = '/api/config/VirtualService/istio-app/productcatalogservice';
        return (await fetch(path, { method: 'DELETE', headers: { 'x-istio-console': '1' } })).status;
      });
      assert.equal(answer, 403);
    });

    test('a token that Kubernetes does not know is refused, a good one signs in', async () => {
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.locator('#token').fill('nonsense');
      await page.getByRole('button', { name: /sign in/i }).click();
      await page.getByRole('alert').first().waitFor();
      const token = await cluster().kubectl('create', 'token', 'operator-in-person', '-n', 'istio-app');
      await page.locator('#token').fill(token.trim());
      await page.getByRole('button', { name: /sign in/i }).click();
      await page.getByText('operator-in-person').first().waitFor();
    });

    test('the slider moves the weights from 75 and 25 to 0 and 100', async () => {
      await page.goto(`${address}/services/istio-app/productcatalogservice?wizard=shift`);
      const slider = page.getByRole('slider', { name: /v2/ });
      await slider.waitFor();
      assert.equal(await slider.inputValue(), '25');
      await slider.press('End');
      assert.equal(await slider.inputValue(), '100');
      assert.equal(await page.getByRole('slider', { name: /v1/ }).inputValue(), '0');
      await page.getByRole('button', { name: 'Apply', exact: true }).click();
      await until('the weights in the cluster', async () => {
        const object = JSON.parse(
          await cluster().kubectl('get', 'virtualservice', 'productcatalogservice', '-n', 'istio-app', '-o', 'json'),
        ) as { spec: { http: readonly { route: readonly { destination: { subset: string }; weight?: number }[] }[] } };
        const weights = object.spec.http.flatMap(({ route }) =>
          route.map(({ destination, weight }) => `${destination.subset} ${weight ?? 100}`),
        );
        const moved = weights.includes('v2 100') && !weights.some((text) => /^v1 (?!0$)/.test(text));
        if (!moved) throw new Error(weights.join(', '));
        return true;
      });
    });

    test('the graph follows: all traffic goes to the second version', async () => {
      await until(
        'the first version to have no traffic',
        async () => {
          await graph();
          await page.locator('[data-node]').first().waitFor();
          const { v1 = 0, v2 = 0 } = await drawn(page);
          if (v1 === 0 && v2 > 0) return true;
          throw new Error(`the graph has ${v1}/s of v1 and ${v2}/s of v2`);
        },
        240_000,
        3_000,
      );
    });

    test('every page opens without an error of the browser', async () => {
      for (const path of [
        '/',
        '/applications',
        '/workloads',
        '/workloads/istio-app/frontend',
        '/services',
        '/configuration',
        '/configuration/VirtualService/istio-app/productcatalogservice',
        '/configuration/new',
        '/traces',
        '/logs',
        '/dashboards',
        '/proxies',
        '/explain',
        '/settings',
      ]) {
        await page.goto(address + path);
        await page.locator('h1').first().waitFor();
      }
      assert.deepEqual(complaints, []);
    });
  });
}
