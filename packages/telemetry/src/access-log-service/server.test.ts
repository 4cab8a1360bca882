import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { it } from 'node:test';
import { encode } from '@istio-ts/envoy';
import { openGrpcChannel } from '@istio-ts/envoy/grpc';
import { withoutEnvoy } from '@istio-ts/envoy/testing/binary';
import { freePort } from '@istio-ts/envoy/testing/free-port';
import { eventually } from '@istio-ts/envoy/testing/eventually';
import { httpListener, localCluster, runEnvoy } from '@istio-ts/envoy/testing/run-envoy';
import type { AccessLogRecord } from './entries.ts';
import { ACCESS_LOG_METHOD, startAccessLogService } from './server.ts';

const log = (name: string, kind: 'http' | 'tcp') => ({
  name,
  typedConfig: {
    '@type': `type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.${kind === 'http' ? 'Http' : 'Tcp'}GrpcAccessLogConfig`,
    commonConfig: {
      logName: name,
      transportApiVersion: 'V3',
      bufferFlushInterval: '0.05s',
      grpcService: { envoyGrpc: { clusterName: 'logs' } },
    },
    ...(kind === 'http' && { additionalRequestHeadersToLog: ['x-user'] }),
  },
});

it('receives what a real Envoy logs of HTTP and of TCP', { skip: withoutEnvoy }, async () => {
  const records: AccessLogRecord[] = [];
  const service = await startAccessLogService({
    host: '127.0.0.1',
    port: 0,
    receive: (record) => void records.push(record),
  });
  const application = createServer((_, response) => response.end('hello'));
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve));
  const [http, tcp] = [await freePort(), await freePort()];
  const envoy = await runEnvoy({
    node: { id: 'sidecar~10.0.0.1~cart.shop~shop.svc.cluster.local', cluster: 'cart.shop' },
    staticResources: {
      clusters: [
        localCluster('logs', [service.port], true),
        localCluster('application', [(application.address() as AddressInfo).port]),
      ],
      listeners: [
        httpListener(
          http,
          {
            virtualHosts: [
              {
                name: 'all',
                domains: ['*'],
                routes: [{ match: { prefix: '/' }, route: { cluster: 'application' } }],
              },
            ],
          },
          { manager: { accessLog: [log('of-http', 'http')] } },
        ),
        {
          name: 'tcp',
          address: { socketAddress: { address: '127.0.0.1', portValue: tcp } },
          filterChains: [
            {
              filters: [
                {
                  name: 'envoy.filters.network.tcp_proxy',
                  typedConfig: {
                    '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                    statPrefix: 'tcp',
                    cluster: 'application',
                    accessLog: [log('of-tcp', 'tcp')],
                  },
                },
              ],
            },
          ],
        },
      ],
    },
  });
  try {
    const answer = await fetch(`http://127.0.0.1:${http}/cart?id=1`, { headers: { 'x-user': 'anna' } });
    assert.equal(await answer.text(), 'hello');
    const socket = connect(tcp, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    for await (const _ of socket);
    const ofHttp = await eventually('the entry of HTTP', () => records.find(({ kind }) => kind === 'http'));
    const ofTcp = await eventually('the entry of TCP', () => records.find(({ kind }) => kind === 'tcp'));
    assert.ok(ofHttp.kind === 'http' && ofTcp.kind === 'tcp');
    assert.deepEqual(
      [ofHttp.logName, ofHttp.cluster, ofHttp.node, ofTcp.logName],
      ['of-http', 'cart.shop', 'sidecar~10.0.0.1~cart.shop~shop.svc.cluster.local', 'of-tcp'],
    );
    const { request, response, commonProperties } = ofHttp.entry;
    assert.deepEqual(
      [request?.requestMethod, request?.path, request?.requestHeaders, response?.responseCode],
      ['GET', '/cart?id=1', { 'x-user': 'anna' }, 200],
    );
    assert.equal(commonProperties?.upstreamCluster, 'application');
    assert.ok(Number(ofTcp.entry.connectionProperties?.sentBytes) > 5);
  } finally {
    await envoy.stop();
    await service.close();
    application.closeAllConnections();
    application.close();
  }
});

it('refuses what is no message, and keeps the sender between messages', async () => {
  const records: AccessLogRecord[] = [];
  const service = await startAccessLogService({
    host: '127.0.0.1',
    port: 0,
    receive: (record) => void records.push(record),
  });
  const channel = openGrpcChannel({ kind: 'tcp', host: '127.0.0.1', port: service.port });
  try {
    const type = 'envoy.service.accesslog.v3.StreamAccessLogsMessage';
    const stream = await channel.stream(ACCESS_LOG_METHOD);
    await stream.write(encode(type, { identifier: { logName: 'l', node: { id: 'n' } } }));
    await stream.write(encode(type, { tcpLogs: { logEntry: [{ commonProperties: { routeName: 'r' } }] } }));
    await eventually('an entry', () => records.length === 1);
    assert.deepEqual(records[0], {
      kind: 'tcp',
      logName: 'l',
      node: 'n',
      cluster: '',
      entry: { commonProperties: { routeName: 'r' } },
    });
    await stream.write(Buffer.from([0xff, 0xff, 0xff]));
    await assert.rejects(async () => {
      for await (const _ of stream.messages());
    }, /INVALID_ARGUMENT|StreamAccessLogsMessage/);
  } finally {
    channel.close();
    await service.close();
  }
});
