import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { defaultMeshConfig } from '@istio-ts/api';
import { proves } from '../field-proof.ts';
import { http2Get, type HttpCall, httpGet, sendBytes } from '../testing/http-client.ts';
import { istioObject, podObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';

/** Ports, hosts, addresses and protocols of Gateways, and what a gateway does with who the client says it is. */

proves(
  'Gateway.spec.selector',
  'Gateway.spec.servers[].port.number',
  'Gateway.spec.servers[].port.name',
  'Gateway.spec.servers[].port.protocol',
  'Gateway.spec.servers[].bind',
  'Gateway.spec.servers[].hosts[]',
  'Gateway.spec.servers[].name',
  'Gateway.spec.servers[].tls.httpsRedirect',
  'VirtualService.spec.gateways[]',
  'VirtualService.spec.http[].match[].gateways[]',
  'VirtualService.spec.tcp[].match[].gateways[]',
  'MeshConfig.pathNormalization.normalization',
  'MeshConfig.defaultConfig.gatewayTopology.numTrustedProxies',
  'MeshConfig.defaultConfig.gatewayTopology.forwardClientCertDetails',
  'MeshConfig.defaultConfig.gatewayTopology.proxyProtocol',
);

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'gateway-edge-'));
const socket = join(folder, 'gateway.sock');
const abstract = `istio-ts-edge-${process.pid}`;
const port = (number: number, protocol: string, name = `${protocol.toLowerCase()}-${number}`) => ({
  number,
  protocol,
  name,
});
const to = (host: string) => [{ route: [{ destination: { host } }] }];
const bytesTo = (host: string) => [{ route: [{ destination: { host, port: { number: 80 } } }] }];

const gateway = (
  name: string,
  servers: readonly object[],
  more: { readonly namespace?: string; readonly createdAt?: string; readonly selector?: object } = {},
) => istioObject('Gateway', { name, ...more }, { selector: more.selector ?? { team: 'edge' }, servers });

const objects = [
  podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
  serviceObject(
    { name: 'gw', namespace: 'edge' },
    [
      { name: 'http', port: 80, targetPort: 8080 },
      { name: 'other', port: 81, targetPort: 8080 },
    ],
    { selector: { team: 'edge' } },
  ),
  ...loopbackApp(net, 'one', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
  ...loopbackApp(net, 'two', { last: 5, port: 80, protocol: 'http' }, [{ last: 4 }]),
  ...loopbackApp(net, 'grpc', { last: 6, port: 80, protocol: 'grpc' }, [{ last: 7 }]),
  gateway(
    'old',
    [
      {
        port: port(80, 'HTTP'),
        hosts: ['shared.test', './own.test', 'default/named.test', '*/any.test', 'other/foreign.test', '*.wild.test'],
      },
      { port: port(80, 'HTTP', 'moved'), hosts: ['moved.test'], tls: { httpsRedirect: true } },
      { port: port(8081, 'HTTP2'), hosts: ['*'], name: 'second-version' },
      { port: port(8082, 'GRPC'), hosts: ['*'] },
      { port: port(8083, 'TCP'), hosts: ['*'] },
      { port: port(8084, 'MONGO'), hosts: ['*'] },
      { port: port(8085, 'HTTP'), hosts: ['*'], bind: net.ip(9) },
      { port: port(0, 'HTTP', 'socket'), hosts: ['*'], bind: `unix://${socket}` },
      { port: port(0, 'HTTP', 'abstract'), hosts: ['*'], bind: `unix://@${abstract}` },
      { port: port(8088, 'HTTP'), hosts: ['*'] },
      { port: port(8088, 'HTTP', 'bound'), hosts: ['*'], bind: net.ip(10) },
    ],
    { createdAt: '2026-01-01T00:00:00Z' },
  ),
  gateway(
    'young',
    [
      { port: port(80, 'HTTP'), hosts: ['shared.test', 'young.test'] },
      { port: port(81, 'HTTP'), hosts: ['mapped.test'] },
      { port: port(8081, 'TCP'), hosts: ['*'] },
      { port: port(8083, 'HTTP'), hosts: ['*'] },
    ],
    { namespace: 'elsewhere', createdAt: '2026-02-01T00:00:00Z' },
  ),
  gateway('unselected', [{ port: port(8090, 'HTTP'), hosts: ['*'] }], { selector: { team: 'core' } }),
  istioObject(
    'VirtualService',
    { name: 'hosts' },
    {
      hosts: ['own.test', 'named.test', 'any.test', 'foreign.test', 'a.wild.test'],
      gateways: ['old'],
      http: to('one'),
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'shared', createdAt: '2026-01-01T00:00:00Z' },
    {
      hosts: ['shared.test', 'mapped.test', 'young.test'],
      gateways: ['default/old', 'elsewhere/young', 'mesh'],
      http: [
        { match: [{ uri: { prefix: '/old' }, gateways: ['default/old'] }], route: [{ destination: { host: 'one' } }] },
        { match: [{ uri: { prefix: '/mesh' }, gateways: ['mesh'] }], directResponse: { status: 418 } },
        { match: [{ uri: { prefix: '/eighty' }, port: 80 }], directResponse: { status: 280 } },
        { route: [{ destination: { host: 'two' } }] },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'ports' },
    {
      hosts: ['ports.test'],
      gateways: ['old'],
      http: [
        { match: [{ port: 8081 }], route: [{ destination: { host: 'one' } }] },
        { match: [{ port: 8082 }], route: [{ destination: { host: 'grpc' } }] },
        { match: [{ port: 8088 }], route: [{ destination: { host: 'two' } }] },
        { route: [{ destination: { host: 'one' } }] },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'bytes' },
    {
      hosts: ['*'],
      gateways: ['old', 'elsewhere/young'],
      tcp: [
        { match: [{ port: 8083, gateways: ['mesh'] }], ...bytesTo('two')[0] },
        { match: [{ port: 8083, gateways: ['old'] }], ...bytesTo('one')[0] },
        { match: [{ port: 8084 }], ...bytesTo('two')[0] },
      ],
    },
  ),
];

const origins: Origin[] = [];
const grpc = createServer();
grpc.on('stream', (stream, headers) => {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' });
  stream.end(`${headers[':method']} ${headers['content-type']}`);
});
before(async () => {
  await new Promise<void>((resolve) => grpc.listen(ORIGIN_PORT, net.ip(7), resolve));
  origins.push(await startOrigin('one', net.ip(2), ORIGIN_PORT), await startOrigin('two', net.ip(4), ORIGIN_PORT));
});
after(async () => {
  grpc.close();
  for (const origin of origins) await origin.close();
  rmSync(folder, { recursive: true, force: true });
});

const router = { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere } as const;

const seen = async (call: HttpCall): Promise<Arrival> => {
  const reply = await httpGet(call);
  assert.equal(reply.status, 200, `${call.host}${call.path ?? ''}: ${reply.status}`);
  return JSON.parse(reply.body) as Arrival;
};

describe('servers of two Gateways', () => {
  let envoy: OfflineEnvoy;
  before(async () => {
    envoy = await startOfflineEnvoy({ net, proxy: router, objects });
  });
  after(() => envoy?.stop());
  const edge = (host: string, path = '/'): HttpCall => ({ address: net.everywhere, port: 8080, host, path });
  const status = async (host: string, path = '/') => (await httpGet(edge(host, path))).status;

  test('which namespaces may serve a host', async () => {
    for (const host of ['own.test', 'named.test', 'any.test', 'a.wild.test'])
      assert.equal((await seen(edge(host))).origin, 'one', host);
    assert.equal(await status('foreign.test'), 404);
    assert.equal(await status('b.wild.test'), 404);
  });

  test('hosts of a port come together, also from ports of the Service that are one port of the pod', async () => {
    for (const host of ['shared.test', 'young.test', 'mapped.test'])
      assert.equal((await seen(edge(host))).origin, 'two', host);
  });

  test('routes for single gateways and ports', async () => {
    assert.equal((await seen(edge('shared.test', '/old'))).origin, 'one');
    assert.equal((await seen(edge('young.test', '/old'))).origin, 'two');
    assert.equal((await seen(edge('shared.test', '/mesh'))).origin, 'two');
    assert.equal(await status('shared.test', '/eighty'), 280);
    assert.equal((await seen(edge('mapped.test', '/eighty'))).origin, 'two');
  });

  test('a redirect needs no route', async () => {
    const moved = await httpGet(edge('moved.test', '/x?y=1'));
    assert.deepEqual([moved.status, moved.headers.location], [301, 'https://moved.test/x?y=1']);
  });

  test('HTTP/2 and gRPC', async () => {
    const reply = await http2Get(net.everywhere, 8081, 'ports.test');
    assert.equal((JSON.parse(reply.body) as Arrival).origin, 'one');
    const call = await http2Get(net.everywhere, 8082, 'ports.test', {
      ':method': 'POST',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    assert.deepEqual([call.status, call.headers['grpc-status'], call.body], [200, '0', 'POST application/grpc']);
  });

  test('bytes and Mongo', async () => {
    assert.match(await sendBytes(net.everywhere, 8083, 'hello'), /^one#/);
    assert.match(await sendBytes(net.everywhere, 8084, 'hello'), /^two#/);
  });

  test('the oldest Gateway has a port whose protocol is in dispute', async () => {
    assert.equal((await http2Get(net.everywhere, 8081, 'ports.test')).status, 200);
    await assert.rejects(
      sendBytes(net.everywhere, 8081, 'bytes that are no HTTP\n\n').then((text) => assert.match(text, /^one#/)),
    );
  });

  test('addresses and sockets of their own', async () => {
    assert.equal((await seen({ address: net.ip(9), port: 8085, host: 'ports.test' })).origin, 'one');
    await assert.rejects(httpGet({ address: net.everywhere, port: 8085, host: 'ports.test' }));
    assert.equal((await seen({ socketPath: socket, host: 'ports.test' })).origin, 'one');
    assert.equal((await seen({ socketPath: `\0${abstract}`, host: 'ports.test' })).origin, 'one');
    for (const address of [net.everywhere, net.ip(10)])
      assert.equal((await seen({ address, port: 8088, host: 'ports.test' })).origin, 'two');
  });

  test('a Gateway for other pods is not served', async () => {
    await assert.rejects(httpGet({ address: net.everywhere, port: 8090, host: 'ports.test' }));
  });

  test('the name of a server is in the statistics', async () => {
    assert.match(
      await envoy.admin('/stats?filter=downstream_rq_total'),
      /http\.second-version\.downstream_rq_total: [1-9]/,
    );
  });
});

test('a gateway with addresses of both families listens on both', async () => {
  const dual = await startOfflineEnvoy({
    net,
    proxy: { ...router, metadata: { INSTANCE_IPS: `${net.everywhere},fd00::1` } },
    objects,
  });
  try {
    assert.equal((await seen({ address: '::1', port: 8080, host: 'own.test' })).origin, 'one');
    assert.equal((await seen({ address: net.everywhere, port: 8080, host: 'own.test' })).origin, 'one');
  } finally {
    await dual.stop();
  }
});

describe('who the client is', () => {
  const forged = { 'x-forwarded-for': '1.1.1.1, 2.2.2.2', 'x-forwarded-client-cert': 'URI=spiffe://forged' };
  const withTopology = async (gatewayTopology: object, work: (call: HttpCall) => Promise<void>): Promise<void> => {
    const config = defaultMeshConfig();
    const envoy = await startOfflineEnvoy({
      net,
      proxy: router,
      objects,
      meshConfig: { ...config, defaultConfig: { ...config.defaultConfig, gatewayTopology } },
    });
    try {
      await work({ address: net.everywhere, port: 8080, host: 'own.test', headers: forged });
    } finally {
      await envoy.stop();
    }
  };

  test('trusted proxies in front', async () => {
    await withTopology({ numTrustedProxies: 2, forwardClientCertDetails: 'ALWAYS_FORWARD_ONLY' }, async (call) => {
      const { headers } = await seen(call);
      assert.equal(headers['x-envoy-external-address'], '1.1.1.1');
      assert.equal(headers['x-forwarded-client-cert'], 'URI=spiffe://forged');
    });
    await withTopology({ forwardClientCertDetails: 'SANITIZE' }, async (call) => {
      const { headers } = await seen(call);
      assert.notEqual(headers['x-envoy-external-address'], '1.1.1.1');
      assert.equal(headers['x-forwarded-client-cert'], undefined);
    });
  });

  test('PROXY protocol, on HTTP and on TCP ports', async () => {
    await withTopology({ proxyProtocol: {} }, async (call) => {
      const line = `PROXY TCP4 9.8.7.6 ${net.everywhere} 1234 80\r\n`;
      const { headers } = await seen({ ...call, headers: {}, first: line });
      assert.equal(headers['x-forwarded-for'], '9.8.7.6');
      await assert.rejects(httpGet({ ...call, headers: {} }));
      assert.match(await sendBytes(net.everywhere, 8083, `${line}hello`), /^one#\d+:hello$/);
    });
  });
});

test('normalization of paths', async () => {
  const kinds = {
    NONE: ['/a/../b', '/a//b', '/a%2fb'],
    BASE: ['/b', '/a//b', '/a%2fb'],
    MERGE_SLASHES: ['/b', '/a/b', '/a%2fb'],
    DECODE_AND_MERGE_SLASHES: ['/b', '/a/b', '/a/b'],
  } as const;
  for (const [normalization, expected] of Object.entries(kinds)) {
    const meshConfig = {
      ...defaultMeshConfig(),
      pathNormalization: { normalization: normalization as keyof typeof kinds },
    };
    const envoy = await startOfflineEnvoy({ net, proxy: router, objects, meshConfig });
    try {
      const found = [];
      for (const path of kinds.NONE)
        found.push((await seen({ address: net.everywhere, port: 8080, host: 'own.test', path })).path);
      assert.deepEqual(found, expected, normalization);
    } finally {
      await envoy.stop();
    }
  }
});

test('Gateways of other namespaces are left out where each namespace has its own (PILOT_SCOPE_GATEWAY_TO_NAMESPACE)', async () => {
  const own = gateway('own', [{ port: port(80, 'HTTP'), hosts: ['*'] }], { namespace: 'edge' });
  const routes = istioObject(
    'VirtualService',
    { name: 'own' },
    { hosts: ['own.test', 'young.test'], gateways: ['edge/own', 'elsewhere/young'], http: to('one') },
  );
  const envoy = await startOfflineEnvoy({
    net,
    proxy: router,
    objects: [...objects, own, routes],
    mesh: { gatewaysSelectOwnNamespaceOnly: true },
  });
  try {
    assert.equal((await seen({ address: net.everywhere, port: 8080, host: 'own.test' })).origin, 'one');
    await assert.rejects(httpGet({ address: net.everywhere, port: 8088, host: 'ports.test' }));
  } finally {
    await envoy.stop();
  }
});
