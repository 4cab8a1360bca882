import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cluster } from '../support/cluster.ts';
import { http } from '../support/http.ts';
import { eventually, until } from '../support/shell.ts';

/** The labels of one line of Prometheus' text format. */
function labelsOf(line: string): Readonly<Record<string, string>> {
  return Object.fromEntries([...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
}

/** Istio's standard metrics with known traffic: gateway to frontend to product catalogue. */
export function metrics(cluster: () => Cluster): void {
  const scrape = async (app: string): Promise<readonly string[]> => {
    const name = (
      await cluster().kubectl(
        'get',
        'pod',
        '-n',
        'istio-app',
        '-l',
        `app=${app}`,
        '-o',
        'jsonpath={.items[0].metadata.name}',
      )
    ).trim();
    return (
      await cluster().kubectl(
        'exec',
        '-n',
        'istio-app',
        name,
        '-c',
        'istio-proxy',
        '--',
        'curl',
        '-s',
        'http://localhost:15020/stats/prometheus',
      )
    ).split('\n');
  };
  const find = (lines: readonly string[], metric: string, wanted: Readonly<Record<string, string>>) =>
    lines
      .filter((line) => line.startsWith(`${metric}{`))
      .find((line) => {
        const labels = labelsOf(line);
        return Object.entries(wanted).every(([name, value]) => labels[name] === value);
      });

  test('both sides of a call report istio_requests_total', async () => {
    await http(`http://${await cluster().loadBalancer('istio-system', 'istio-ingressgateway')}/`);
    const served = await until('metrics of the frontend', async () =>
      find(await scrape('frontend'), 'istio_requests_total', {
        reporter: 'destination',
        source_workload: 'istio-ingressgateway',
        response_code: '200',
      }),
    );
    const inbound = labelsOf(served);
    assert.equal(inbound.destination_workload, 'frontend');
    assert.equal(inbound.source_workload_namespace, 'istio-system');
    assert.equal(
      inbound.source_principal,
      'spiffe://cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account',
    );
    assert.equal(inbound.destination_principal, 'spiffe://cluster.local/ns/istio-app/sa/frontend');
    assert.equal(inbound.connection_security_policy, 'mutual_tls');
    assert.equal(inbound.destination_service, 'frontend.istio-app.svc.cluster.local');
    assert.equal(inbound.request_protocol, 'http');

    const called = await until('metrics of the call', async () =>
      find(await scrape('frontend'), 'istio_requests_total', {
        reporter: 'source',
        destination_service_name: 'currencyservice',
        response_code: '200',
      }),
    );
    const outbound = labelsOf(called);
    assert.equal(outbound.source_workload, 'frontend');
    assert.equal(outbound.destination_workload, 'currencyservice');
    assert.equal(outbound.request_protocol, 'grpc');
    assert.equal(outbound.grpc_response_status, '0');
    assert.equal(outbound.destination_principal, 'spiffe://cluster.local/ns/istio-app/sa/currencyservice');
  });

  test('durations, sizes and TCP are reported', async () => {
    // Envoy brings the histograms of its threads together every few seconds.
    await eventually('metrics of the frontend', async () => {
      const lines = await scrape('frontend');
      for (const metric of [
        'istio_request_duration_milliseconds_bucket',
        'istio_request_bytes_sum',
        'istio_response_bytes_count',
      ])
        assert.ok(
          lines.some((line) => line.startsWith(`${metric}{`)),
          metric,
        );
    });
    await until('TCP metrics of the cart', async () =>
      (await scrape('cartservice')).some((line) => line.startsWith('istio_tcp_connections_opened_total{'))
        ? true
        : undefined,
    );
  });
}
