import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { generateOffline, typeUrls } from '../engine/index.ts';
import { proves } from '../field-proof.ts';
import { TestAuthority } from '../testing/authority.ts';
import { freePort } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { istioObject, podObject, secretObject, serviceObject, sliceObject } from '../testing/objects.ts';
import {
  loopbackApp,
  LoopbackNet,
  type OfflineEnvoy,
  ORIGIN_PORT,
  startOfflineEnvoy,
} from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { tlsGet } from '../testing/tls-client.ts';

/** Which filter chains, listener filters, route tables and clusters EnvoyFilters choose, and which gateways by reference, as clients see it. */

const net = new LoopbackNet();
const folder = mkdtempSync(join(tmpdir(), 'patch-match-'));
const meshAuthority = new TestAuthority(folder, 'mesh');
const workload = meshAuthority.issue('workload', ['URI:spiffe://cluster.local/ns/default/sa/client']);
const shown = meshAuthority.issue('shown', ['DNS:a.test', 'DNS:b.test']);

/** A filter that adds a header to requests. */
const adds = (header: string) => ({
  name: header,
  typed_config: {
    '@type': 'type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua',
    default_source_code: {
      inline_string: `function envoy_on_request(handle) handle:headers():add("${header}", "yes") end`,
    },
  },
});
const onChain = (header: string, context: string, filterChain: object, listener: object = {}) => ({
  applyTo: 'HTTP_FILTER',
  match: { context, listener: { ...listener, filterChain } },
  patch: { operation: 'INSERT_FIRST', value: adds(header) },
});
const filter = (name: string, configPatches: readonly object[], more: object = {}) =>
  istioObject('EnvoyFilter', { name }, { configPatches, ...more });
/** The headers `x-…` that patches have added to a request. */
const added = (headers: Readonly<Record<string, unknown>> | undefined): readonly string[] =>
  Object.keys(headers ?? {})
    .filter((name) => /^x-(by|ref)-/.test(name))
    .sort();

after(() => rmSync(folder, { recursive: true }));

describe('a sidecar', () => {
  let envoy: OfflineEnvoy;
  let origin: Origin;
  let app: Server;
  let port = 0;
  let otherPort = 0;
  const PORT = 9000;
  const TCP_PORT = 9001;
  const inbound = (header: string, filterChain: object) => onChain(header, 'SIDECAR_INBOUND', filterChain);

  const proxyProtocol = (last: number) => ({
    applyTo: 'LISTENER_FILTER',
    match: { context: 'SIDECAR_OUTBOUND', listener: { name: `${net.ip(last)}_${TCP_PORT}` } },
    patch: {
      operation: 'INSERT_FIRST',
      value: {
        name: 'envoy.filters.listener.proxy_protocol',
        typed_config: {
          '@type': 'type.googleapis.com/envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol',
        },
      },
    },
  });
  const withoutListenerFilter = (last: number, listenerFilter: string) => ({
    applyTo: 'LISTENER_FILTER',
    match: { context: 'SIDECAR_OUTBOUND', listener: { name: `${net.ip(last)}_${TCP_PORT}`, listenerFilter } },
    patch: { operation: 'REMOVE' },
  });
  const objects = () => [
    podObject({ name: 'server-0', labels: { app: 'server' }, ip: net.ip(5), account: 'server' }),
    serviceObject(
      { name: 'server' },
      [
        { name: 'any', port: 80, targetPort: port },
        { name: 'other', port: 81, targetPort: otherPort },
      ],
      { selector: { app: 'server' }, clusterIP: net.ip(6), clusterIPs: [net.ip(6)] },
    ),
    sliceObject('server', [{ name: 'any', port, protocol: 'TCP' }], [{ ip: net.ip(5), pod: 'server-0' }]),
    ...loopbackApp(net, 'web', { last: 11, port: PORT, protocol: 'http' }, [{ last: 1, labels: { version: 'v1' } }]),
    ...loopbackApp(net, 'header', { last: 12, port: TCP_PORT, protocol: 'tcp' }, [{ last: 1 }]),
    ...loopbackApp(net, 'removed', { last: 13, port: TCP_PORT, protocol: 'tcp' }, [{ last: 1 }]),
    istioObject('DestinationRule', { name: 'web' }, { host: 'web', subsets: [{ name: 'once' }, { name: 'many' }] }),
    istioObject(
      'VirtualService',
      { name: 'web' },
      {
        hosts: ['web'],
        http: ['once', 'many'].map((subset) => ({
          match: [{ uri: { prefix: `/${subset}` } }],
          route: [{ destination: { host: 'web', subset } }],
        })),
      },
    ),
    filter('chains', [
      inbound('x-by-plain', { transportProtocol: 'raw_buffer' }),
      inbound('x-by-tls', { transportProtocol: 'tls' }),
      inbound('x-by-mesh', { applicationProtocols: 'istio-http/1.1,istio-h2' }),
      inbound('x-by-http', { applicationProtocols: 'http/1.1' }),
      inbound('x-by-both', { applicationProtocols: 'http/1.1,istio-h2' }),
      inbound('x-by-port', { destinationPort: port }),
      inbound('x-by-other-port', { destinationPort: otherPort }),
      inbound('x-by-name', { name: `0.0.0.0_${port}` }),
      inbound('x-by-other-name', { name: `0.0.0.0_${otherPort}` }),
    ]),
    filter('listener-filters', [
      proxyProtocol(12),
      withoutListenerFilter(12, 'envoy.filters.listener.http_inspector'),
      proxyProtocol(13),
      withoutListenerFilter(13, 'envoy.filters.listener.proxy_protocol'),
    ]),
    filter('clusters', [
      {
        applyTo: 'CLUSTER',
        match: { cluster: { service: 'web.default.svc.cluster.local', subset: 'once' } },
        patch: { operation: 'MERGE', value: { max_requests_per_connection: 1 } },
      },
    ]),
  ];

  before(async () => {
    [port, otherPort] = [await freePort(), await freePort()];
    origin = await startOrigin('web', net.ip(1), ORIGIN_PORT);
    app = createServer((request, response) => response.end(JSON.stringify(request.headers)));
    await new Promise<void>((resolve) => app.listen(port, '127.0.0.1', resolve));
    envoy = await startOfflineEnvoy({
      net,
      objects: objects(),
      proxy: { name: 'server-0', namespace: 'default', ipAddress: net.ip(5) },
      meshConfig: decodeMeshConfig({ inboundTrafficPolicy: { mode: 'LOCALHOST' } }).value,
      identity: { certificate: workload.certificate, key: workload.key, roots: meshAuthority.root },
      arrivals: [{ address: net.ip(5), port }],
    });
  });
  after(async () => {
    await envoy?.stop();
    await origin?.close();
    app?.close();
  });

  test('filter chains of arriving connections: their name, port, transport and protocols', async () => {
    proves(
      'EnvoyFilter.spec.configPatches[].match.listener.filterChain.name',
      'EnvoyFilter.spec.configPatches[].match.listener.filterChain.destinationPort',
      'EnvoyFilter.spec.configPatches[].match.listener.filterChain.transportProtocol',
      'EnvoyFilter.spec.configPatches[].match.listener.filterChain.applicationProtocols',
    );
    const plain = await call('/', { address: net.ip(5), port, host: 'server' });
    assert.deepEqual(added(JSON.parse(plain.text)), ['x-by-http', 'x-by-name', 'x-by-plain', 'x-by-port']);
    const secured = await tlsGet(net.ip(5), port, {
      servername: 'server',
      cert: workload.certificate,
      key: workload.key,
      ALPNProtocols: ['istio-http/1.1'],
    });
    assert.deepEqual(added(JSON.parse(secured.body)), ['x-by-mesh', 'x-by-name', 'x-by-port', 'x-by-tls']);
  });

  test('listener filters', async () => {
    proves('EnvoyFilter.spec.configPatches[].match.listener.listenerFilter');
    const say = (last: number, text: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = connect({ host: net.ip(last), port: TCP_PORT }, () => socket.write(text));
        let got = '';
        socket.on('data', (data: Buffer) => {
          got += data.toString();
          socket.destroy();
        });
        socket.on('error', () => socket.destroy());
        socket.on('close', () => resolve(got));
      });
    assert.match(await say(12, 'PROXY TCP4 1.2.3.4 5.6.7.8 9 10\r\nhello'), /hello/);
    assert.equal(await say(12, 'hello, who is not announced by a header'), '');
    assert.match(await say(13, 'hello'), /hello/);
  });

  test('clusters of a subset', async () => {
    proves('EnvoyFilter.spec.configPatches[].match.cluster.subset');
    const connections = async (path: string): Promise<number> => {
      const found = new Set<number | undefined>();
      for (let i = 0; i < 3; i++)
        found.add((await call(path, { address: net.everywhere, port: PORT, host: 'web' })).seen?.connection);
      return found.size;
    };
    assert.deepEqual([await connections('/once'), await connections('/many')], [3, 1]);
  });
});

describe('a gateway', () => {
  let envoy: OfflineEnvoy;
  let origin: Origin;
  const ref = (name: string, more: object = {}) => [
    { group: 'gateway.networking.k8s.io', kind: 'Gateway', name, ...more },
  ];
  const referring = (header: string, targetRefs: object) =>
    filter(header, [onChain(header, 'GATEWAY', {})], { targetRefs });
  const table = (value: string, routeConfiguration: object) => ({
    applyTo: 'ROUTE_CONFIGURATION',
    match: { context: 'GATEWAY', routeConfiguration },
    patch: { operation: 'MERGE', value: { request_headers_to_add: [{ header: { key: value, value: 'yes' } }] } },
  });
  const labels = { team: 'edge', 'gateway.networking.k8s.io/gateway-name': 'edge' };
  const objects = [
    podObject({ name: 'gw-0', labels, ip: net.everywhere }),
    ...loopbackApp(net, 'app', { last: 21, port: 80, protocol: 'http' }, [{ last: 2 }]),
    secretObject({ name: 'shown' }, { 'tls.crt': shown.certificate, 'tls.key': shown.key }),
    ...['first', 'second'].map((name) =>
      istioObject(
        'Gateway',
        { name },
        {
          selector: { team: 'edge' },
          servers: [
            {
              port: { number: 8443, name: `https-${name}`, protocol: 'HTTPS' },
              hosts: [name === 'first' ? 'a.test' : 'b.test'],
              tls: { mode: 'SIMPLE', credentialName: 'shown' },
            },
          ],
        },
      ),
    ),
    istioObject(
      'VirtualService',
      { name: 'app' },
      { hosts: ['*'], gateways: ['first', 'second'], http: [{ route: [{ destination: { host: 'app' } }] }] },
    ),
    filter('names', [
      onChain('x-by-sni', 'GATEWAY', { sni: 'a.test' }),
      onChain('x-by-other-sni', 'GATEWAY', { sni: 'c.test' }),
      table('x-by-port-name', { portName: 'https-first' }),
      table('x-by-gateway', { gateway: 'default/first' }),
      table('x-by-other-gateway', { gateway: 'other/first' }),
    ]),
    referring('x-ref-gateway', ref('edge')),
    referring('x-ref-namespace', ref('edge', { namespace: 'default' })),
    referring('x-ref-name', ref('another')),
    referring('x-ref-class', ref('edge', { kind: 'GatewayClass' })),
    referring('x-ref-service', [{ group: '', kind: 'Service', name: 'edge' }]),
    referring('x-ref-entry', [{ group: 'networking.istio.io', kind: 'ServiceEntry', name: 'edge' }]),
    istioObject(
      'EnvoyFilter',
      { name: 'x-ref-away', namespace: 'away' },
      { configPatches: [onChain('x-ref-away', 'GATEWAY', {})], targetRefs: ref('edge') },
    ),
  ];
  const proxy = { type: 'router', name: 'gw-0', namespace: 'default', labels, ipAddress: net.everywhere } as const;

  before(async () => {
    origin = await startOrigin('app', net.ip(2), ORIGIN_PORT);
    envoy = await startOfflineEnvoy({ net, objects, proxy });
  });
  after(async () => {
    await envoy?.stop();
    await origin?.close();
  });
  const seen = async (servername: string): Promise<readonly string[]> =>
    added(JSON.parse((await tlsGet(net.everywhere, 8443, { servername })).body).headers);

  test('filter chains by server name, route tables by gateway and port name', async () => {
    proves(
      'EnvoyFilter.spec.configPatches[].match.listener.filterChain.sni',
      'EnvoyFilter.spec.configPatches[].match.routeConfiguration.portName',
      'EnvoyFilter.spec.configPatches[].match.routeConfiguration.gateway',
    );
    assert.deepEqual(
      (await seen('a.test')).filter((one) => one.startsWith('x-by-')),
      ['x-by-gateway', 'x-by-port-name', 'x-by-sni'],
    );
    assert.deepEqual(
      (await seen('b.test')).filter((one) => one.startsWith('x-by-')),
      [],
    );
  });

  test('proxies of the Gateway that is referred to', async () => {
    proves(
      'EnvoyFilter.spec.targetRefs[].group',
      'EnvoyFilter.spec.targetRefs[].kind',
      'EnvoyFilter.spec.targetRefs[].name',
      'EnvoyFilter.spec.targetRefs[].namespace',
    );
    assert.deepEqual(
      (await seen('a.test')).filter((one) => one.startsWith('x-ref-')),
      ['x-ref-gateway', 'x-ref-namespace'],
    );
    const foreign = referring('x-ref-foreign', ref('edge', { namespace: 'away' }));
    const { problems, resources } = generateOffline([...objects, foreign], proxy);
    assert.match(problems.map(({ path }) => path).join(), /targetRefs\[0\]\.namespace/);
    assert.doesNotMatch(JSON.stringify(resources.get(typeUrls.listener)?.map((one) => one.json())), /x-ref-foreign/);
  });
});
