// The pages in a real browser, against a server with made-up data: they draw without errors, can be used by keyboard, and do what they say.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { buildPages } from '../../../scripts/build-pages.mjs';
import { type Fixture, startFixture } from '../web/fixtures/server.ts';
import { problemsOf } from '../web/fixtures/accessibility.ts';

const chromium = '/usr/bin/chromium';
const missing = existsSync(chromium)
  ? false
  : `there is no ${chromium}: install Debian's chromium to run the pages' tests`;
const boutique = 'online-boutique';
const timeout = 30_000;

describe('pages', { skip: missing }, () => {
  let folder: string;
  let browser: Browser;
  let fixture: Fixture;
  let shared: { page: Page; complaints: string[] } | undefined;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'console-pages-'));
    const { build } = await import('esbuild');
    await buildPages(build, folder);
    const { chromium: program } = await import('playwright-core');
    browser = await program.launch({ executablePath: chromium, args: ['--no-sandbox'] });
    fixture = await startFixture({ pages: folder });
  });
  after(async () => {
    await browser?.close();
    await fixture?.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Opens a page and collects what the browser complains about. */
  async function open(
    path: string,
    colours: 'light' | 'dark' = 'light',
    at = fixture,
  ): Promise<{ page: Page; complaints: string[] }> {
    const context = await browser.newContext({
      viewport: { width: 1440, height: 900 },
      colorScheme: colours,
      reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    page.setDefaultTimeout(timeout);
    const complaints: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(at.address + path);
    return { page, complaints };
  }

  const pages: readonly (readonly [path: string, sign: string])[] = [
    ['/', '.namespace'],
    ['/?view=table', 'tbody tr'],
    [`/graph?ns=${boutique}`, '.node'],
    [`/graph?ns=${boutique}&selected=checkoutservice v1`, '.panel h2'],
    [`/graph?ns=${boutique}&view=table`, 'tbody tr'],
    [`/applications?ns=${boutique}`, 'tbody tr'],
    [`/workloads?ns=${boutique}`, 'tbody tr'],
    [`/services?ns=${boutique}`, 'tbody tr'],
    [`/services/${boutique}/productcatalogservice`, '.chart'],
    [`/services/${boutique}/productcatalogservice?tab=pods`, 'tbody tr'],
    [`/workloads/${boutique}/frontend?tab=metrics`, '.chart'],
    ['/configuration', 'tbody tr'],
    [`/configuration/VirtualService/${boutique}/productcatalogservice`, '.yaml-editor'],
    ['/configuration/new', '.yaml-editor'],
    [`/traces?service=frontend.${boutique}`, '.scatter circle'],
    [`/logs?workload=${boutique}/frontend`, '.log-line'],
    ['/dashboards', '.dashboard-card'],
    ['/dashboards/istio-mesh', '.chart'],
    ['/proxies', 'tbody tr'],
    ['/explain?url=http://productcatalogservice:3550/&ask=on', '.steps li'],
    ['/settings', '.addons li'],
    ['/nowhere', 'h1'],
  ];
  for (const [path, sign] of pages)
    test(`${path} is drawn and usable without a mouse or eyes`, async () => {
      // One browser window for all: it knows the scripts already.
      shared ??= await open('/settings');
      const { page, complaints } = shared;
      complaints.length = 0;
      await page.goto(fixture.address + path);
      await page.waitForSelector(sign);
      assert.equal(await page.locator('h1').count(), 1);
      assert.deepEqual(await page.evaluate(problemsOf), []);
      assert.deepEqual(complaints, []);
    });

  for (const path of ['/', `/services/${boutique}/paymentservice`])
    test(`${path} has enough contrast in dark colours`, async () => {
      const { page } = await open(path, 'dark');
      await page.waitForSelector('.health, .node');
      assert.deepEqual(await page.evaluate(problemsOf), []);
      await page.context().close();
    });

  test('the keyboard reaches the content first and walks the graph', async () => {
    const { page } = await open(`/graph?ns=${boutique}`);
    await page.waitForSelector('.node');
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement?.className), 'skip');
    await page.keyboard.press('Enter');
    const first = page.locator('.node[tabindex="0"]');
    await first.focus();
    const names: string[] = [];
    for (let step = 0; step < 2; step += 1) {
      await page.keyboard.press('ArrowRight');
      await page.waitForFunction((count) => document.activeElement?.classList.contains('node') && count >= 0, step);
      names.push(await page.evaluate(() => document.activeElement?.getAttribute('data-node') ?? ''));
    }
    assert.equal(new Set(names).size, names.length, `each key moves on: ${names.join(', ')}`);
    await page.keyboard.press('Enter');
    await page.waitForSelector('.panel');
    assert.equal(new URL(page.url()).searchParams.get('selected'), names.at(-1));
    await page.keyboard.press('Escape');
    await page.waitForSelector('.panel', { state: 'detached' });
    await page.context().close();
  });

  test('tabs and the address go together, back and forward', async () => {
    const { page } = await open(`/services/${boutique}/frontend`);
    await page.getByRole('tab', { name: /Overview/ }).focus();
    await page.keyboard.press('ArrowRight');
    await page.waitForURL(/tab=metrics/);
    assert.equal(await page.getByRole('tab', { name: /Metrics/ }).getAttribute('aria-selected'), 'true');
    await page.getByRole('navigation', { name: 'Main menu' }).getByRole('link', { name: 'Proxies' }).click();
    await page.waitForURL(/\/proxies/);
    assert.equal(await page.evaluate(() => document.activeElement?.tagName), 'H1', 'a new page has the focus');
    await page.goBack();
    await page.waitForURL(/tab=metrics/);
    await page.getByRole('tab', { name: /Metrics/, selected: true }).waitFor();
    await page.context().close();
  });

  test('500 nodes stay a bounded document, and only what is in view is drawn when it is near', async () => {
    const large = await startFixture({ pages: folder, nodes: 500 });
    try {
      const { page, complaints } = await open('/graph', 'light', large);
      await page.waitForSelector('.node');
      const whole = await page.evaluate(() => ({
        nodes: document.querySelectorAll('.node').length,
        elements: document.querySelectorAll('svg.graph *').length,
        texts: document.querySelectorAll('.node text').length,
      }));
      assert.equal(whole.nodes, 500);
      assert.equal(whole.texts, 0, 'names that cannot be read are not drawn');
      assert.ok(whole.elements < 5000, `${whole.elements} elements`);
      await page.locator('.node[tabindex="0"]').focus();
      for (let press = 0; press < 10; press += 1) await page.keyboard.press('+');
      await page.waitForFunction(
        () => document.querySelectorAll('.node').length < 150 && document.querySelectorAll('.node text').length > 0,
      );
      assert.ok((await page.evaluate(() => document.querySelectorAll('svg.graph *').length)) < 3000);
      assert.deepEqual(complaints, []);
      await page.context().close();
    } finally {
      await large.close();
    }
  });

  test('find and hide change the graph, and say what is wrong with a query', async () => {
    const { page } = await open(`/graph?ns=${boutique}`);
    await page.waitForSelector('.node');
    const nodes = await page.locator('.node').count();
    await page.getByRole('searchbox', { name: 'Find' }).fill('errors >= 10');
    await page.waitForFunction(() => document.querySelectorAll('.node.found').length === 2);
    await page.getByRole('searchbox', { name: 'Hide' }).fill('kind = unknown');
    await page.waitForFunction((count) => document.querySelectorAll('.node').length === count - 1, nodes);
    await page.getByRole('searchbox', { name: 'Find' }).fill('colour = red');
    await page.getByText('There is no field “colour”').waitFor();
    await page.context().close();
  });

  test('a slider moves all traffic to v2: the YAML is shown, written, and the graph follows', async () => {
    const own = await startFixture({ pages: folder });
    try {
      const { page, complaints } = await open(`/services/${boutique}/productcatalogservice`, 'light', own);
      await page.getByRole('button', { name: 'Wizards' }).click();
      await page.getByRole('button', { name: /Shift traffic/ }).click();
      const slider = page.getByRole('slider', { name: 'Share of v1' });
      assert.equal(await slider.inputValue(), '75');
      await slider.focus();
      await page.keyboard.press('Home');
      assert.equal(await page.getByRole('slider', { name: 'Share of v2' }).inputValue(), '100');
      const yaml = await page.locator('.preview .yaml').textContent();
      assert.match(yaml ?? '', /subset: v1\n\s+weight: 0\n/);
      assert.match(yaml ?? '', /subset: v2\n\s+weight: 100\n/);
      assert.match(yaml ?? '', /x-canary/, 'the other route is still there');
      await page.getByRole('button', { name: 'Apply' }).click();
      await page.getByText(/Applied: VirtualService/).waitFor();
      assert.equal(own.written.length, 1, 'the DestinationRule has its subsets already');
      assert.match(own.written[0] ?? '', /timeout: 2s/);
      await page.goto(`${own.address}/graph?ns=${boutique}&view=table`);
      await page.waitForSelector('tbody tr');
      const row = page.getByRole('row', { name: /frontend v1 productcatalogservice v1/ });
      assert.match((await row.textContent()) ?? '', /0\/s/);
      assert.deepEqual(complaints, []);
      await page.context().close();
    } finally {
      await own.close();
    }
  });

  test('who may not read what a service has is offered no weights, and told what is missing', async () => {
    const own = await startFixture({ pages: folder, unreadable: ['VirtualService'] });
    try {
      const { page, complaints } = await open(`/services/${boutique}/productcatalogservice?wizard=shift`, 'light', own);
      const dialog = page.getByRole('dialog');
      await dialog.getByText(`You may not read VirtualService in ${boutique}`).waitFor();
      await dialog.getByText('You may not list virtualservices').waitFor();
      assert.equal(await dialog.getByRole('slider').count(), 0);
      assert.ok(await dialog.getByRole('button', { name: 'Apply' }).isDisabled());
      assert.deepEqual(await page.evaluate(problemsOf), []);
      assert.deepEqual(complaints, []);
      await page.goto(`${own.address}/services/${boutique}/productcatalogservice?wizard=limits`);
      await dialog.getByRole('heading', { name: 'What will be applied' }).waitFor();
      await page.context().close();
    } finally {
      await own.close();
    }
  });

  test('who may not list some kinds is told that the list of configuration is not whole', async () => {
    const own = await startFixture({ pages: folder, unreadable: ['VirtualService'] });
    try {
      const { page, complaints } = await open(`/configuration?namespaces=${boutique}`, 'light', own);
      await page.getByText('You may not list VirtualService in all of the chosen namespaces.').waitFor();
      assert.deepEqual(await page.evaluate(problemsOf), []);
      assert.deepEqual(complaints, []);
      await page.context().close();
    } finally {
      await own.close();
    }
  });

  test('who may read but not write sees the change and which right is missing', async () => {
    const own = await startFixture({ pages: folder, unwritable: ['VirtualService'] });
    try {
      const { page } = await open(`/services/${boutique}/productcatalogservice?wizard=shift`, 'light', own);
      const dialog = page.getByRole('dialog');
      await dialog.getByRole('slider', { name: 'Share of v1' }).fill('10');
      await dialog.getByText('You may not update virtualservices').waitFor();
      assert.ok(await dialog.getByRole('button', { name: 'Apply' }).isDisabled());
      await page.context().close();
    } finally {
      await own.close();
    }
  });

  test('lines of all pods of a workload come together, each with its pod; one pod can be chosen', async () => {
    const { page } = await open(`/logs?app=${boutique}/productcatalogservice`);
    await page.waitForSelector('.log-line');
    const names = () =>
      page.evaluate(() => [
        ...new Set([...document.querySelectorAll('.log-line .pod')].map((each) => each.textContent)),
      ]);
    const both = await names();
    assert.equal(both.length, 2, both.join(', '));
    assert.deepEqual(await page.evaluate(problemsOf), []);
    const choice = page.getByRole('combobox', { name: 'Pod' });
    assert.equal(await choice.locator('option:checked').textContent(), 'All 2 pods');
    await choice.selectOption({ index: 1 });
    await page.waitForURL(/pod=/);
    await page.waitForFunction(
      () => document.querySelector('.log-line') !== null && document.querySelector('.log-line .pod') === null,
    );
    await page.goBack();
    await page.waitForSelector('.log-line .pod');
    await page.context().close();
  });

  test('the editor checks while one types, shows what changes, and does not overwrite what others wrote', async () => {
    const own = await startFixture({ pages: folder });
    try {
      const { page } = await open(`/configuration/VirtualService/${boutique}/productcatalogservice`, 'light', own);
      const text = page.locator('.cm-content');
      await text.waitFor();
      await text.click();
      await page.keyboard.press('Control+End');
      await page.keyboard.type('bad: "');
      await page.keyboard.press('Delete');
      await page.getByText('This is not an object of Kubernetes in YAML').first().waitFor();
      await page.getByRole('button', { name: 'Discard changes' }).click();
      await page.getByText('Valid', { exact: true }).waitFor();
      await text.click();
      await page.keyboard.press('Control+Home');
      await page.keyboard.type('# ours\n');
      // Meanwhile somebody else writes the same object.
      const address = `${own.address}/api/config/VirtualService/${boutique}/productcatalogservice`;
      const theirs = (await (await fetch(address)).json()) as { yaml: string };
      await fetch(address, {
        method: 'PUT',
        body: JSON.stringify({
          yaml: theirs.yaml.replace('weight: 75', 'weight: 70').replace('weight: 25', 'weight: 30'),
        }),
      });
      await page.getByRole('button', { name: 'Review and apply' }).click();
      await page.locator('.diff .added', { hasText: '# ours' }).waitFor();
      await page.getByRole('dialog').getByRole('button', { name: 'Apply' }).click();
      await page.getByText('Somebody else changed it meanwhile').waitFor();
      await page.getByRole('button', { name: 'Compare mine with the newer' }).click();
      await page.locator('.diff .removed', { hasText: 'weight: 70' }).waitFor();
      assert.equal(own.written.length, 1, 'only theirs was written');
      await page.context().close();
    } finally {
      await own.close();
    }
  });

  test('without a token nothing is shown but the page that asks for it', async () => {
    const own = await startFixture({ pages: folder, login: true });
    try {
      const { page } = await open('/services', 'light', own);
      await page.getByLabel('Token').fill('bad');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('This token was not accepted').waitFor();
      assert.deepEqual(await page.evaluate(problemsOf), []);
      await page.getByLabel('Token').fill('good');
      await page.keyboard.press('Enter');
      await page.getByRole('heading', { name: 'Services' }).waitFor();
      await page.context().close();
    } finally {
      await own.close();
    }
  });
});
