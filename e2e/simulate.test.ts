import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { httpbinManifest } from './support/httpbin.ts';
import { ownCluster } from './support/own-cluster.ts';
import { run, until } from './support/shell.ts';

const reason = obstacle();

const sleep = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: sleep}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: sleep}
spec:
  selector: {matchLabels: {app: sleep}}
  template:
    metadata: {labels: {app: sleep}}
    spec:
      serviceAccountName: sleep
      terminationGracePeriodSeconds: 0
      containers: [{name: sleep, image: curlimages/curl, imagePullPolicy: IfNotPresent, command: [/bin/sleep, infinity]}]
`;

const configuration = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: httpbin}
spec:
  hosts: [httpbin]
  http:
  - name: teapot
    match: [{uri: {exact: /tea}, headers: {x-user: {exact: anna}}}]
    directResponse: {status: 418}
  - match: [{uri: {regex: "/old[0-9]+"}}]
    redirect: {uri: /get}
  - match: [{uri: {prefix: /aborted}}]
    fault: {abort: {httpStatus: 555, percentage: {value: 100}}}
    route: [{destination: {host: httpbin}}]
  - match: [{uri: {prefix: /nobody}}]
    route: [{destination: {host: httpbin, subset: nobody}}]
  - match: [{uri: {prefix: /rewritten}}]
    rewrite: {uri: /get}
    route: [{destination: {host: httpbin}}]
  - match: [{method: {exact: GET}}, {method: {exact: DELETE}}]
    route: [{destination: {host: httpbin}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: httpbin}
spec:
  host: httpbin
  subsets: [{name: nobody, labels: {version: nobody}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  selector: {matchLabels: {app: httpbin}}
  rules:
  - from: [{source: {principals: ["cluster.local/ns/shop/sa/sleep"]}}]
    to: [{operation: {methods: [GET], notPaths: ["/headers*"]}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secrets}
spec:
  selector: {matchLabels: {app: httpbin}}
  action: DENY
  rules:
  - to: [{operation: {paths: ["/status/2*"]}}]
    when: [{key: "request.headers[x-trusted]", notValues: ["yes"]}]
`;

/** Requests of the client: what the simulation says of them has to be what happens. */
const requests: readonly { readonly path: string; readonly method?: string; readonly header?: string }[] = [
  { path: '/get' },
  { path: '/get', method: 'POST' },
  { path: '/get', method: 'DELETE' },
  { path: '/tea' },
  { path: '/tea', header: 'x-user: anna' },
  { path: '/old7' },
  { path: '/old' },
  { path: '/aborted/x' },
  { path: '/nobody' },
  { path: '/rewritten' },
  { path: '/headers' },
  { path: '/status/204' },
  { path: '/status/204', header: 'x-trusted: yes' },
];

interface Simulation {
  readonly status?: number;
  readonly summary: string;
  readonly steps: readonly { readonly from: readonly { readonly kind: string; readonly name: string }[] }[];
}

describe('simulation of requests', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async (started) => {
    await started.istioctl('install', '--set', 'profile=minimal', '-y');
    await started.kubectl('create', 'namespace', 'shop');
    await started.kubectl('label', 'namespace', 'shop', 'istio-injection=enabled');
    await started.kubectl('apply', '-n', 'shop', '-f', httpbinManifest);
    await started.apply(sleep, 'shop');
    await started.podsReady('shop');
    await started.apply(configuration, 'shop');
  });
  const simulate = async (target: string, url: string, ...flags: readonly string[]): Promise<Simulation> =>
    JSON.parse(await cluster().istioctl('x', 'simulate', `deploy/${target}.shop`, url, '-o', 'json', ...flags));

  test('what it says is what happens', async () => {
    // The last object of each proxy has arrived.
    await until('the routes and policies', async () => {
      const tea = await simulate('sleep', 'http://httpbin:8000/tea', '-H', 'x-user: anna');
      const denied = await simulate('httpbin', 'http://httpbin:80/status/204', '--from', 'shop/sleep');
      return tea.status === 418 && denied.steps.some(({ from }) => from.some(({ name }) => name === 'no-secrets'))
        ? true
        : undefined;
    });
    const client = await cluster().podOf('shop', 'sleep');
    for (const { path, method = 'GET', header } of requests) {
      const flags = ['-X', method, ...(header ? ['-H', header] : [])];
      const leaving = await simulate('sleep', `http://httpbin:8000${path}`, ...flags);
      const arriving = path === '/rewritten' ? '/get' : path;
      const predicted =
        leaving.status ??
        (await simulate('httpbin', `http://httpbin:80${arriving}`, '--from', 'shop/sleep', ...flags)).status;
      const { stdout } = await run(
        'kubectl',
        [
          ...['exec', '-n', 'shop', client, '-c', 'sleep', '--', 'curl', '-s', '-o', '/dev/null'],
          ...['-w', '%{http_code} %header{server} %header{access-control-allow-origin}', ...flags],
          `http://httpbin:8000${path}`,
        ],
        { env: cluster().env },
      );
      const status = Number(stdout.slice(0, 3));
      const label = `${method} ${path} ${header ?? ''}: ${JSON.stringify(leaving.summary)}`;
      if (predicted !== undefined) assert.equal(status, predicted, label);
      // The application itself has only these answers for these paths.
      else assert.ok([200, 204, 404].includes(status), `${label}: ${status}`);
    }
  });

  test('text says which objects decided, and mistakes are told', async () => {
    const shown = await cluster().istioctl(
      'x',
      'simulate',
      'deploy/httpbin.shop',
      'http://httpbin:80/headers',
      '--from',
      'shop/sleep',
    );
    assert.match(shown, /by AuthorizationPolicy shop\/readers/);
    assert.match(shown, /Status 403\./);
    const wrong = await cluster().tryIstioctl('x', 'simulate', 'deploy/httpbin.shop', 'httpbin');
    assert.notEqual(wrong.exitCode, 0);
    assert.match(wrong.stderr, /has to begin with http:\/\//);
  });
});
