import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { type Cluster, obstacle } from './support/cluster.ts';
import { cniFolderFlags } from './support/cni-folders.ts';
import { ownCluster } from './support/own-cluster.ts';
import { until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'addons', 'dashboards');
const sample = (...path: readonly string[]) => join(root, 'samples', ...path);
const hasPrometheus = (process.env.PATH ?? '').split(delimiter).some((path) => existsSync(join(path, 'prometheus')));

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}

/** Dashboards that may be empty, and why. */
const allowedEmpty: ReadonlyMap<string, string> = new Map([
  ['istio-ztunnel', 'sidecars only: the mesh of this test has no ztunnel, and the dashboard says so'],
]);

/** Every query of every panel, over all namespaces, workloads and services. */
const queries = readdirSync(folder)
  .map((file) => JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard)
  .filter(({ uid }) => !allowedEmpty.has(uid))
  .flatMap(({ uid, panels }) =>
    panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }) => ({
        panel: `${uid}: ${title}`,
        query: expr
          .replaceAll('$__rate_interval', '1m')
          .replaceAll('$reporter', 'destination')
          .replace(/\$\{?\w+\}?/g, '.*'),
      })),
    ),
  );

/** Each value gives other routes, which istiod has to send. */
const routes = (seconds: number) => `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: timeout}
spec:
  hosts: [httpbin]
  http:
  - timeout: ${seconds}s
    route: [{destination: {host: httpbin}}]
`;

/** The same objects under another name and with our store as the program. */
const storeInstead = (manifest: string): string =>
  manifest
    .replace(/^(\s+(?:app\.kubernetes\.io\/)?(?:name|app|serviceAccountName): )prometheus$/gm, '$1metrics-store')
    .replace(
      '          args:\n',
      '          command: [node, /opt/istio-ts/dist/bin/metrics-store.mjs]\n          args:\n',
    );

interface Answer {
  readonly status: string;
  readonly error?: string;
  readonly data: { readonly result: readonly { readonly value: readonly [number, string] }[] };
}

/** Port 9090 of a Deployment on the host's loopback. */
async function forward(cluster: Cluster, deployment: string): Promise<{ readonly url: string; close(): void }> {
  const child = spawn('kubectl', ['port-forward', '-n', 'istio-system', `deploy/${deployment}`, ':9090'], {
    env: cluster.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      said += text.toString();
    });
  const port = await until(`the port of ${deployment}`, async () => /127\.0\.0\.1:(\d+)/.exec(said)?.[1]);
  return { url: `http://127.0.0.1:${port}`, close: () => child.kill() };
}

describe('dashboards over a mesh under load', { skip: obstacle() ?? false }, () => {
  let loading = false;
  let load: Promise<void> = Promise.resolve();
  const cluster = ownCluster(async (started) => {
    await started.istioctl(
      ...['install', '-y', '--set', 'profile=demo', '--set', 'components.cni.enabled=true', ...cniFolderFlags],
    );
    await started.kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await started.kubectl(
      'apply',
      ...['-f', sample('httpbin', 'httpbin.yaml'), '-f', sample('httpbin', 'httpbin-gateway.yaml')],
      ...['-f', sample('curl', 'curl.yaml'), '-f', sample('tcp-echo', 'tcp-echo.yaml')],
    );
    await started.apply(routes(30));
    await started.podsReady('default');
    await started.podsReady('istio-system');
  });
  after(async () => {
    loading = false;
    await load;
  });

  /** Requests that succeed and fail, through the gateway too, TCP, and changes of the configuration, until the end of the tests. */
  async function generate(): Promise<void> {
    const { tryKubectl, tryApply } = cluster();
    const gateway = 'http://istio-ingressgateway.istio-system/get';
    const calls = ['get', 'status/404', 'status/503'].map((path) => `http://httpbin:8000/${path}`);
    const script = `${[...calls, gateway].map((url) => `curl -s -o /dev/null --max-time 5 ${url}`).join('; ')}; echo hello | nc -w 2 tcp-echo 9000`;
    for (let round = 0; loading; round++) {
      await tryKubectl('exec', 'deploy/curl', '-c', 'curl', '--', 'sh', '-c', script);
      if (round % 3 === 0) await tryApply(routes(10 + (Math.floor(round / 3) % 10)));
    }
  }

  async function noEmptyPanel(deployment: string): Promise<void> {
    const { url, close } = await forward(cluster(), deployment);
    try {
      let empty = queries;
      await until(
        'values in every panel',
        async () => {
          const left: typeof queries = [];
          for (const entry of empty) {
            const response = await fetch(`${url}/api/v1/query`, {
              method: 'POST',
              body: new URLSearchParams({ query: entry.query }),
            });
            const { status, error, data } = (await response.json()) as Answer;
            assert.equal(status, 'success', `${entry.panel}: ${entry.query}: ${error}`);
            if (data.result.every(({ value: [, value] }) => value === 'NaN')) left.push(entry);
          }
          empty = left;
          if (left.length > 0)
            throw new Error(`empty: ${left.map(({ panel, query }) => `${panel}: ${query}`).join('\n')}`);
          return true;
        },
        300_000,
        5_000,
      );
    } finally {
      close();
    }
  }

  test('Prometheus, as its addon installs it, has values for every panel', {
    skip: hasPrometheus ? false : 'there is no prometheus in PATH (Debian: package prometheus)',
  }, async () => {
    await cluster().kubectl('apply', '-f', join(root, 'addons', 'prometheus.yaml'));
    await cluster().podsReady('istio-system');
    loading = true;
    load = generate();
    await noEmptyPanel('prometheus');
  });

  test('our store, which takes its place where there is none, has them too and finds every target', async () => {
    await cluster().apply(storeInstead(readFileSync(join(root, 'addons', 'prometheus.yaml'), 'utf8')), 'istio-system');
    await cluster().podsReady('istio-system');
    if (!loading) {
      loading = true;
      load = generate();
    }
    await noEmptyPanel('metrics-store');
    const { url, close } = await forward(cluster(), 'metrics-store');
    try {
      const { data } = (await (await fetch(`${url}/api/v1/targets?state=active`)).json()) as {
        data: { activeTargets: readonly { scrapeUrl: string; health: string; lastError: string }[] };
      };
      assert.deepEqual(
        data.activeTargets
          .filter(({ health }) => health !== 'up')
          .map(({ scrapeUrl, lastError }) => `${scrapeUrl}: ${lastError}`),
        [],
      );
      assert.ok(data.activeTargets.some(({ scrapeUrl }) => scrapeUrl.endsWith(':15020/stats/prometheus')));
    } finally {
      close();
    }
  });
});
