import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { istio, manifest, service, workload } from './scenarios/traffic/world.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { load } from './support/http.ts';
import { type MeshClient, meshClient } from './support/mesh-client.ts';
import { eventually, until } from './support/shell.ts';

const reason = obstacle();
const program = (name: string) => readFileSync(join(import.meta.dirname, 'programs', name), 'utf8');

interface Revision {
  readonly revision: string;
  readonly tags: readonly string[];
  readonly namespaces: readonly string[];
  readonly proxies?: Readonly<Record<string, number>>;
  readonly gateways: readonly string[];
}

/** Requests without a pause, until stopped; resolves with those that failed. */
interface Load {
  stop(): Promise<{ readonly total: number; readonly failures: readonly string[] }>;
}

/** Requests from a pod's application to a service of the mesh. */
function loadFrom(client: MeshClient, url: string): Load {
  let running = true;
  const done = (async () => {
    let total = 0;
    const failures: string[] = [];
    while (running) {
      const seen = await client.calls({ url, times: 50, parallel: 2 });
      total += seen.length;
      for (const { status, text, error } of seen) if (status !== 200) failures.push(`${status} ${error ?? text}`);
    }
    return { total, failures };
  })();
  return {
    stop: () => {
      running = false;
      return done;
    },
  };
}

async function withoutFailure(what: string, requests: Load): Promise<void> {
  const { total, failures } = await requests.stop();
  assert.ok(total > 20, `${what}: only ${total} requests`);
  assert.deepEqual(failures, [], `${what}: ${failures.length} of ${total} failed`);
}

describe('upgrades under load', { skip: reason ?? false }, () => {
  let started: Cluster | undefined;
  const clients: MeshClient[] = [];
  const loads: Load[] = [];
  const under = (requests: Load): Load => {
    loads.push(requests);
    return requests;
  };
  const inside = 'http://origin.shop:8080/?delay=5';
  before(async () => {
    started = await startCluster();
  });
  after(async () => {
    // A test that failed leaves its requests running.
    await Promise.allSettled(loads.map((requests) => requests.stop()));
    for (const client of clients) client.close();
    await started?.down();
  });
  const cluster = (): Cluster => {
    if (!started) throw new Error('the cluster did not start');
    return started;
  };
  const revisions = async () => JSON.parse(await cluster().istioctl('revision', 'list', '-o', 'json')) as Revision[];
  const revision = async (name: string) => (await revisions()).find((one) => one.revision === name);
  const proxiesOf = async (name: string) => (await revision(name))?.proxies ?? {};
  const clientOf = async (name: string) => {
    const client = await meshClient(cluster(), 'shop', `deploy/${name}`);
    clients.push(client);
    await until(`${name} to reach the origin`, async () =>
      (await client.call(inside)).status === 200 ? true : undefined,
    );
    return client;
  };
  const outside = async () => `http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/?delay=5`;
  const answers = async () => {
    const url = await outside();
    const probe = load(url, { connections: 1 });
    return (await probe.stop()).failures.length === 0 ? true : undefined;
  };

  test('revision a, with a tag that the namespace carries', async () => {
    const { istioctl, kubectl, apply, podsReady } = cluster();
    assert.match(await istioctl('install', '--revision', 'a', '-y'), /default for injection and validation/);
    await istioctl('tag', 'set', 'prod', '--revision', 'a');
    await kubectl('create', 'ns', 'shop');
    await kubectl('label', 'ns', 'shop', 'istio.io/rev=prod');
    const programs = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'programs' },
      data: { 'origin.ts': program('origin.ts'), 'client.ts': program('client.ts') },
    };
    await apply(
      manifest([
        programs,
        ...workload({ name: 'origin', app: 'origin', program: 'origin', leavesAfter: 3 }),
        ...workload({ name: 'client-1', app: 'client-1', program: 'client' }),
        service('origin'),
        istio('Gateway', 'all', {
          selector: { istio: 'ingressgateway' },
          servers: [{ port: { number: 80, name: 'http', protocol: 'HTTP' }, hosts: ['*'] }],
        }),
        istio('VirtualService', 'origin', {
          hosts: ['*'],
          gateways: ['all'],
          http: [{ route: [{ destination: { host: 'origin', port: { number: 8080 } } }] }],
        }),
      ]),
      'shop',
    );
    await kubectl('scale', '-n', 'shop', 'deploy/origin', '--replicas=2');
    await podsReady('shop');
    await until('the gateway to route', answers);
    const first = await revision('a');
    assert.deepEqual([first?.tags, first?.namespaces], [['default', 'prod'], ['shop']]);
    await until('every proxy to use revision a', async () => ((await proxiesOf('a')).shop === 3 ? true : undefined));
  });

  test('a second revision, a moved tag, restarts and the end of the first lose no request', async () => {
    const { istioctl, tryIstioctl, kubectl, apply, podsReady } = cluster();
    const fromOutside = under(load(await outside(), { connections: 2 }));
    const fromFirst = under(loadFrom(await clientOf('client-1'), inside));

    // Beside the first; the gateway is replaced in place.
    const { stdout } = await tryIstioctl('install', '--revision', 'b', '-y');
    assert.match(stdout, /Beside it stays: revision a\.[\s\S]*Installation complete\nRevision a stays the default/);
    await until('the gateway to have moved', async () =>
      (await proxiesOf('b'))['istio-system'] !== undefined && (await proxiesOf('a'))['istio-system'] === undefined
        ? true
        : undefined,
    );
    await eventually('the sidecars to have stayed', async () => assert.equal((await proxiesOf('a')).shop, 3));

    const refused = await tryIstioctl('tag', 'set', 'prod', '--revision', 'b');
    assert.match(refused.stderr, /"prod" exists and stands for revision a: --overwrite moves it to b/);
    assert.match(
      await istioctl('tag', 'set', 'prod', '--revision', 'b', '--overwrite'),
      /now stands for revision "b" \(before: a\)[\s\S]*kubectl rollout restart deployment -n shop/,
    );
    await kubectl('rollout', 'restart', '-n', 'shop', 'deploy/origin');
    await kubectl('rollout', 'status', '-n', 'shop', 'deploy/origin', '--timeout=300s');

    // The client itself is replaced last: a new one takes over before the old one goes.
    await apply(manifest(workload({ name: 'client-2', app: 'client-2', program: 'client' })), 'shop');
    await podsReady('shop', 'app=client-2');
    const fromSecond = under(loadFrom(await clientOf('client-2'), inside));
    await until('only the first client to use revision a', async () => {
      const { shop, ...others } = await proxiesOf('a');
      return shop === 1 && Object.keys(others).length === 0 ? true : undefined;
    });
    await withoutFailure('from the proxy of revision a', fromFirst);

    const asked = await tryIstioctl('uninstall', '--revision', 'a');
    assert.equal(asked.exitCode, 1);
    assert.match(asked.stderr, /1 proxy is still connected to revision a: shop \(1\)/);
    await kubectl('delete', '-n', 'shop', 'deploy/client-1', '--wait');
    await until('nobody to use revision a', async () =>
      Object.keys(await proxiesOf('a')).length === 0 ? true : undefined,
    );
    await istioctl('tag', 'set', 'default', '--revision', 'b', '--overwrite');
    await istioctl('uninstall', '--revision', 'a', '-y');
    await until('the pods of revision a to end', async () => {
      const names = await kubectl('get', 'pods', '-n', 'istio-system', '-l', 'app=istiod,istio.io/rev=a', '-o', 'name');
      return names.trim() === '' ? true : undefined;
    });
    await until('three proxies', async () => ((await proxiesOf('b')).shop === 3 ? true : undefined));
    // How many gateways there are under load is the autoscaler's decision.
    await eventually('revision b alone', async () =>
      assert.deepEqual(
        (await revisions()).map(({ revision, tags, gateways }) => [revision, tags, gateways]),
        [['b', ['default', 'prod'], ['istio-system/istio-ingressgateway']]],
      ),
    );
    await istioctl('verify-install', '--revision', 'b');
    await withoutFailure('from the proxy of revision b', fromSecond);
    await withoutFailure('through the gateway', fromOutside);
  });

  test('an upgrade in place changes istiod and the gateway and loses no request', async () => {
    const { istioctl, tryIstioctl, kubectl } = cluster();
    await kubectl('label', '-n', 'istio-system', 'deploy/istiod-b', 'operator.istio.io/version=1.27.1', '--overwrite');
    const skips = await tryIstioctl('upgrade', '--revision', 'b', '-y');
    assert.equal(skips.exitCode, 1);
    assert.match(skips.stderr, /1\.27\.1 to 1\.\d+\.\d+ skips \d minor versions.*--force/);
    await kubectl('label', '-n', 'istio-system', 'deploy/istiod-b', 'operator.istio.io/version=9.0.0', '--overwrite');
    assert.match((await tryIstioctl('upgrade', '--revision', 'b', '-y')).stderr, /9\.0\.0/);
    await kubectl('label', '-n', 'istio-system', 'deploy/istiod-b', 'operator.istio.io/version=1.29.3', '--overwrite');
    assert.match((await tryIstioctl('upgrade', '-y')).stderr, /revision default is not installed.*there is: b/);

    const [client] = clients.slice(-1);
    assert.ok(client);
    const fromOutside = under(load(await outside(), { connections: 2 }));
    const fromInside = under(loadFrom(client, inside));
    const upgraded = await istioctl(
      'upgrade',
      '--revision',
      'b',
      '--set',
      'components.ingressGateways[0].k8s.podAnnotations.upgraded=yes',
      '--set',
      'components.pilot.k8s.podAnnotations.upgraded=yes',
      '-y',
    );
    assert.match(upgraded, /Upgrade of revision b from 1\.29\.3 to [\s\S]*Upgrade complete\n[\s\S]*proxies run/);
    await kubectl('rollout', 'status', '-n', 'istio-system', 'deploy/istio-ingressgateway', '--timeout=300s');
    await until('the old pods to be gone', async () => {
      const { items } = JSON.parse(await kubectl('get', 'pods', '-n', 'istio-system', '-o', 'json')) as {
        readonly items: readonly { readonly metadata: { readonly annotations?: Record<string, string> } }[];
      };
      return items.every(({ metadata }) => metadata.annotations?.upgraded === 'yes') ? true : undefined;
    });
    await eventually('the sidecars to have come back', async () =>
      assert.equal((await revision('b'))?.proxies?.shop, 3),
    );
    await withoutFailure('inside', fromInside);
    await withoutFailure('through the gateway', fromOutside);
    // Settings of the installation are kept where none are given.
    assert.match(
      await istioctl('upgrade', '--revision', 'b', '--dry-run'),
      /settings of the present installation are kept[\s\S]*already as wanted/,
    );
  });
});
