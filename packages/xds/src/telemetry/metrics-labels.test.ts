import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { call } from '../testing/http-call.ts';
import { scrape } from '../testing/metrics.ts';
import { WEB_PORT } from './access-log.test-support.ts';
import {
  CLIENT,
  GONE_PORT,
  MESH,
  type MetricsLab,
  NOBODY,
  PLAIN,
  SERVER,
  SOURCE,
  sample,
  startMetricsLab,
} from './metrics.test-support.ts';

/** Istio’s standard metrics of one sidecar in a real Envoy, label by label. */

let lab: MetricsLab;
before(async () => {
  lab = await startMetricsLab();
});
after(() => lab?.close());

/** What promtool says of an exposition: what is wrong, or what it does not like about names and help texts. */
function promtool(text: string): { readonly errors: string; readonly lint: readonly string[] } | undefined {
  const run = spawnSync('promtool', ['check', 'metrics'], { input: text, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (run.error) return undefined;
  const lines = `${run.stdout}${run.stderr}`.split('\n').filter((line) => line !== '');
  return { errors: run.status === 0 || run.status === 3 ? '' : lines.join('\n'), lint: lines };
}

test('every label of every standard metric against known traffic', async (t) => {
  await lab.withSidecar(
    {
      mesh: MESH,
      objects: lab.services(),
      more: { captured: { inbound: lab.own, outbound: { address: lab.net.ip(40), port: 15_901 } } },
    },
    async (envoy) => {
      const requests = (labels: Readonly<Record<string, string>>) => sample(envoy, 'istio_requests_total', labels);
      await t.test('HTTP/1.1, to a server without a proxy', async () => {
        await lab.toWeb('/status/418');
        const { labels, value } = await requests({ response_code: '418' });
        assert.equal(value, 1);
        assert.deepEqual(labels, {
          ...SOURCE,
          ...CLIENT,
          ...SERVER('web'),
          request_protocol: 'http',
          response_code: '418',
          response_flags: '-',
          grpc_response_status: '',
        });
        for (const name of ['istio_request_duration_milliseconds', 'istio_request_bytes', 'istio_response_bytes'])
          assert.deepEqual((await sample(envoy, `${name}_count`, { response_code: '418' })).labels, labels);
      });
      await t.test('gRPC, with its status and the number of messages', async () => {
        assert.equal(await lab.messages(3, { 'x-status': '5' }), 6);
        const { labels } = await requests({ destination_app: 'messages' });
        assert.deepEqual(labels, {
          ...SOURCE,
          ...CLIENT,
          ...SERVER('messages'),
          request_protocol: 'grpc',
          response_code: '200',
          response_flags: '-',
          grpc_response_status: '5',
        });
        const sent = await sample(envoy, 'istio_request_messages_total', { destination_app: 'messages' });
        assert.deepEqual([sent.labels, sent.value], [labels, 3]);
        const received = await sample(envoy, 'istio_response_messages_total', { destination_app: 'messages' });
        assert.deepEqual([received.labels, received.value], [labels, 6]);
      });
      await t.test('a server that is not there', async () => {
        const at = { address: lab.net.everywhere, port: GONE_PORT, host: 'gone' };
        assert.equal((await call('/', at)).status, 503);
        const { labels } = await requests({ destination_service_name: 'gone' });
        assert.deepEqual(labels, {
          ...SOURCE,
          ...CLIENT,
          ...SERVER('gone'),
          request_protocol: 'http',
          response_code: '503',
          response_flags: 'URX,UF',
          grpc_response_status: '',
        });
      });
      await t.test('a host that nobody knows', async () => {
        const at = { address: lab.net.everywhere, port: WEB_PORT, host: 'elsewhere.example' };
        await call('/', at);
        const { labels } = await requests({ destination_service: 'elsewhere.example' });
        assert.deepEqual(
          { ...labels, response_code: '', response_flags: '' },
          {
            ...SOURCE,
            ...CLIENT,
            ...NOBODY('destination'),
            destination_service: 'elsewhere.example',
            destination_service_name: 'PassthroughCluster',
            destination_service_namespace: 'unknown',
            request_protocol: 'http',
            response_code: '',
            response_flags: '',
            grpc_response_status: '',
          },
        );
      });
      await t.test('TCP', async () => {
        assert.match(await lab.exchange('ping'), /^bytes#[0-9]:ping$/);
        const wanted = { destination_app: 'bytes' };
        const closed = await sample(envoy, 'istio_tcp_connections_closed_total', wanted);
        assert.deepEqual(closed.labels, {
          ...SOURCE,
          ...CLIENT,
          ...SERVER('bytes'),
          request_protocol: 'tcp',
          response_flags: '-',
        });
        const value = async (name: string): Promise<number> => {
          const found = await sample(envoy, name, wanted);
          assert.deepEqual(found.labels, closed.labels, name);
          return found.value;
        };
        assert.deepEqual(
          [
            await value('istio_tcp_connections_opened_total'),
            closed.value,
            await value('istio_tcp_sent_bytes_total'),
            await value('istio_tcp_received_bytes_total'),
          ],
          [1, 1, 'bytes#1:ping'.length, 'ping'.length],
        );
      });
      await t.test('a plain client of the own application', async () => {
        assert.equal((await lab.arriving('/')).status, 200);
        const { labels } = await requests({ reporter: 'destination' });
        assert.deepEqual(labels, {
          reporter: 'destination',
          connection_security_policy: 'none',
          ...PLAIN,
          ...NOBODY('source'),
          ...SERVER('client'),
          destination_workload: 'client',
          request_protocol: 'http',
          response_code: '200',
          response_flags: '-',
          grpc_response_status: '',
        });
      });
      await t.test(
        'promtool finds nothing wrong, and nothing odd about Istio’s metrics but that Envoy gives no help',
        (u) => {
          return scrape(envoy).then((text) => {
            const found = promtool(text);
            if (found === undefined) return u.skip('promtool is not on this machine');
            assert.equal(found.errors, '');
            assert.deepEqual(
              found.lint.filter((line) => line.startsWith('istio_') && !line.endsWith('no help text')),
              ['istio_request_duration_milliseconds use base unit "seconds" instead of "milliseconds"'].filter((line) =>
                found.lint.includes(line),
              ),
            );
          });
        },
      );
    },
  );
});

test('connections to addresses that nobody knows go to PassthroughCluster or BlackHoleCluster', async () => {
  for (const [mode, cluster] of [
    ['ALLOW_ANY', 'PassthroughCluster'],
    ['REGISTRY_ONLY', 'BlackHoleCluster'],
  ] as const) {
    const outbound = { address: lab.net.ip(40), port: 15_901 };
    await lab.withSidecar(
      { mesh: { ...MESH, outboundTrafficPolicy: { mode } }, more: { captured: { outbound } } },
      async (envoy) => {
        const socket = connect(outbound.port, outbound.address, () => socket.write('hello'));
        socket.on('error', () => undefined);
        const { labels } = await sample(envoy, 'istio_tcp_connections_closed_total', {
          destination_service_name: cluster,
        }).finally(() => socket.destroy());
        assert.deepEqual(
          { ...labels, response_flags: '' },
          {
            ...SOURCE,
            ...CLIENT,
            ...NOBODY('destination'),
            destination_service: 'unknown',
            destination_service_name: cluster,
            destination_service_namespace: 'unknown',
            request_protocol: 'tcp',
            response_flags: '',
          },
        );
      },
    );
  }
});
