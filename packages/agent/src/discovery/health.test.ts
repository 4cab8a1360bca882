import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { test } from 'node:test';
import { createGrpcServer } from '@istio-ts/envoy/grpc/server';
import { proves } from '@istio-ts/xds/field-proof';
import { cleanups, eventually, freePort, http, skip, startAgent } from '../agent.test-support.ts';
import { startFakeIstiod } from '../fake-istiod.test-support.ts';
import type { Json } from '../json.ts';
import { readHealthProbe, watchHealth } from './health.ts';

/** How an agent finds out how its application is, and that the control plane hears of it through Envoy (ProxyConfig.readinessProbe). */

const loopback = { address: '127.0.0.1', localAddress: undefined };

test('the control plane hears through Envoy how the application is', { skip }, async () => {
  proves(
    'ProxyConfig.readinessProbe.initialDelaySeconds',
    'ProxyConfig.readinessProbe.periodSeconds',
    'ProxyConfig.readinessProbe.timeoutSeconds',
    'ProxyConfig.readinessProbe.successThreshold',
    'ProxyConfig.readinessProbe.failureThreshold',
    'ProxyConfig.readinessProbe.httpGet',
  );
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  let status = 500;
  const asked: (readonly [unknown, unknown, number])[] = [];
  const application = createServer((request, response) => {
    asked.push([request.url, request.headers['x-probe'], Date.now()]);
    // A status of 0 is an application that does not answer.
    if (status > 0) response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => application.listen(0, '127.0.0.2', resolve));
  cleanups.push(() => {
    application.closeAllConnections();
    application.close();
  });
  const started = Date.now();
  const agent = await startAgent(
    istiod,
    {},
    {
      readinessProbe: {
        initialDelaySeconds: 1,
        periodSeconds: 1,
        timeoutSeconds: 1,
        successThreshold: 2,
        failureThreshold: 2,
        httpGet: {
          path: '/well',
          // Not the address of the workload.
          host: '127.0.0.2',
          port: (application.address() as AddressInfo).port,
          scheme: 'HTTP',
          httpHeaders: [{ name: 'x-probe', value: 'yes' }],
        },
      },
    },
  );
  const reported = (count: number) =>
    eventually(
      `report ${count}`,
      async () => istiod.reports,
      (reports) => reports.length >= count,
    );
  await reported(1);
  assert.match(istiod.reports[0] ?? '', /500/);
  // On a busy machine it may have been asked once more before the report is seen.
  assert.ok(asked.length >= 2);
  assert.deepEqual(asked[0]?.slice(0, 2), ['/well', 'yes']);
  // The first after a second, the next a second later.
  assert.ok((asked[1]?.[2] ?? 0) - started >= 2000);
  status = 200;
  const before = asked.length;
  await reported(2);
  assert.equal(istiod.reports[1], '');
  assert.ok(asked.length >= before + 2);
  status = 0;
  await reported(3);
  assert.match(istiod.reports[2] ?? '', /no answer/);
  assert.equal((await http(agent.ports.status, '/quitquitquit', 'POST')).status, 200);
  await agent.exit;
});

/** The first thing that is found out about an application. */
function firstResult(probe: Readonly<Record<string, Json>>): Promise<boolean> {
  const read = readHealthProbe({ periodSeconds: 1, failureThreshold: 1, ...probe });
  assert.ok(read);
  return new Promise((resolve) => {
    const watch = watchHealth(read, loopback, ({ healthy }) => {
      watch.close();
      resolve(healthy);
    });
  });
}

test('by a connection, by gRPC, and by a command', async () => {
  proves(
    'ProxyConfig.readinessProbe.tcpSocket',
    'ProxyConfig.readinessProbe.grpc',
    'ProxyConfig.readinessProbe.exec.command[]',
  );
  const tcp = createTcpServer((socket) => socket.end());
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.3', resolve));
  cleanups.push(() => void tcp.close());
  const { port } = tcp.address() as AddressInfo;
  assert.equal(await firstResult({ tcpSocket: { host: '127.0.0.3', port } }), true);
  assert.equal(await firstResult({ tcpSocket: { port: await freePort() } }), false);

  const asked: string[] = [];
  const grpc = createGrpcServer({
    methods: {
      '/grpc.health.v1.Health/Check': {
        kind: 'unary',
        handle: (request) => {
          const service = request.subarray(2).toString();
          asked.push(service);
          // status: SERVING or NOT_SERVING
          return Buffer.from([8, service === 'shop' ? 1 : 2]);
        },
      },
    },
  });
  const at = (await grpc.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
  cleanups.push(() => grpc.close(100));
  assert.equal(await firstResult({ grpc: { port: at.port, service: 'shop' } }), true);
  assert.equal(await firstResult({ grpc: { port: at.port, service: 'other' } }), false);
  assert.deepEqual(asked, ['shop', 'other']);

  assert.equal(await firstResult({ exec: { command: ['/bin/sh', '-c', 'exit 0'] } }), true);
  assert.equal(await firstResult({ exec: { command: ['/bin/sh', '-c', 'exit 1'] } }), false);
  assert.equal(await firstResult({ timeoutSeconds: 1, exec: { command: ['/bin/sleep', '20'] } }), false);
});
