import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { httpListener, localCluster, runEnvoy } from '@istio-ts/envoy/testing/run-envoy';
import { exposition, prometheusName } from './exposition.ts';
import { METRICS_METHOD, startMetricService } from './server.ts';
import { MetricStore } from './store.ts';

/** Bytes of a message of protobuf from its fields: texts, messages and doubles. */
function message(...fields: readonly (readonly [number, Buffer | string | number])[]): Buffer {
  return Buffer.concat(
    fields.map(([number, value]) => {
      if (typeof value === 'number') {
        const bytes = Buffer.alloc(9);
        bytes[0] = (number << 3) | 1;
        bytes.writeDoubleLE(value, 1);
        return bytes;
      }
      const content = Buffer.from(value);
      assert.ok(content.length < 16_384);
      const length = content.length < 128 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >> 7];
      return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
    }),
  );
}

const identifier = (id: string) =>
  message([1, Buffer.from(encode('envoy.config.core.v3.Node', { id, cluster: 'cart.shop' }))]);
const counter = (name: string, value: number, label?: readonly [string, string]) =>
  message(
    [1, name],
    [4, message(...(label ? [[1, message([1, label[0]], [2, label[1]])] as const] : []), [3, message([1, value])])],
  );

describe('the metric service', () => {
  it('gives the metrics of a real Envoy to Prometheus', { skip: withoutEnvoy }, async () => {
    const service = await startMetricService({ host: '127.0.0.1', port: 0, httpPort: 0, now: Date.now });
    const [port, behind] = [await freePort(), await freePort()];
    const routes = (route: object) => ({
      virtualHosts: [{ name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, ...route }] }],
    });
    const envoy = await runEnvoy({
      node: { id: 'sidecar~10.0.0.1~cart-1.shop~shop.svc.cluster.local', cluster: 'cart.shop' },
      statsFlushInterval: '0.1s',
      statsSinks: [
        {
          name: 'envoy.stat_sinks.metrics_service',
          typedConfig: {
            '@type': 'type.googleapis.com/envoy.config.metrics.v3.MetricsServiceConfig',
            transportApiVersion: 'V3',
            emitTagsAsLabels: true,
            grpcService: { envoyGrpc: { clusterName: 'metrics' } },
          },
        },
      ],
      staticResources: {
        clusters: [localCluster('metrics', [service.port], true), localCluster('behind', [behind])],
        listeners: [
          httpListener(behind, routes({ directResponse: { status: 200 } })),
          httpListener(port, routes({ route: { cluster: 'behind' } })),
        ],
      },
    });
    try {
      for (let turn = 0; turn < 7; turn++) assert.equal((await fetch(`http://127.0.0.1:${port}/`)).status, 200);
      const scrape = async () => (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
      const series = (rest: string) =>
        `{node="sidecar~10.0.0.1~cart-1.shop~shop.svc.cluster.local",node_cluster="cart.shop",envoy_cluster_name="behind"${rest}`;
      const names = (page: string): ReadonlySet<string> =>
        new Set([...page.matchAll(/^# TYPE (envoy_cluster\S+) \w+$/gm)].map(([, name]) => name ?? ''));
      const text = await eventually('the requests', async () => {
        // What the proxy itself gives to Prometheus has to be here, too, after a flush.
        const own = names(await envoy.admin('/stats/prometheus?usedonly'));
        const found = await scrape();
        const ours = names(found);
        if ([...own].some((name) => !ours.has(name))) return false;
        // The histogram is merged at the flush after.
        return (
          found.includes(`envoy_cluster_upstream_rq_total${series('} 7')}`) &&
          found.includes(`envoy_cluster_upstream_rq_time_count${series('} 7')}`) &&
          found
        );
      });
      assert.match(text, /^# TYPE envoy_cluster_upstream_rq_total counter$/m);
      assert.match(text, /^# TYPE envoy_cluster_upstream_rq_time histogram$/m);
      assert.ok(text.includes(`envoy_cluster_upstream_rq_time_bucket${series(',le="+Inf"} 7')}`));
      assert.match(text, /^# TYPE envoy_server_live gauge$/m);
      assert.match(text, /^metric_service_nodes 1$/m);
      checked(text);
    } finally {
      await envoy.stop();
      await service.close();
    }
  });

  it("keeps Istio's names and labels", () => {
    assert.equal(prometheusName('istiocustom.istio_requests_total'), 'istio_requests_total');
    assert.equal(prometheusName('istio_requests_total'), 'istio_requests_total');
    assert.equal(prometheusName('cluster.xds-grpc.upstream_cx_total'), 'envoy_cluster_xds_grpc_upstream_cx_total');
  });

  it('keeps no more than it may, and forgets proxies that are gone', () => {
    let now = 0;
    const bytes = message([1, identifier('a')], [2, counter('requests', 1, ['a\n', 'b"\\'])]);
    const store = new MetricStore({ now: () => now, maxBytes: bytes.length * 2, maxNodes: 2, forgetAfterMs: 1000 });
    assert.equal(store.put({ id: 'a', cluster: '' }, bytes), true);
    assert.equal(store.put({ id: 'a', cluster: '' }, bytes), true, 'the next message takes the place of the last');
    assert.equal(store.put({ id: 'b', cluster: '' }, bytes), true);
    assert.equal(store.put({ id: 'c', cluster: '' }, bytes), false);
    assert.deepEqual(store.size, { nodes: 2, bytes: bytes.length * 2, refused: 1 });
    now = 2000;
    assert.equal(store.put({ id: 'c', cluster: '' }, bytes), true);
    assert.equal(store.size.nodes, 1);
    const text = [...exposition(store.nodes())].join('');
    assert.equal(text, '# TYPE envoy_requests counter\nenvoy_requests{node="c",node_cluster="",a_="b\\"\\\\"} 1\n');
    checked(text);
    assert.throws(() => store.put({ id: 'c', cluster: '' }, Buffer.from([0x12, 0xff])), /ends too early/);
    assert.equal(store.size.nodes, 1);
  });

  it('refuses who does not say who it is, and what is no message', async () => {
    const service = await startMetricService({ host: '127.0.0.1', port: 0, httpPort: 0, now: Date.now });
    const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: service.port });
    const send = async (bytes: Buffer): Promise<void> => {
      const stream = await channel.stream(METRICS_METHOD);
      await stream.write(bytes);
      for await (const _ of stream.messages());
    };
    try {
      await assert.rejects(send(message([2, counter('a', 1)])), /does not say who sends it/);
      await assert.rejects(send(Buffer.from([0x12, 0xff])), { status: 'INVALID_ARGUMENT' });
    } finally {
      channel.close();
      await service.close();
    }
  });
});

/** promtool, where it is, takes the text; its advice about names is for who chose them. */
function checked(text: string): void {
  try {
    execFileSync('promtool', ['check', 'metrics'], { input: text, stdio: ['pipe', 'pipe', 'pipe'] });
  } catch (error) {
    const { code, stderr, status } = error as { code?: string; stderr?: Buffer; status?: number };
    // 3: advice only.
    if (code !== 'ENOENT') assert.equal(status, 3, String(stderr).slice(0, 2000));
  }
}
