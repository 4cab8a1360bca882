import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { obstacle } from './support/cluster.ts';
import { ownCluster } from './support/own-cluster.ts';
import { eventually, run, until } from './support/shell.ts';

const root = join(import.meta.dirname, '..');
const sample = (name: string) => readFileSync(join(root, 'samples', ...name.split('/')), 'utf8');
const reason = obstacle();

const configuration = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: helloworld}
spec:
  host: helloworld
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: helloworld-inside}
spec:
  hosts: [helloworld]
  http:
  - route:
    - {destination: {host: helloworld, subset: v1}, weight: 80}
    - {destination: {host: helloworld, subset: v2}, weight: 20}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: viewers}
spec:
  selector: {matchLabels: {app: helloworld}}
  rules: [{to: [{operation: {methods: [GET]}}]}, {to: [{operation: {paths: [/hello]}}]}]
`;

describe('looking into the mesh', { skip: reason ?? false }, () => {
  const cluster = ownCluster(async (started) => {
    const { istioctl, kubectl, apply, podsReady } = started;
    await istioctl('install', '--set', 'profile=demo', '-y');
    await kubectl('label', 'namespace', 'default', 'istio-injection=enabled');
    await apply(sample('helloworld/helloworld.yaml'));
    await apply(sample('helloworld/gateway.yaml'));
    await apply(sample('sleep/sleep.yaml'));
    await apply(configuration);
    await podsReady('default');
  });
  const istioctl = (...args: readonly string[]) => cluster().istioctl(...args);
  const shows = (what: string, args: readonly string[], ...expected: readonly RegExp[]) =>
    until(what, async () => {
      const shown = await istioctl(...args);
      for (const pattern of expected) if (!pattern.test(shown)) throw new Error(`no ${pattern} in:\n${shown}`);
      return shown;
    });
  const pod = 'deploy/helloworld-v1';

  test('proxy-config shows every kind of resource of a sidecar', async () => {
    await shows(
      'the sidecar to know everything',
      ['proxy-config', 'all', 'deploy/sleep', '--with-headers'],
      /^BOOTSTRAP\nNODE .*\nsidecar~/m,
      /^CLUSTERS\n[\s\S]*^helloworld\.default\.svc\.cluster\.local +5000 +v1 +outbound +EDS +helloworld\.default$/m,
      /^LISTENERS\n[\s\S]*^0\.0\.0\.0 +5000 .* Route: 5000$/m,
      /^ROUTES\n[\s\S]*^5000 +helloworld\.default\.svc\.cluster\.local:5000 .* \/\* +helloworld-inside\.default$/m,
      /^SECRETS\n[\s\S]*^default +Cert Chain +ACTIVE +true .* cluster\.local$/m,
      /^ENDPOINTS\n[\s\S]*^\S+:5000 +HEALTHY .* outbound\|5000\|v1\|helloworld\.default\.svc\.cluster\.local$/m,
    );
    await shows(
      'the endpoint of the other subset',
      ['pc', 'ep', 'deploy/sleep', '--cluster', 'outbound|5000|v2|helloworld.default.svc.cluster.local'],
      /^ENDPOINT .*\n\S+:5000 +HEALTHY +OK +outbound\|5000\|v2\S+\n$/,
    );
    assert.match(await istioctl('pc', 'secret', 'deploy/sleep', '-o', 'json'), /"validationContext"/);
    for (const part of ['secret', 'all']) {
      const shown = await istioctl('pc', part, 'deploy/sleep', '-o', 'json');
      assert.match(shown, /"privateKey"/);
      // The key itself, or its base64, is not shown: Envoy puts a remark in its place.
      assert.doesNotMatch(shown, /PRIVATE KEY|LS0tLS1CRUdJTiBQUklWQVRF|LS0tLS1CRUdJTiBFQyBQUklWQVRF/);
    }
    assert.match(await istioctl('pc', 'bootstrap', 'deploy/sleep', '-o', 'yaml'), /^bootstrap:$/m);
    assert.match(await istioctl('pc', 'rootca-compare', pod, 'deploy/sleep'), /have the identical ROOTCA/);
  });

  test('proxy-config of gateways, of dumps and of workloads', async () => {
    await shows(
      'the route of the gateway',
      ['proxy-config', 'routes', 'gateway/helloworld-gateway', '--name', 'http.8080'],
      /^http\.8080 +\*:80 +\* +\/hello +helloworld\.default$/m,
    );
    const dump = join(cluster().home, 'dump.json');
    await eventually('the same of the dump as of the pod', async () => {
      writeFileSync(dump, await istioctl('pc', 'all', pod, '-o', 'json'));
      assert.equal(
        await istioctl('pc', 'clusters', '-f', dump, '--fqdn', 'helloworld'),
        await istioctl('pc', 'clusters', pod, '--fqdn', 'helloworld'),
      );
    });
    const piped = await run(join(root, 'bin', 'istioctl'), ['pc', 'listeners', '-f', '-', '--port', '15006'], {
      env: cluster().env,
      input: readFileSync(dump, 'utf8'),
    });
    assert.match(piped.stdout, /^0\.0\.0\.0 +15006 Trans: tls; Addr: \*:5000 +Inline Route: \/\* -> Cluster: inbound/m);
    const levels = await istioctl('pc', 'log', '-l', 'app=helloworld', '--level', 'http:debug');
    assert.equal(levels.match(/^ +http: debug$/gm)?.length, 2);
    assert.match(await istioctl('pc', 'log', pod, '--reset'), /^ +http: warning$/m);
  });

  test('proxy-status compares a proxy with istiod, over HTTP and over xDS', async () => {
    await shows(
      'the proxy to have everything',
      ['proxy-status', pod],
      /^Clusters Match \(\d+,.*\nListeners Match \(\d+,.*\nRoutes Match \(\d+,.*\n$/,
    );
    const name = (await cluster().kubectl('get', 'pod', '-l', 'app=sleep', '-o', 'name')).trim().replace('pod/', '');
    const dump = join(cluster().home, 'old.json');
    await eventually('the only difference', async () => {
      const now = await istioctl('pc', 'all', name, '-o', 'json');
      writeFileSync(dump, now.replaceAll('"weight": 80', '"weight": 70'));
      const { stdout, exitCode } = await cluster().tryIstioctl('ps', name, '--file', dump);
      assert.equal(exitCode, 1, stdout);
      assert.match(stdout, /^Routes Don't Match \(1 of \d+ differ.*\n--- istiod: 5000\n\+\+\+ Envoy: {2}5000\n@@ /m);
      assert.match(stdout, /^- +"weight": 80\n\+ +"weight": 70$/m);
    });
    await shows(
      'the proxy to be synchronised',
      ['x', 'proxy-status', '--xds-label', 'app=istiod'],
      new RegExp(`^${name}\\.default +Kubernetes +SYNCED +SYNCED +SYNCED +SYNCED`, 'm'),
    );
    assert.match(
      await istioctl('x', 'version', '--xds-label', 'app=istiod'),
      /^sleep-\S+\.default +\d+\.\d+\.\d+ +istiod-/m,
    );
  });

  test("the pod's own agent asks Envoy: large answers arrive whole", async () => {
    const answer = await cluster().kubectl(
      ...['exec', 'deploy/sleep', '-c', 'istio-proxy', '--', 'pilot-agent', 'request', 'GET', 'config_dump'],
    );
    assert.ok(answer.length > 100_000);
    assert.ok(Array.isArray((JSON.parse(answer) as { configs: unknown }).configs));
  });

  test('describe tells what applies to a pod and to a service', async () => {
    await shows(
      'the pod to be described',
      ['experimental', 'describe', 'pod', pod],
      /^ {3}Matching subsets: v1 \(not: v2\)$/m,
      /^ {3}Route \/\* -> 80% subset v1 \(this pod\), 20% subset v2$/m,
      /^Exposed by Gateway default\/helloworld-gateway:\n {3}http:\/\/\d+\./m,
      /^ {3}Workload mTLS mode: STRICT$/m,
      /^ {3}viewers\.default: ALLOW, 2 rules$/m,
    );
    const service = await istioctl('x', 'des', 'svc', 'helloworld');
    assert.match(service, /^Service: helloworld\.default\n {3}Pods: 2$/m);
    assert.doesNotMatch(service, /WARNING/);
  });

  test('authz check shows the policies in force', async () => {
    await shows(
      'the policy',
      ['experimental', 'authz', 'check', pod],
      /^ACTION +AuthorizationPolicy +RULES\nALLOW +viewers\.default +2\n$/,
    );
    assert.match(await istioctl('authz', 'check', 'deploy/sleep'), /^No AuthorizationPolicy is in force/);
  });

  test('admin log changes what istiod writes', async () => {
    const lines = async () => {
      const log = await cluster().kubectl('logs', '-n', 'istio-system', 'deploy/istiod');
      return log.split('\n').filter((line) => /\tdebug\tads\t.* sent: /.test(line)).length;
    };
    assert.equal(await lines(), 0);
    assert.match(await istioctl('admin', 'log', '--level', 'ads:debug'), /^ads .* debug$/m);
    await cluster().kubectl('label', 'service', 'sleep', 'touched=yes', '--overwrite');
    await cluster().kubectl('delete', 'virtualservice', 'helloworld-inside');
    await until('lines of the changed level', async () => ((await lines()) > 0 ? true : undefined));
    assert.match(await istioctl('admin', 'log', '--reset'), /^ads .* info$/m);
    const { stderr, exitCode } = await cluster().tryIstioctl('admin', 'log', '--level', 'nothing:debug');
    assert.match(stderr, /no log scope "nothing": it has ads, /);
    assert.equal(exitCode, 1);
  });

  test("istiod's debug endpoints and Envoy's counters", async () => {
    assert.match(await istioctl('x', 'internal-debug', '--list'), /^syncz$/m);
    assert.match(await istioctl('x', 'internal-debug', 'syncz', '--all'), /^istiod-\S+:\n\[\n[\s\S]*"proxy": "sleep-/);
    assert.match(await istioctl('x', 'envoy-stats', 'deploy/sleep'), /^cluster_manager\.active_clusters: \d+$/m);
    assert.match(await istioctl('x', 'es', 'deploy/sleep', '-o', 'prom'), /^# TYPE envoy_server_uptime gauge$/m);
    assert.match(await istioctl('x', 'es', 'deploy/sleep', '-t', 'clusters', '-o', 'json'), /"cluster_statuses"/);
    const { stderr, exitCode } = await cluster().tryIstioctl('x', 'metrics', 'helloworld-v1');
    assert.match(stderr, /no running Prometheus in namespace istio-system/);
    assert.equal(exitCode, 1);
  });
});
