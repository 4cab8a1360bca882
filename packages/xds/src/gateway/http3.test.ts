import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { typedAny } from '@istio-ts/envoy';
import { proves } from '../field-proof.ts';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { freePort, type RunningEnvoy, startEnvoy } from '../testing/envoy.ts';
import { httpGet } from '../testing/http-client.ts';
import { istioObject, podObject, secretObject, serviceObject } from '../testing/objects.ts';
import {
  LoopbackNet,
  loopbackApp,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Arrival, type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** HTTP/3 at a gateway; the client is an Envoy that turns HTTP/1.1 into HTTP/3. */

proves('Gateway.spec.servers[].port.protocol', 'Gateway.spec.servers[].tls.mode');

const net = new LoopbackNet();
const authority = selfSigned('authority');
const pair = signedBy(authority, 'quick.test');
let origin: Origin;
let gateway: OfflineEnvoy;
let client: RunningEnvoy;
let clientPort: number;

function quicClient(): Parameters<typeof startEnvoy>[0] {
  const socketAddress = (address: string, portValue: number) => ({ socketAddress: { address, portValue } });
  return {
    listeners: [
      {
        name: 'client',
        address: socketAddress('127.0.0.1', clientPort),
        filterChains: [
          {
            filters: [
              {
                name: 'envoy.filters.network.http_connection_manager',
                typedConfig: typedAny(
                  'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                  {
                    statPrefix: 'client',
                    routeConfig: {
                      virtualHosts: [
                        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'h3' } }] },
                      ],
                    },
                    httpFilters: [
                      { name: 'router', typedConfig: typedAny('envoy.extensions.filters.http.router.v3.Router', {}) },
                    ],
                  },
                ),
              },
            ],
          },
        ],
      },
    ],
    routes: new Map(),
    clusters: [
      {
        name: 'h3',
        type: 'STATIC',
        connectTimeout: '2s',
        loadAssignment: {
          clusterName: 'h3',
          endpoints: [{ lbEndpoints: [{ endpoint: { address: socketAddress(net.everywhere, 8443) } }] }],
        },
        typedExtensionProtocolOptions: {
          'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typedAny(
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
            { explicitHttpConfig: { http3ProtocolOptions: {} } },
          ),
        },
        transportSocket: {
          name: 'envoy.transport_sockets.quic',
          typedConfig: typedAny('envoy.extensions.transport_sockets.quic.v3.QuicUpstreamTransport', {
            upstreamTlsContext: {
              sni: 'quick.test',
              commonTlsContext: { validationContext: { trustedCa: { inlineString: authority.certificate } } },
            },
          }),
        },
      },
    ],
  };
}

const objects = (udp: boolean) => [
  podObject({ name: 'gw-0', namespace: 'edge', labels: { team: 'edge' }, ip: net.everywhere }),
  serviceObject(
    { name: 'gw', namespace: 'edge' },
    [
      { name: 'https', port: 443, targetPort: 8443 },
      ...(udp ? [{ name: 'http3', port: 443, targetPort: 8443, protocol: 'UDP' }] : []),
    ],
    { selector: { team: 'edge' } },
  ),
  ...loopbackApp(net, 'app', { last: 3, port: 80, protocol: 'http' }, [{ last: 2 }]),
  secretObject({ name: 'quick', namespace: 'edge' }, { 'tls.crt': pair.certificate, 'tls.key': pair.key }),
  istioObject(
    'Gateway',
    { name: 'edge', namespace: 'edge' },
    {
      selector: { team: 'edge' },
      servers: [
        {
          port: { number: 443, name: 'https', protocol: 'HTTPS' },
          hosts: ['quick.test'],
          tls: { mode: 'SIMPLE', credentialName: 'quick' },
        },
      ],
    },
  ),
  istioObject(
    'VirtualService',
    { name: 'app' },
    { hosts: ['quick.test'], gateways: ['edge/edge'], http: [{ route: [{ destination: { host: 'app' } }] }] },
  ),
];

const start = (udp: boolean, quicListeners: boolean): Promise<OfflineEnvoy> =>
  startOfflineEnvoy({
    net,
    proxy: { type: 'router', name: 'gw-0', namespace: 'edge', ipAddress: net.everywhere },
    objects: objects(udp),
    mesh: { quicListeners },
  });

before(async () => {
  origin = await startOrigin('app', net.ip(2), ORIGIN_PORT);
  clientPort = await freePort();
  client = await startEnvoy(quicClient());
});
after(async () => {
  await gateway?.stop();
  await client?.stop();
  await origin?.close();
});

test('a gateway serves and announces HTTP/3 where its Service has the port for UDP', async () => {
  gateway = await start(true, true);
  const tcp = await tlsGet(net.everywhere, 8443, { servername: 'quick.test' });
  assert.deepEqual([tcp.status, tcp.headers['alt-svc']], [200, 'h3=":443"; ma=86400']);
  const quic = await httpGet({ port: clientPort, host: 'quick.test', path: '/by-quic' });
  assert.equal(quic.status, 200, quic.body);
  const { headers, path } = JSON.parse(quic.body) as Arrival;
  assert.deepEqual([path, headers['x-forwarded-proto']], ['/by-quic', 'https']);
  assert.match(
    await gateway.admin('/stats?filter=downstream_rq_http3_total|downstream_cx_http3_total'),
    /http3_total: [1-9]/,
  );
  assert.equal((await httpGet({ port: clientPort, host: 'other.test' })).status, 421);
  await gateway.stop();
});

test('not where the Service has no such port, nor where HTTP/3 is off', async () => {
  for (const [udp, on] of [
    [false, true],
    [true, false],
  ] as const) {
    gateway = await start(udp, on);
    const tcp = await tlsGet(net.everywhere, 8443, { servername: 'quick.test' });
    assert.deepEqual([tcp.status, tcp.headers['alt-svc']], [200, undefined]);
    assert.equal((await httpGet({ port: clientPort, host: 'quick.test' })).status, 503);
    await gateway.stop();
  }
});
