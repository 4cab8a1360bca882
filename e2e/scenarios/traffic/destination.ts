import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../../support/shell.ts';
import { destinationRule, echo, istio, manifest, service, type World } from './world.ts';

/** What DestinationRules do to requests inside of the mesh. */
export function destination(world: () => World): void {
  const apply = (...objects: readonly object[]) => world().cluster.apply(manifest(objects), 'traffic');
  const reachable = (url: string) =>
    until(`an answer of ${url}`, async () => ((await world().client.call(url)).status === 200 ? true : undefined));
  const versions = async (url: string, times: number, headers: Record<string, string> = {}) => {
    const answers = await world().client.calls({ url, times, headers });
    return answers.map((seen) => echo(seen).version);
  };

  test('ROUND_ROBIN shares out, a hash on a header sticks', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.loadBalancer.simple',
      'DestinationRule.spec.trafficPolicy.loadBalancer.consistentHash.httpHeaderName',
    );
    await apply(
      service('balanced'),
      destinationRule('balanced', { loadBalancer: { simple: 'ROUND_ROBIN' } }),
      service('sticky'),
      destinationRule('sticky', { loadBalancer: { consistentHash: { httpHeaderName: 'x-user' } } }),
    );
    await reachable('http://balanced:8080/');
    await reachable('http://sticky:8080/');
    await until('the requests to be shared out evenly', async () => {
      const v1 = (await versions('http://balanced:8080/', 40)).filter((version) => version === 'v1').length;
      if (v1 < 18 || v1 > 22) throw new Error(`${v1} of 40 went to v1`);
      return true;
    });
    // Several connections for each user: one alone stays at a pod as long as the proxy does not know the service and lets it pass.
    await eventually('the hash to be in force', async () => {
      const chosen = new Set<string>();
      for (let user = 0; user < 24; user++) {
        const of = new Set<string>();
        for (let connection = 0; connection < 3; connection++)
          for (const version of await versions('http://sticky:8080/', 2, { 'x-user': `user-${user}` })) of.add(version);
        assert.equal(of.size, 1, `user-${user} went to ${[...of].join(' and ')}`);
        for (const version of of) chosen.add(version);
      }
      assert.equal(chosen.size, 2, 'all users went to one pod');
    });
  });

  test('a full connection pool answers 503 with the reason', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.connectionPool.tcp.maxConnections',
      'DestinationRule.spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests',
      'DestinationRule.spec.trafficPolicy.connectionPool.http.http2MaxRequests',
    );
    await apply(
      service('pooled'),
      destinationRule('pooled', {
        connectionPool: { tcp: { maxConnections: 1 }, http: { http1MaxPendingRequests: 1, http2MaxRequests: 1 } },
      }),
    );
    await reachable('http://pooled:8080/');
    await eventually('an overflow', async () => {
      const answers = await world().client.calls({ url: 'http://pooled:8080/?delay=200', times: 8, parallel: 8 });
      assert.ok(answers.some(({ status }) => status === 200));
      const refused = answers.filter(({ status }) => status === 503);
      assert.ok(refused.length > 0);
      for (const seen of refused) {
        assert.equal(seen.headers['x-envoy-overloaded'], 'true', seen.text);
        assert.match(seen.text, /reset reason: overflow/);
      }
    });
  });

  test('an endpoint that fails is ejected, and istioctl shows it', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.outlierDetection.consecutive5xxErrors',
      'DestinationRule.spec.trafficPolicy.outlierDetection.maxEjectionPercent',
    );
    await apply(
      service('flaky'),
      destinationRule('flaky', {
        outlierDetection: {
          consecutive5xxErrors: 3,
          interval: '0.5s',
          baseEjectionTime: '60s',
          maxEjectionPercent: 100,
        },
      }),
      istio('VirtualService', 'flaky', {
        hosts: ['flaky'],
        http: [{ retries: { attempts: 0 }, route: [{ destination: { host: 'flaky' } }] }],
      }),
    );
    await reachable('http://flaky:8080/');
    const pod = await world().cluster.podOf('traffic', 'client');
    // Answers alone do not tell: before the VirtualService arrives, the default retries hide every failure.
    await until('the ejection', async () => {
      await world().client.calls({ url: 'http://flaky:8080/?fail=v2', times: 20 });
      const table = await world().cluster.istioctl(
        ...['proxy-config', 'endpoint', `${pod}.traffic`],
        ...['--cluster', 'outbound|8080||flaky.traffic.svc.cluster.local'],
      );
      const healthy = table.match(/HEALTHY\s+OK/g)?.length;
      const ejected = table.match(/HEALTHY\s+FAILED/g)?.length;
      if (healthy !== 1 || ejected !== 1) throw new Error(table);
      return true;
    });
    // Each of the proxy's threads hears of the ejection for itself.
    await eventually('the other endpoint alone', async () =>
      assert.deepEqual([...new Set(await versions('http://flaky:8080/', 10))], ['v1']),
    );
  });

  test('TLS modes: none, that of the mesh, and that of an HTTPS origin', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.tls.mode',
      'DestinationRule.spec.trafficPolicy.tls.sni',
      'DestinationRule.spec.trafficPolicy.tls.insecureSkipVerify',
      'ServiceEntry.spec.ports[].targetPort',
    );
    const host = 'external.outside.svc.cluster.local';
    await apply(
      service('plain'),
      destinationRule('plain', { tls: { mode: 'DISABLE' } }),
      service('meshed'),
      destinationRule('meshed', { tls: { mode: 'ISTIO_MUTUAL' } }),
      istio('ServiceEntry', 'originated', {
        hosts: ['secure.example.test'],
        ports: [{ number: 80, name: 'http', protocol: 'HTTP', targetPort: 8443 }],
        location: 'MESH_EXTERNAL',
        resolution: 'STATIC',
        addresses: ['240.7.7.7'],
        endpoints: [{ address: await world().address('outside', 'origin') }],
      }),
      istio('DestinationRule', 'originated', {
        host: 'secure.example.test',
        trafficPolicy: { tls: { mode: 'SIMPLE', sni: 'secure.example.test', insecureSkipVerify: true } },
      }),
    );
    const identity = async (url: string) => echo(await world().client.call(url)).headers['x-forwarded-client-cert'];
    await until('plain text where TLS is off', async () =>
      (await identity('http://plain:8080/')) === undefined ? true : undefined,
    );
    await until('mutual TLS', async () =>
      /spiffe:\/\/cluster.local\/ns\/traffic\/sa\/client/.test((await identity('http://meshed:8080/')) ?? '')
        ? true
        : undefined,
    );
    const origin = await until('the HTTPS origin', async () => {
      const seen = await world().client.call({ url: 'http://secure.example.test/', connectTo: '240.7.7.7' });
      if (seen.status !== 200) throw new Error(`${seen.status} ${seen.text}`);
      return echo(seen);
    });
    assert.equal(origin.version, 'outside');
    // Without a sidecar there is nothing to be mutual with.
    assert.equal(await identity(`http://${host}:8080/`), undefined);
  });
}
