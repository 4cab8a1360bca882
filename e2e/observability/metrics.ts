import assert from 'node:assert/strict';
import { test } from 'node:test';
import { proves } from '@istio-ts/xds/field-proof';
import { until } from '../support/shell.ts';
import type { Mesh } from '../tasks/mesh.ts';

type Labels = Readonly<Record<string, string>>;

function labelsOf(line: string): Labels {
  return Object.fromEntries([...line.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, name, value]) => [name, value]));
}

/** The tasks of Istio's documentation about metrics, without Prometheus: what proxies expose for it. */
export function metricsTasks(mesh: () => Mesh): void {
  /** Lines of a metric in the proxy of a deployment. */
  const scrape = async (deployment: string, metric: string): Promise<readonly string[]> => {
    const url = 'http://localhost:15020/stats/prometheus';
    const { stdout } = await mesh().exec(deployment, 'istio-proxy', 'curl', '-s', url);
    return stdout.split('\n').filter((line) => line.startsWith(`${metric}{`));
  };
  /** The first line whose labels hold all of `wanted`; `act` is done before each look. */
  const withLabels = (deployment: string, metric: string, wanted: Labels, act: () => Promise<unknown>) =>
    until(`${metric} of ${deployment} with ${JSON.stringify(wanted)}`, async () => {
      await act();
      const lines = await scrape(deployment, metric);
      const found = lines.find((line) =>
        Object.entries(wanted).every(([name, value]) => labelsOf(line)[name] === value),
      );
      if (found === undefined) throw new Error(lines.slice(-3).join('\n'));
      return found;
    });
  const ask = (path: string) => mesh().curl(`http://httpbin:8000${path}`);

  test('Collecting Metrics for TCP Services: connections and bytes of both sides', async () => {
    const say = () => mesh().exec('curl', 'curl', 'sh', '-c', '(echo world; sleep 1) | nc tcp-echo 9000');
    const sent = {
      connection_security_policy: 'unknown',
      destination_service_name: 'tcp-echo',
      request_protocol: 'tcp',
    };
    const labels = { ...sent, source_workload: 'curl', destination_workload: 'tcp-echo', response_flags: '-' };
    for (const metric of [
      'istio_tcp_connections_opened_total',
      'istio_tcp_connections_closed_total',
      'istio_tcp_sent_bytes_total',
      'istio_tcp_received_bytes_total',
    ]) {
      const client = await withLabels('curl', metric, { ...labels, reporter: 'source' }, say);
      assert.ok(Number(client.split(' ').at(-1)) > 0, client);
      const server = { ...labels, connection_security_policy: 'mutual_tls', reporter: 'destination' };
      const served = await withLabels('tcp-echo', metric, server, say);
      assert.ok(Number(served.split(' ').at(-1)) > 0, served);
    }
  });

  test('Customizing Istio Metrics with the Telemetry API: labels added and removed', async () => {
    proves(
      'Telemetry.spec.metrics[].providers[].name',
      'Telemetry.spec.metrics[].overrides[].match.metric=REQUEST_COUNT',
      'Telemetry.spec.metrics[].overrides[].tagOverrides[].value',
      'Telemetry.spec.metrics[].overrides[].tagOverrides[].operation=REMOVE',
    );
    await mesh().apply(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: namespace-metrics
spec:
  metrics:
  - providers:
    - name: prometheus
    overrides:
    - match:
        metric: REQUEST_COUNT
      tagOverrides:
        destination_port:
          value: "string(destination.port)"
        request_host:
          value: "request.host"
        grpc_response_status:
          operation: REMOVE
`);
    const added = { request_host: 'httpbin:8000', response_code: '202' };
    const client = await withLabels('curl', 'istio_requests_total', added, () => ask('/status/202'));
    assert.equal(labelsOf(client).grpc_response_status, undefined);
    // As the server sees it, the port is that of its application.
    await withLabels('httpbin', 'istio_requests_total', { ...added, destination_port: '80' }, () => ask('/status/202'));
    const other = await scrape('httpbin', 'istio_request_bytes_count');
    assert.ok(other.length > 0 && other.every((line) => !('request_host' in labelsOf(line))));
    await mesh().remove('telemetry/namespace-metrics');
  });

  test('Classifying Metrics Based on Request or Response: operations and classes of codes', async () => {
    await mesh().apply(`
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata:
  name: classify
spec:
  metrics:
  - providers:
    - name: prometheus
    overrides:
    - match:
        metric: REQUEST_COUNT
        mode: SERVER
      tagOverrides:
        request_operation:
          value: "request.url_path.startsWith('/status') && request.method == 'GET' ? 'GetStatus' : 'Other'"
        response_class:
          value: "response.code >= 500 ? '5xx' : response.code >= 400 ? '4xx' : '2xx'"
`);
    const operation = { request_operation: 'GetStatus' };
    await withLabels(
      'httpbin',
      'istio_requests_total',
      { ...operation, response_class: '4xx', response_code: '418' },
      () => ask('/status/418'),
    );
    await withLabels(
      'httpbin',
      'istio_requests_total',
      { ...operation, response_class: '5xx', response_code: '503' },
      () => ask('/status/503'),
    );
    await withLabels('httpbin', 'istio_requests_total', { request_operation: 'Other', response_class: '2xx' }, () =>
      ask('/get'),
    );
    await mesh().remove('telemetry/classify');
  });
}
