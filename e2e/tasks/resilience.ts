import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { eventually, until } from '../support/shell.ts';
import type { Mesh } from './mesh.ts';

const fortio = (mesh: Mesh, ...args: readonly string[]) =>
  mesh.exec('fortio-deploy', 'fortio', '/usr/bin/fortio', ...args);

/** How many calls of a load got which status. */
const codes = (report: string) =>
  new Map([...report.matchAll(/^Code +(-?\d+) : (\d+) /gm)].map(([, code, count]) => [Number(code), Number(count)]));

/** Circuit breaking and mirroring, with httpbin. */
export function resilience(mesh: () => Mesh): void {
  test('circuit breaking: more than one connection is too many', async () => {
    proves(
      'DestinationRule.spec.trafficPolicy.connectionPool.tcp.maxConnections',
      'DestinationRule.spec.trafficPolicy.connectionPool.http.http1MaxPendingRequests',
      'DestinationRule.spec.trafficPolicy.connectionPool.http.maxRequestsPerConnection',
    );
    const url = 'http://httpbin:8000/delay/0.05';
    await eventually('an answer', async () => {
      const once = await fortio(mesh(), 'curl', '-quiet', 'http://httpbin:8000/get');
      assert.match(once.stdout, /^HTTP\/1\.1 200 OK/, once.stderr);
    });
    const load = async (connections: number) =>
      codes(
        (await fortio(mesh(), 'load', '-c', `${connections}`, '-qps', '0', '-n', '24', '-loglevel', 'Warning', url))
          .stdout,
      );
    await eventually('all calls to be answered', async () => assert.deepEqual([...(await load(4))], [[200, 24]]));
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: httpbin
spec:
  host: httpbin
  trafficPolicy:
    connectionPool:
      tcp: {maxConnections: 1}
      http: {http1MaxPendingRequests: 1, maxRequestsPerConnection: 1}
    outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 3m, maxEjectionPercent: 100}
`);
    await eventually('the breaker to open', async () => {
      const seen = await load(4);
      assert.ok((seen.get(503) ?? 0) > 0 && (seen.get(200) ?? 0) > 0, JSON.stringify([...seen]));
      const stats = await mesh().exec('fortio-deploy', 'istio-proxy', 'pilot-agent', 'request', 'GET', 'stats');
      const overflow = /httpbin\.default\.svc\.cluster\.local;?\.upstream_rq_pending_overflow: (\d+)/.exec(
        stats.stdout,
      );
      assert.ok(
        Number(overflow?.[1]) > 0,
        stats.stdout
          .split('\n')
          .filter((line) => /httpbin/.test(line))
          .join('\n'),
      );
    });
    await mesh().remove('destinationrule/httpbin');
  });

  test('mirroring: v2 of httpbin gets a copy of what v1 answers', async () => {
    proves('VirtualService.spec.http[].mirror', 'VirtualService.spec.http[].mirrorPercentage.value');
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata:
  name: httpbin
spec:
  host: httpbin
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: httpbin
spec:
  hosts: [httpbin]
  http:
    - route:
        - destination: {host: httpbin, subset: v1}
          weight: 100
`);
    const logs = async (version: string) =>
      mesh().cluster.kubectl('logs', `deploy/httpbin${version === 'v1' ? '' : '-v2'}`, '-c', 'httpbin');
    const only = async (path: string, times = 8) => {
      for (let turn = 0; turn < times; turn++) await mesh().curl(`http://httpbin:8000/${path}`);
      return (await logs('v2')).includes(path);
    };
    let round = 0;
    await until('v1 alone', async () => {
      round++;
      return (await only(`anything/alone-${round}`)) ? undefined : true;
    });
    await mesh().apply(`
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: httpbin
spec:
  hosts: [httpbin]
  http:
    - route:
        - destination: {host: httpbin, subset: v1}
          weight: 100
      mirror: {host: httpbin, subset: v2}
      mirrorPercentage: {value: 100}
`);
    // Both get it under the host that the client asked for (DISABLE_SHADOW_HOST_SUFFIX is on by default).
    const line = async (version: string) =>
      (await logs(version)).split('\n').find((entry) => entry.includes('/anything/mirrored')) ?? '';
    await eventually('a mirrored request', async () => {
      await only('anything/mirrored', 1);
      assert.match(await line('v1'), / httpbin:8000 "GET/);
      assert.match(await line('v2'), / httpbin:8000 "GET/);
    });
    await mesh().remove('virtualservice/httpbin', 'destinationrule/httpbin');
  });
}
