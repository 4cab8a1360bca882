import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import * as tls from 'node:tls';
import { createGrpcServer } from '@istio-ts/envoy/grpc/server';
import { requireEnvoy } from '@istio-ts/envoy/testing/binary';
import { chartConfig, containerOf } from '@istio-ts/injector/injection.test-support';
import { injectPod, readProxyConfigObject } from '@istio-ts/injector';
import { decodeMeshConfig } from '@istio-ts/api';
import {
  createCsr,
  createRootCertificate,
  exportPrivateKey,
  generatePrivateKey,
  loadAuthority,
} from '@istio-ts/security';
import { proves } from '@istio-ts/xds/field-proof';
import { cleanups, eventually, freePort, http, type RunningAgent, skip, startAgent } from './agent.test-support.ts';
import { mutualTlsListener, startFakeIstiod } from './fake-istiod.test-support.ts';

/** Settings of a proxy, from where people write them to the real Envoy that runs with them. */

const folder = mkdtempSync(join(tmpdir(), 'agent-proxy-config-'));
cleanups.push(() => rmSync(folder, { recursive: true, force: true }));

const envoyPid = (agent: RunningAgent): number => Number(/Envoy started\tpid=(\d+)/.exec(agent.output())?.[1]);
const ready = (agent: RunningAgent) =>
  eventually(
    'ready',
    () => http(agent.ports.ready, '/healthz/ready'),
    ({ status }) => status === 200,
  );

async function stop(agent: RunningAgent): Promise<void> {
  agent.process.kill('SIGTERM');
  await agent.exit;
}

interface ServerInfo {
  readonly command_line_options: Readonly<Record<string, unknown>>;
  readonly node: { readonly cluster: string };
}
const serverInfo = async (agent: RunningAgent): Promise<ServerInfo> =>
  JSON.parse((await http(agent.ports.admin, '/server_info')).body) as ServerInfo;

const proxyConfigObject = (namespace: string, name: string, spec: Readonly<Record<string, unknown>>) =>
  readProxyConfigObject({
    apiVersion: 'networking.istio.io/v1beta1',
    kind: 'ProxyConfig',
    metadata: { namespace, name, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec,
  } as Parameters<typeof readProxyConfigObject>[0]);

/** Injects a pod `cart` of the namespace `shop`; gives the variables of its proxy that have values, and its image. */
function injectedProxy(
  defaultConfig: Readonly<Record<string, unknown>>,
  annotations: Readonly<Record<string, string>>,
  objects: readonly ReturnType<typeof proxyConfigObject>[],
): { readonly env: Readonly<Record<string, string>>; readonly image: unknown } {
  const result = injectPod({
    pod: {
      metadata: { name: 'cart-1', labels: { app: 'cart' }, annotations },
      spec: { containers: [{ name: 'app', image: 'app' }] },
    },
    namespace: 'shop',
    config: chartConfig(),
    meshConfig: decodeMeshConfig({ defaultConfig }).value,
    proxyConfigs: objects,
    revision: 'default',
  });
  assert.ok(result.injected);
  const proxy = containerOf(result.pod, 'istio-proxy');
  const variables = proxy.env as readonly { readonly name: string; readonly value?: string }[];
  return {
    env: Object.fromEntries(variables.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]]))),
    image: proxy.image,
  };
}

/** The answer of a TLS listener to a client whose certificate another CA signed. */
function askWithTls(
  port: number,
  identity: { readonly root: string; readonly certificate: string; readonly key: string },
) {
  return new Promise<string>((resolve, reject) => {
    const socket = tls.connect({
      host: '127.0.0.1',
      port,
      ca: identity.root,
      cert: identity.certificate,
      key: identity.key,
      checkServerIdentity: () => undefined,
    });
    let body = '';
    socket.on('secureConnect', () => socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n'));
    socket.on('data', (chunk) => (body += String(chunk)));
    socket.on('end', () => resolve(body));
    socket.on('error', reject);
  });
}

const otherAuthority = (name: string) => {
  const root = createRootCertificate({ organization: name, now: new Date() });
  const authority = loadAuthority(root);
  const key = generatePrivateKey();
  const { chain } = authority.sign({
    csr: createCsr(key, []),
    identity: { trustDomain: 'cluster.local', namespace: 'shop', serviceAccount: 'client' },
    now: new Date(),
  });
  return { root: authority.root, certificate: chain, key: exportPrivateKey(key) };
};

test('settings of mesh, namespace, workload and pod reach Envoy', { skip }, async () => {
  proves(
    'ProxyConfig.spec.selector.matchLabels[]',
    'ProxyConfig.spec.concurrency',
    'ProxyConfig.spec.environmentVariables[]',
    'ProxyConfig.configPath',
    'ProxyConfig.binaryPath',
    'ProxyConfig.serviceCluster',
    'ProxyConfig.drainDuration',
    'ProxyConfig.terminationDrainDuration',
    'ProxyConfig.discoveryAddress',
    'ProxyConfig.proxyAdminPort',
    'ProxyConfig.statusPort',
    'ProxyConfig.concurrency',
    'ProxyConfig.proxyMetadata[]',
    'ProxyConfig.runtimeValues[]',
    'ProxyConfig.extraStatTags[]',
    'ProxyConfig.meshId',
    'ProxyConfig.proxyStatsMatcher',
    'ProxyConfig.caCertificatesPem[]',
    'ProxyConfig.fileFlushInterval',
    'ProxyConfig.fileFlushMinSizeKb',
    'ProxyConfig.statsCompression',
    'ProxyConfig.connectionSettings.globalDownstreamConnectionLimit',
  );
  const listenerPort = await freePort();
  const plainPort = await freePort();
  const istiod = await startFakeIstiod([
    mutualTlsListener(listenerPort, true),
    mutualTlsListener(plainPort, false, { statPrefix: 'own.color=.=blue;.;shop' }),
  ]);
  cleanups.push(() => istiod.close());
  const trusted = otherAuthority('partner');
  const envoyLink = join(folder, 'envoy-of-mine');
  symlinkSync(requireEnvoy(), envoyLink);
  const { env } = injectedProxy(
    {
      configPath: './etc/own',
      binaryPath: envoyLink,
      serviceCluster: 'shop-cart',
      drainDuration: '7s',
      concurrency: 8,
      proxyMetadata: { PLACE: 'mesh', OF_MESH: 'yes' },
      runtimeValues: { 'own.value': '42' },
      extraStatTags: ['color'],
      meshId: 'my-mesh',
      proxyStatsMatcher: {
        inclusionPrefixes: ['runtime'],
        inclusionSuffixes: ['downstream_cx_total'],
        inclusionRegexps: ['main_thread\\.watchdog_.*'],
      },
      caCertificatesPem: [trusted.root],
      fileFlushInterval: '0.25s',
      fileFlushMinSizeKb: 16,
      statsCompression: false,
      connectionSettings: { globalDownstreamConnectionLimit: 2 },
    },
    {
      'proxy.istio.io/config': 'concurrency: 7\nproxyMetadata:\n  OF_POD: "yes"\nterminationDrainDuration: 0.2s\n',
    },
    [
      proxyConfigObject('istio-system', 'mesh', { concurrency: 6, environmentVariables: { PLACE: 'root' } }),
      proxyConfigObject('shop', 'namespace', { concurrency: 5, environmentVariables: { PLACE: 'namespace' } }),
      proxyConfigObject('shop', 'cart', {
        selector: { matchLabels: { app: 'cart' } },
        concurrency: 3,
        environmentVariables: { OF_WORKLOAD: 'yes' },
      }),
      proxyConfigObject('shop', 'other', { selector: { matchLabels: { app: 'other' } }, concurrency: 4 }),
    ],
  );
  const { CA_ADDR: _ofTheMesh, ...rest } = env;
  const agent = await startAgent(
    istiod,
    { ...rest, ENVOY_BINARY: '' },
    // What differs from machine to machine; the concurrency is that of the objects.
    { concurrency: JSON.parse(env.PROXY_CONFIG ?? '{}').concurrency, terminationDrainDuration: '0.2s' },
    { 'proxy.istio.io/config': 'concurrency: 7' },
  );
  await ready(agent);

  const info = await serverInfo(agent);
  const options = info.command_line_options;
  assert.equal(options.concurrency, 3);
  assert.equal(options.config_path, 'etc/own/envoy-rev.json');
  assert.ok(existsSync(join(agent.directory, 'etc/own/envoy-rev.json')));
  assert.equal(options.drain_time, '7s');
  assert.equal(options.file_flush_interval, '0.250s');
  assert.equal(options.file_flush_min_size_kb ?? 16, 16);
  assert.equal(info.node.cluster, 'shop-cart');
  const process = `/proc/${envoyPid(agent)}`;
  const commandLine = readFileSync(`${process}/cmdline`, 'utf8').split('\0');
  assert.equal(commandLine[0], envoyLink);
  assert.equal(commandLine[commandLine.indexOf('--file-flush-min-size-kb') + 1], '16');
  const environment = readFileSync(`${process}/environ`, 'utf8').split('\0');
  for (const variable of ['PLACE=namespace', 'OF_MESH=yes', 'OF_WORKLOAD=yes', 'OF_POD=yes'])
    assert.ok(environment.includes(variable), variable);
  assert.equal(istiod.nodes[0]?.metadata?.MESH_ID, 'my-mesh');

  assert.match((await http(agent.ports.admin, '/runtime')).body, /"own.value":[\s\S]*"final_value": "42"/);
  const stats = (await http(agent.ports.admin, '/stats')).body;
  const names = stats.split('\n').map((line) => line.split(':')[0] ?? '');
  for (const name of [/^runtime\./, /^http\.own.*\.downstream_cx_total$/, /main_thread\.watchdog_/])
    assert.ok(
      names.some((each) => name.test(each)),
      `${name}`,
    );
  assert.ok(!names.some((each) => /^http\.own.*\.downstream_rq_total$/.test(each)));
  assert.match(
    (await http(agent.ports.admin, '/stats/prometheus')).body,
    /^envoy_http_downstream_cx_total\{[^}]*color="blue"[^}]*\}/m,
  );
  const compressed = await new Promise<string | undefined>((resolve, reject) => {
    request(
      {
        host: '127.0.0.1',
        port: agent.ports.prometheus,
        path: '/stats/prometheus',
        headers: { 'accept-encoding': 'gzip' },
      },
      (response) => resolve(response.resume().headers['content-encoding']),
    )
      .on('error', reject)
      .end();
  });
  assert.equal(compressed, undefined);

  assert.match(await askWithTls(listenerPort, { ...trusted, root: istiod.authority.root }), /hello/);
  await assert.rejects(askWithTls(listenerPort, { ...otherAuthority('stranger'), root: istiod.authority.root }));

  // Beyond the limit of connections they are closed at once.
  const held: Socket[] = [];
  const opened = async (): Promise<boolean> => {
    const socket = connect(plainPort, '127.0.0.1');
    held.push(socket);
    socket.on('error', () => undefined);
    socket.write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    return new Promise((resolve) => {
      socket.once('data', () => resolve(true));
      socket.once('close', () => resolve(false));
    });
  };
  await eventually(
    'no connection left over',
    () => http(agent.ports.admin, '/stats?filter=downstream_cx_active'),
    ({ body }) => !new RegExp(`(${listenerPort}|${plainPort})\\.downstream_cx_active: [1-9]`).test(body),
  );
  assert.deepEqual([await opened(), await opened(), await opened()], [true, true, false]);
  for (const socket of held) socket.destroy();
  await stop(agent);
  assert.match(agent.output(), /graceful termination period started\tduration=0\.2s/);
});

test('images of the kind that ProxyConfig names', () => {
  const imageOf = (object: object | undefined, annotations: Readonly<Record<string, string>> = {}): unknown =>
    injectedProxy({ image: { imageType: 'distroless' } }, annotations, [
      ...(object === undefined ? [] : [proxyConfigObject('shop', 'cart', { image: object })]),
    ]).image;
  assert.match(String(imageOf(undefined)), /\/proxyv2:[\d.]+-distroless$/);
  assert.match(String(imageOf({ imageType: 'debug' })), /\/proxyv2:[\d.]+-debug$/);
  assert.match(String(imageOf({ imageType: 'debug' }, { 'sidecar.istio.io/proxyImageType': 'default' })), /:[\d.]+$/);
});

test('without TLS to the control plane; names for traces; keys of hardware that is not there', { skip }, async () => {
  proves(
    'ProxyConfig.controlPlaneAuthPolicy',
    'ProxyConfig.tracingServiceName',
    'ProxyConfig.privateKeyProvider.cryptomb.fallback',
  );
  const istiod = await startFakeIstiod([], { plain: true });
  cleanups.push(() => istiod.close());
  const agent = await startAgent(
    istiod,
    { FILE_MOUNTED_CERTS: 'true' },
    {
      discoveryAddress: istiod.plainAddress,
      controlPlaneAuthPolicy: 'NONE',
      tracingServiceName: 'CANONICAL_NAME_AND_NAMESPACE',
      privateKeyProvider: { cryptomb: { pollDelay: '0.01s', fallback: true } },
    },
  );
  const mounted = join(agent.directory, 'etc/certs');
  mkdirSync(mounted, { recursive: true });
  const { chain, key } = istiod.authority.issueServer({ dnsNames: ['mounted'], now: new Date() });
  writeFileSync(join(mounted, 'root-cert.pem'), istiod.authority.root);
  writeFileSync(join(mounted, 'key.pem'), key);
  writeFileSync(join(mounted, 'cert-chain.pem'), chain);
  await ready(agent);
  assert.equal((await serverInfo(agent)).node.cluster, 'cart.shop');
  assert.deepEqual(istiod.peers, [[]]);
  assert.match(agent.output(), /warn\tprivateKeyProvider\.cryptomb: stock Envoy has no provider/);
  await stop(agent);

  const refused = await startAgent(istiod, {}, { privateKeyProvider: { qat: { pollDelay: '0.01s' } } });
  assert.equal((await refused.exit).code, 1);
  assert.match(refused.output(), /Error: privateKeyProvider\.qat: .*set its field fallback to true/);
  const template = await startAgent(istiod, {}, { proxyBootstrapTemplatePath: '/tmp/template.json' });
  assert.equal((await template.exit).code, 1);
  assert.match(template.output(), /Error: proxyBootstrapTemplatePath: .*customConfigFile/);
});

test('a bootstrap of one’s own', { skip }, async () => {
  proves('ProxyConfig.customConfigFile');
  const istiod = await startFakeIstiod([]);
  cleanups.push(() => istiod.close());
  const admin = await freePort();
  const file = join(folder, 'own.json');
  writeFileSync(
    file,
    JSON.stringify({
      node: { id: 'own', cluster: 'of-my-own' },
      admin: { address: { socketAddress: { address: '127.0.0.1', portValue: admin } } },
    }),
  );
  const agent = await startAgent(istiod, {}, { customConfigFile: file, proxyAdminPort: admin });
  const { body } = await eventually(
    'Envoy with that bootstrap',
    () => http(admin, '/server_info'),
    ({ status }) => status === 200,
  );
  assert.equal((JSON.parse(body) as ServerInfo).node.cluster, 'of-my-own');
  await stop(agent);
});

test('services that Envoy itself sends statistics and access logs to', { skip }, async () => {
  proves(
    'ProxyConfig.envoyMetricsService',
    'ProxyConfig.envoyAccessLogService',
    'ProxyConfig.envoyAccessLogService.tlsSettings',
    'ProxyConfig.envoyAccessLogService.tcpKeepalive',
    'ProxyConfig.statsdUdpAddress',
    'ProxyConfig.envoyMetricsServiceAddress',
  );
  const port = await freePort();
  const istiod = await startFakeIstiod([
    mutualTlsListener(port, false, {
      accessLog: [
        {
          name: 'envoy.access_loggers.http_grpc',
          typedConfig: {
            '@type': 'type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig',
            commonConfig: {
              logName: 'the log',
              transportApiVersion: 'V3',
              bufferFlushInterval: '0.1s',
              grpcService: { envoyGrpc: { clusterName: 'envoy_accesslog_service' } },
            },
          },
        },
      ],
    }),
  ]);
  cleanups.push(() => istiod.close());
  const received = { metrics: '', older: '', log: '', statsd: '' };
  const peers: (readonly string[])[] = [];
  const receiver = async (
    path: string,
    name: keyof typeof received,
    tlsOptions?: { readonly key: string; readonly cert: string; readonly ca: string },
  ): Promise<string> => {
    const server = createGrpcServer({
      ...(tlsOptions && { tls: tlsOptions }),
      methods: {
        [path]: {
          kind: 'stream',
          handle: async (call) => {
            if (name === 'log') peers.push(call.peer.uris);
            for await (const bytes of call.messages()) received[name] += bytes.toString('latin1');
          },
        },
      },
    });
    const { port: at } = (await server.listen({ host: '127.0.0.1', port: 0 })) as AddressInfo;
    cleanups.push(() => server.close(100));
    return `127.0.0.1:${at}`;
  };
  const partner = loadAuthority(createRootCertificate({ organization: 'partner', now: new Date() }));
  const ofPartner = partner.issueServer({ dnsNames: ['metrics.partner.test'], now: new Date() });
  const ofMesh = istiod.authority.issueServer({ dnsNames: ['logs.mesh.test'], now: new Date() });
  writeFileSync(join(folder, 'partner.pem'), partner.root);
  const metricsPath = '/envoy.service.metrics.v3.MetricsService/StreamMetrics';
  const statsd = createSocket('udp4', (message) => (received.statsd += message.toString()));
  await new Promise<void>((resolve) => statsd.bind(0, '127.0.0.1', resolve));
  cleanups.push(() => void statsd.close());
  const agent = await startAgent(
    istiod,
    {},
    {
      envoyMetricsService: {
        address: await receiver(metricsPath, 'metrics', {
          key: ofPartner.key,
          cert: ofPartner.chain,
          ca: partner.root,
        }),
        tlsSettings: {
          mode: 'SIMPLE',
          caCertificates: join(folder, 'partner.pem'),
          sni: 'metrics.partner.test',
          subjectAltNames: ['metrics.partner.test'],
        },
      },
      envoyAccessLogService: {
        address: await receiver('/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs', 'log', {
          key: ofMesh.key,
          cert: ofMesh.chain,
          ca: istiod.authority.root,
        }),
        tlsSettings: { mode: 'ISTIO_MUTUAL', subjectAltNames: ['logs.mesh.test'] },
        tcpKeepalive: { probes: 3, time: '40s', interval: '5s' },
      },
      statsdUdpAddress: `localhost:${statsd.address().port}`,
    },
    { 'sidecar.istio.io/statsFlushInterval': '100ms' },
  );
  await ready(agent);
  await http(port, '/of-the-log');
  for (const [name, text] of [
    ['metrics', 'cluster_manager'],
    ['log', '/of-the-log'],
    ['statsd', 'envoy.cluster_manager'],
  ] as const)
    await eventually(
      name,
      async () => received[name],
      (all) => all.includes(text),
    );
  assert.deepEqual(peers[0], ['spiffe://cluster.local/ns/shop/sa/cart']);
  const dump = (await http(agent.ports.admin, '/config_dump?resource=static_clusters')).body;
  assert.match(dump, /"keepalive_probes": 3,\s*"keepalive_time": 40,\s*"keepalive_interval": 5/);
  await stop(agent);

  const older = await startAgent(
    istiod,
    {},
    { envoyMetricsServiceAddress: await receiver(metricsPath, 'older') },
    { 'sidecar.istio.io/statsFlushInterval': '100ms' },
  );
  await eventually(
    'metrics at the older address',
    async () => received.older,
    (all) => all.includes('cluster_manager'),
  );
  await stop(older);
});
