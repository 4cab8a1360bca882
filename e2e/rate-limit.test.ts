import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import {
  bucket,
  filterRatelimit,
  filterRatelimitSvc,
  filterRatelimitSvcApi,
  localFilter,
  localRoute,
  virtualServiceApi,
} from './rate-limit/manifests.ts';
import { type Cluster, obstacle, startCluster } from './support/cluster.ts';
import { until } from './support/shell.ts';
import { type Mesh, settled, startMesh } from './tasks/mesh.ts';

const reason = obstacle();

describe('the task "Enabling Rate Limits using Envoy"', { skip: reason ?? false }, () => {
  let cluster: Cluster | undefined;
  let mesh: Mesh | undefined;
  before(async () => {
    cluster = await startCluster();
    mesh = await startMesh(cluster);
    await mesh.applySamples(
      'bookinfo/platform/kube/bookinfo.yaml',
      'bookinfo/networking/bookinfo-gateway.yaml',
      'ratelimit/ratelimit-config.yaml',
      'ratelimit/rate-limit-service.yaml',
    );
    await cluster.podsReady('default');
  });
  after(() => cluster?.down());
  const started = (): Mesh => {
    if (mesh === undefined) throw new Error('the mesh did not start');
    return mesh;
  };

  /** The status codes of requests through the ingress gateway, one after the other. */
  const codes = async (paths: readonly string[]): Promise<readonly string[]> => {
    const found: string[] = [];
    for (const path of paths) {
      const { stdout } = await started().curlHere(
        '-o',
        '/dev/null',
        '-w',
        '%{http_code}',
        `http://${started().ingress}${path}`,
      );
      found.push(stdout);
    }
    return found;
  };
  const minute = (): number => Math.floor(Date.now() / 60_000);

  /** Asks until the answers are these and all of them came in one minute: a window may have been used up before, or end between two requests. */
  const inOneMinute = (paths: readonly string[], wanted: readonly string[]): Promise<readonly string[]> =>
    until(
      `${wanted} in one minute`,
      async () => {
        const before = minute();
        const found = await codes(paths);
        if (minute() !== before) throw new Error('a minute has ended meanwhile');
        if (found.join() !== wanted.join()) {
          // What this minute admits may be used up: the next one begins anew.
          await until('the next minute', async () => (minute() === before ? undefined : true));
          throw new Error(`the answers were ${found}`);
        }
        return found;
      },
      400_000,
    );

  /** A page of a proxy's admin server, which counts as no request. */
  const admin = async (deployment: string, namespace: string, page: string): Promise<string> => {
    const { stdout } = await started().cluster.tryKubectl(
      ...['exec', `deploy/${deployment}`, '-n', namespace, '-c', 'istio-proxy', '--'],
      ...['pilot-agent', 'request', 'GET', page],
    );
    return stdout;
  };

  /** Waits until a proxy has this in force: in its routes or listeners, and with no connection left that is served as before. */
  const inForce = (deployment: string, namespace: string, holds: (config: string) => boolean): Promise<true> =>
    until<true>(`the configuration of ${deployment}`, async () => {
      const { configs } = JSON.parse(await admin(deployment, namespace, 'config_dump')) as {
        configs: readonly Record<string, unknown>[];
      };
      const listeners = configs.flatMap(({ dynamic_listeners: all }) =>
        ((all ?? []) as readonly { active_state?: unknown }[]).map(({ active_state }) => active_state),
      );
      const routes = configs.map(({ dynamic_route_configs: all }) => all);
      if (!holds(JSON.stringify({ listeners, routes }))) throw new Error('it is not there');
      const draining = await admin(deployment, namespace, 'stats?filter=listener_manager.total_.*_draining');
      if (!/_draining: 0/.test(draining) || /_draining: [1-9]/.test(draining))
        throw new Error(`connections are served as before: ${draining}`);
      return true;
    });
  const has =
    (text: RegExp) =>
    (config: string): boolean =>
      text.test(config);
  /** The limits of local rate limit filters: at the filters themselves and at routes. */
  const localLimits = (config: string): { readonly filters: readonly number[]; readonly routes: readonly number[] } => {
    const [filters, routes]: [number[], number[]] = [[], []];
    const walk = (value: unknown, atRoute: boolean): void => {
      if (typeof value !== 'object' || value === null) return;
      for (const [key, inner] of Object.entries(value)) {
        if (key === 'max_tokens' && typeof inner === 'number') (atRoute ? routes : filters).push(inner);
        walk(inner, atRoute || key === 'typed_per_filter_config');
      }
    };
    walk(JSON.parse(config), false);
    return { filters: [...new Set(filters)], routes: [...new Set(routes)] };
  };

  test('Bookinfo answers and the rate limit service has its limits', async () => {
    await settled(
      'the product page',
      async () => (await codes(['/productpage'])).join(),
      (code) => code === '200',
      1,
    );
    const config = await until('the limits', async () => {
      const { stdout } = await started().exec('ratings-v1', 'ratings', 'curl', '-s', 'ratelimit:6070/rlconfig');
      return stdout.includes('ratelimit.PATH') ? stdout : undefined;
    });
    assert.equal(
      config,
      [
        'ratelimit.PATH_/productpage: unit=MINUTE requests_per_unit=1, shadow_mode: false',
        'ratelimit.PATH_api: unit=MINUTE requests_per_unit=2, shadow_mode: false',
        'ratelimit.PATH: unit=MINUTE requests_per_unit=100, shadow_mode: false\n',
      ].join('\n'),
    );
  });

  test('global rate limit: the second request of a minute is refused', async () => {
    proves('EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.name');
    await started().apply(filterRatelimit, 'istio-system');
    await started().apply(filterRatelimitSvc, 'istio-system');
    await inForce('istio-ingressgateway', 'istio-system', has(/filters\.http\.ratelimit/));
    await inForce('istio-ingressgateway', 'istio-system', has(/"descriptor_key":"PATH"/));
    await inOneMinute(['/productpage', '/productpage'], ['200', '429']);
    assert.deepEqual(await codes(['/static/none', '/logout']).then((all) => all.includes('429')), false);
  });

  test('global rate limit, advanced: two requests a minute to the API, whatever product they ask for', async () => {
    proves('EnvoyFilter.spec.configPatches[].match.routeConfiguration.vhost.route.name');
    await started().apply(virtualServiceApi);
    await started().apply(filterRatelimitSvcApi, 'istio-system');
    await inForce('istio-ingressgateway', 'istio-system', has(/"descriptor_value":"api"/));
    await inOneMinute(
      [1, 2, 3].map((product) => `/api/v1/products/${product}`),
      ['200', '200', '429'],
    );
  });

  test('a changed ConfigMap takes effect without a restart', async () => {
    const configMap = await started().cluster.kubectl('get', 'configmap', 'ratelimit-config', '-o', 'yaml');
    await started().apply(configMap.replace('requests_per_unit: 2', 'requests_per_unit: 3'));
    await until('the new limit', async () => {
      const { stdout } = await started().exec('ratings-v1', 'ratings', 'curl', '-s', 'ratelimit:6070/rlconfig');
      return /PATH_api: unit=MINUTE requests_per_unit=3/.test(stdout) || undefined;
    });
    await inOneMinute(
      [1, 2, 3, 4].map((product) => `/api/v1/products/${product}`),
      ['200', '200', '200', '429'],
    );
  });

  /** The task's loop in the pod of ratings. */
  const inside = async (times: number, path = '/productpage'): Promise<readonly string[]> => {
    const loop = `for i in {1..${times}}; do curl -s productpage:9080${path} -o /dev/null -w "%{http_code}\\n"; done`;
    const { stdout } = await started().exec('ratings-v1', 'ratings', 'bash', '-c', loop);
    return stdout.trim().split('\n');
  };

  /** Asks once more than is admitted: a token comes back every so many seconds, which a slow machine may take for the requests. */
  const limited = async (most: number, secondsForToken: number): Promise<void> => {
    const began = Date.now();
    const found = await inside(most + 1);
    const back = Math.floor((Date.now() - began) / 1000 / secondsForToken);
    assert.deepEqual(
      found.slice(0, most),
      Array.from({ length: most }, () => '200'),
    );
    if (back === 0) assert.equal(found[most], '429');
  };
  /** What a refused request is answered. */
  const refusal = (): Promise<string> =>
    until('a refusal', async () => {
      const { stdout } = await started().exec('ratings-v1', 'ratings', 'curl', '-si', 'productpage:9080/productpage');
      return stdout.startsWith('HTTP/1.1 429') ? stdout : undefined;
    });

  test('local rate limit: each productpage pod answers four requests a minute', async () => {
    await started().apply(localFilter(bucket(14)), 'istio-system');
    await inForce('productpage-v1', 'default', (config) => localLimits(config).filters.includes(4));
    await limited(4, 15);
    assert.match(await refusal(), /^x-local-rate-limit: true\r?$/m);
  });

  test('local rate limit at the routes of a port', async () => {
    await started().apply(localFilter(localRoute), 'istio-system');
    await inForce('productpage-v1', 'default', (config) => {
      const { filters, routes } = localLimits(config);
      return filters.length === 0 && routes.includes(4);
    });
    await limited(4, 15);
  });

  test('local rate limit by descriptors, as in the sample', async () => {
    await started().applySamples('ratelimit/local-rate-limit-service.yaml');
    await inForce('productpage-v1', 'default', (config) => {
      const { filters, routes } = localLimits(config);
      return filters.length === 0 && routes.includes(10) && !routes.includes(4);
    });
    await limited(10, 6);
    assert.deepEqual(await inside(1, '/health'), ['200']);
    const answer = await refusal();
    assert.match(answer, /^x-ratelimit-limit: 10/m);
    assert.match(answer, /^x-ratelimit-remaining: 0/m);
  });

  test('cleanup as in the task gives everything back', async () => {
    await started().cluster.kubectl(
      ...['delete', 'envoyfilter', '-n', 'istio-system', 'filter-ratelimit', 'filter-ratelimit-svc'],
      ...['filter-ratelimit-svc-api', 'filter-local-ratelimit-svc'],
    );
    await started().cluster.kubectl('delete', 'cm', 'ratelimit-config');
    await started().deleteSamples('ratelimit/rate-limit-service.yaml');
    await settled(
      'answers without a limit',
      async () => (await codes(Array.from({ length: 6 }, () => '/productpage'))).join(),
      (all) => all === '200,200,200,200,200,200',
      2,
    );
  });
});
