import assert from 'node:assert/strict';
import { createServer as createHttp2Server } from 'node:http2';
import { after, before, test } from 'node:test';
import type { AccessLogRecord } from '@istio-ts/telemetry/access-log-service/entries';
import { startAccessLogService } from '@istio-ts/telemetry/access-log-service/server';
import type { OtelRecord } from '@istio-ts/telemetry/otel-logs/records';
import { startOtelLogs } from '@istio-ts/telemetry/otel-logs/server';
import { proves } from '../field-proof.ts';
import { selfSigned, signedBy } from '../testing/certificate.ts';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { loopbackApp, ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { tlsGet } from '../testing/tls-client.ts';
import { type AccessLogLab, named, startAccessLogLab, telemetry, WEB_PORT } from './access-log.test-support.ts';

/** Each provider of access logs in a real Envoy, in files and at receivers, field by field against requests that are known. */

const PORT = WEB_PORT;
const closing: (() => unknown)[] = [];
const entries: AccessLogRecord[] = [];
const records: OtelRecord[] = [];
let lab: AccessLogLab;

before(async () => {
  lab = await startAccessLogLab();
  const { net } = lab;
  const trailers = createHttp2Server();
  trailers.on('stream', (stream) => {
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'x-answer': 'yes' },
      { waitForTrailers: true },
    );
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0', 'x-last': 'words' }));
    stream.end('12345');
  });
  await new Promise<void>((resolve) => trailers.listen(ORIGIN_PORT, net.ip(4), resolve));
  const als = await startAccessLogService({
    host: net.ip(5),
    port: ORIGIN_PORT,
    receive: (record) => void entries.push(record),
  });
  const otel = await startOtelLogs({ host: net.ip(6), port: ORIGIN_PORT, receive: (record) => records.push(record) });
  closing.push(
    () => trailers.close(),
    () => als.close(),
    () => otel.close(),
    () => lab.close(),
  );
});

after(async () => {
  for (const close of closing) await close();
});

const receivers = () => [
  ...loopbackApp(lab.net, 'trailers', { last: 33, port: PORT + 2, protocol: 'grpc' }, [{ last: 4 }]),
  ...loopbackApp(lab.net, 'als', { last: 34, port: PORT + 3, protocol: 'grpc', namespace: 'logs' }, [{ last: 5 }]),
  ...loopbackApp(lab.net, 'otel', { last: 35, port: PORT + 4, protocol: 'grpc', namespace: 'logs' }, [{ last: 6 }]),
];

test('files: own text, labels as nested JSON, without empty values, Istio’s own formats', async () => {
  proves('Telemetry.spec.accessLogging[].providers[].name', 'MeshConfig.extensionProviders[].envoyFileAccessLog');
  const labels = {
    what: { path: '%REQ(:PATH)%', code: '%RESPONSE_CODE%', plain: 'text' },
    nothing: '%REQ(X-NOT-THERE)%',
  };
  const providers = [
    {
      name: 'text',
      envoyFileAccessLog: {
        path: lab.file('text'),
        logFormat: {
          text: '%REQ(:METHOD)% %REQ_WITHOUT_QUERY(:PATH)% %CEL(response.code)% %METADATA(CLUSTER:istio:services)% %UPSTREAM_CLUSTER_RAW%',
        },
      },
    },
    { name: 'labels', envoyFileAccessLog: { path: lab.file('labels'), logFormat: { labels } } },
    { name: 'omit', envoyFileAccessLog: { path: lab.file('omit'), logFormat: { labels }, omitEmptyValues: true } },
    { name: 'plain', envoyFileAccessLog: { path: lab.file('plain') } },
    { name: 'json', envoyFileAccessLog: { path: lab.file('json'), logFormat: { labels: {} } } },
  ];
  const wanted = telemetry([named('text', 'labels', 'omit', 'plain', 'json')]);
  await lab.withSidecar({ mesh: { extensionProviders: providers }, objects: [wanted] }, async () => {
    await lab.toWeb('/status/418?secret=1', { 'user-agent': 'known' });
    assert.deepEqual(await lab.lines('text', 1), [
      'GET /status/418 418 [{"host":"web.default.svc.cluster.local","name":"web","namespace":"default"}] outbound|9710||web.default.svc.cluster.local',
    ]);
    const of = async (name: string): Promise<unknown> => JSON.parse((await lab.lines(name, 1))[0] ?? '');
    const what = { path: '/status/418?secret=1', code: 418, plain: 'text' };
    assert.deepEqual(await of('labels'), { what, nothing: null });
    assert.deepEqual(await of('omit'), { what });
    assert.match(
      (await lab.lines('plain', 1))[0] ?? '',
      /^\[20.*Z\] "GET \/status\/418\?secret=1 HTTP\/1\.1" 418 - via_upstream - "-" 0 \d+ \d+ \d+ "-" "known" "[-0-9a-f]{36}" "web" /,
    );
    const all = (await of('json')) as Readonly<Record<string, unknown>>;
    assert.deepEqual(
      [all.method, all.response_code, all.user_agent, all.authority, all.upstream_host],
      ['GET', 418, 'known', 'web', `${lab.net.ip(2)}:${ORIGIN_PORT}`],
    );
    // Connections of other protocols have a line each, when they end.
    assert.equal(await lab.exchange('ping'), 'bytes#1:ping');
    const [, tcp] = await lab.lines('text', 2);
    assert.equal(
      tcp,
      '- - - [{"host":"bytes.default.svc.cluster.local","name":"bytes","namespace":"default"}] outbound|9711||bytes.default.svc.cluster.local',
    );
  });
});

test('services by gRPC: requests to the one for HTTP, connections to the one for TCP', async () => {
  proves('MeshConfig.extensionProviders[].envoyHttpAls', 'MeshConfig.extensionProviders[].envoyTcpAls');
  const service = { service: 'logs/als.logs.svc.cluster.local', port: PORT + 3 };
  const providers = [
    {
      name: 'http',
      envoyHttpAls: {
        ...service,
        logName: 'of-requests',
        filterStateObjectsToLog: ['peer.namespace'],
        additionalRequestHeadersToLog: ['x-user'],
        additionalResponseHeadersToLog: ['x-answer'],
        additionalResponseTrailersToLog: ['x-last'],
      },
    },
    {
      name: 'tcp',
      envoyTcpAls: { ...service, logName: 'of-connections', filterStateObjectsToLog: ['peer.namespace'] },
    },
    { name: 'http-plain', envoyHttpAls: service },
    { name: 'tcp-plain', envoyTcpAls: service },
  ];
  const authority = selfSigned('mesh');
  const own = signedBy(authority, 'client', { names: 'URI:spiffe://cluster.local/ns/default/sa/client' });
  const caller = signedBy(authority, 'caller', { names: 'URI:spiffe://cluster.local/ns/callers/sa/caller' });
  await lab.withSidecar(
    {
      mesh: { extensionProviders: providers },
      objects: [...receivers(), telemetry([named('http', 'tcp', 'http-plain', 'tcp-plain')])],
      more: { identity: { certificate: own.certificate, key: own.key, roots: authority.certificate } },
    },
    async () => {
      const entry = <K extends AccessLogRecord['kind']>(kind: K, logName: string, path: string) =>
        eventually(
          () =>
            entries.find(
              (one): one is Extract<AccessLogRecord, { readonly kind: K }> =>
                one.kind === kind &&
                one.logName === logName &&
                (one.kind === 'tcp' || one.entry.request?.path === path),
            ),
          `an entry of ${path} in ${logName}`,
        );
      await lab.toWeb('/status/404', { 'x-user': 'anna' });
      const { entry: failed } = await entry('http', 'of-requests', '/status/404');
      assert.deepEqual(
        [
          failed.request?.requestMethod,
          failed.request?.authority,
          failed.request?.requestHeaders,
          failed.response?.responseCode,
          failed.commonProperties?.upstreamCluster,
          failed.commonProperties?.upstreamRemoteAddress?.socketAddress?.address,
        ],
        ['GET', 'web', { 'x-user': 'anna' }, 404, 'outbound|9710||web.default.svc.cluster.local', lab.net.ip(2)],
      );
      const { entry: bare } = await entry('http', 'http_envoy_accesslog', '/status/404');
      assert.equal(bare.request?.requestHeaders, undefined);
      await call('/with-trailers', {
        address: lab.net.everywhere,
        port: PORT + 2,
        host: 'trailers',
        method: 'POST',
        headers: { 'content-type': 'application/grpc', te: 'trailers' },
      });
      const { entry: called } = await entry('http', 'of-requests', '/with-trailers');
      assert.deepEqual(
        [called.response?.responseHeaders, called.response?.responseTrailers],
        [{ 'x-answer': 'yes' }, { 'x-last': 'words' }],
      );
      // What a proxy learnt of its client's certificate.
      await tlsGet(lab.own.address, lab.own.port, {
        servername: 'client',
        path: '/by-a-peer',
        cert: caller.certificate,
        key: caller.key,
        ALPNProtocols: ['istio'],
      });
      const { entry: peer } = await entry('http', 'of-requests', '/by-a-peer');
      assert.ok(JSON.stringify(peer.commonProperties?.filterStateObjects).includes('peer.namespace'));
      await lab.exchange('hello');
      for (const logName of ['of-connections', 'tcp_envoy_accesslog']) {
        const { entry: tcp } = await entry('tcp', logName, '');
        assert.deepEqual(
          [
            tcp.commonProperties?.upstreamCluster,
            String(tcp.connectionProperties?.receivedBytes),
            String(tcp.connectionProperties?.sentBytes),
          ],
          ['outbound|9711||bytes.default.svc.cluster.local', '5', String('bytes#2:hello'.length)],
        );
      }
      // Neither in the other's place.
      assert.deepEqual(
        new Set(entries.map(({ kind, logName }) => `${kind} ${logName}`)),
        new Set(['http of-requests', 'http http_envoy_accesslog', 'tcp of-connections', 'tcp tcp_envoy_accesslog']),
      );
    },
  );
});

test('OpenTelemetry: text is the body, labels are attributes', async () => {
  proves('MeshConfig.extensionProviders[].envoyOtelAls');
  const service = { service: 'otel.logs.svc.cluster.local', port: PORT + 4 };
  const providers = [
    {
      name: 'otel',
      envoyOtelAls: {
        ...service,
        logFormat: {
          text: '%REQ(:METHOD)% %REQ(:PATH)%',
          labels: { code: '%RESPONSE_CODE%', where: { cluster: '%UPSTREAM_CLUSTER_RAW%' }, fixed: 'known' },
        },
      },
    },
    { name: 'otel-plain', envoyOtelAls: { ...service, logName: 'ours' } },
  ];
  await lab.withSidecar(
    { mesh: { extensionProviders: providers }, objects: [...receivers(), telemetry([named('otel', 'otel-plain')])] },
    async () => {
      await lab.toWeb('/status/503');
      const own = await eventually(() => records.find(({ body }) => body === 'GET /status/503'), 'a record');
      assert.deepEqual(own.attributes, {
        code: '503',
        where: { cluster: 'outbound|9710||web.default.svc.cluster.local' },
        fixed: 'known',
      });
      assert.match(own.timeUnixNano, /^\d{19}$/);
      const plain = await eventually(
        () => records.find(({ body }) => String(body).startsWith('[')),
        'a record in the default format',
      );
      assert.match(String(plain.body), /^\[20.*Z\] "GET \/status\/503 HTTP\/1\.1" 503 - .* default$/);
      assert.deepEqual(plain.attributes, {});
    },
  );
});
