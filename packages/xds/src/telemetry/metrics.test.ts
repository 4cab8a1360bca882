import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { STANDARD_METRICS } from '@istio-ts/mesh/telemetry-metrics';
import { proves } from '../field-proof.ts';
import { eventually } from '../testing/envoy.ts';
import { call } from '../testing/http-call.ts';
import { type Sample, samples, scrape } from '../testing/metrics.ts';
import { istioObject } from '../testing/objects.ts';
import { loopbackApp, type OfflineEnvoy, ORIGIN_PORT } from '../testing/offline-envoy.ts';
import { type AccessLogLab, BYTES_PORT, startAccessLogLab, WEB_PORT } from './access-log.test-support.ts';

/** Istio's standard metrics of one sidecar in a real Envoy, label by label, and what Telemetries change of them. */

const GRPC_PORT = WEB_PORT + 5;
const GONE_PORT = WEB_PORT + 6;
const MESH = { defaultProviders: { metrics: ['prometheus'] } };
const closing: (() => unknown)[] = [];
let lab: AccessLogLab;

/** A gRPC server: answers every message of a stream with two, and then with the status in `x-status`. */
function grpcServer() {
  const server = createHttp2Server();
  server.on('stream', (stream, headers) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(headers['x-status'] ?? '0') }));
    stream.on('data', (data: Buffer) => {
      stream.write(data);
      stream.write(data);
    });
    stream.on('end', () => stream.end());
  });
  return server;
}

before(async () => {
  lab = await startAccessLogLab();
  const grpc = grpcServer();
  await new Promise<void>((resolve) => grpc.listen(ORIGIN_PORT, lab.net.ip(4), resolve));
  closing.push(
    () => grpc.close(),
    () => lab.close(),
  );
});

after(async () => {
  for (const close of closing) await close();
});

const services = () => [
  ...loopbackApp(lab.net, 'messages', { last: 33, port: GRPC_PORT, protocol: 'grpc' }, [{ last: 4 }]),
  ...loopbackApp(lab.net, 'gone', { last: 34, port: GONE_PORT, protocol: 'http' }, [{ last: 5 }]),
];

const telemetry = (
  name: string,
  namespace: string,
  metrics: readonly object[],
  more: object = {},
  createdAt?: string,
) => istioObject('Telemetry', { name, namespace, ...(createdAt && { createdAt }) }, { ...more, metrics });

/** The first sample with this name and these labels, once there is one. */
const sample = (envoy: OfflineEnvoy, name: string, wanted: Readonly<Record<string, string>>): Promise<Sample> =>
  eventually(
    async () =>
      samples(await scrape(envoy)).find(
        (one) => one.name === name && Object.entries(wanted).every(([label, value]) => one.labels[label] === value),
      ),
    `${name} with ${JSON.stringify(wanted)}`,
  );

const names = async (envoy: OfflineEnvoy, reporter: string): Promise<readonly string[]> => [
  ...new Set(
    samples(await scrape(envoy))
      .filter(({ name, labels }) => name.startsWith('istio_') && labels.reporter === reporter)
      .map(({ name }) => name.replace(/_(bucket|sum|count)$/, '')),
  ),
];

/** Sends messages of gRPC in one stream and gives the number that came back. */
function messages(count: number, headers: Readonly<Record<string, string>> = {}): Promise<number> {
  const session = connectHttp2(`http://${lab.net.everywhere}:${GRPC_PORT}`);
  const stream = session.request({
    ':method': 'POST',
    ':path': '/pkg.Service/Method',
    ':authority': 'messages',
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  const message = Buffer.from([0, 0, 0, 0, 2, 7, 7]);
  for (let i = 0; i < count; i++) stream.write(message);
  stream.end();
  let bytes = 0;
  return new Promise((resolve, reject) => {
    stream.on('data', (data: Buffer) => {
      bytes += data.length;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      session.close();
      resolve(bytes / message.length);
    });
  });
}

const CLIENT = {
  source_workload: 'client',
  source_workload_namespace: 'default',
  source_app: 'client',
  source_version: 'unknown',
  source_canonical_service: 'client',
  source_canonical_revision: 'latest',
  source_cluster: 'Kubernetes',
};
const SERVER = (name: string) => ({
  destination_workload: `${name}-0`,
  destination_workload_namespace: 'default',
  destination_app: name,
  destination_version: 'unknown',
  destination_canonical_service: name,
  destination_canonical_revision: 'latest',
  destination_cluster: 'Kubernetes',
  destination_service: `${name}.default.svc.cluster.local`,
  destination_service_name: name,
  destination_service_namespace: 'default',
});
const NOBODY = (side: string) => ({
  [`${side}_workload`]: 'unknown',
  [`${side}_workload_namespace`]: 'unknown',
  [`${side}_app`]: 'unknown',
  [`${side}_version`]: 'unknown',
  [`${side}_canonical_service`]: 'unknown',
  [`${side}_canonical_revision`]: 'latest',
  [`${side}_cluster`]: 'unknown',
});
const PLAIN = { source_principal: 'unknown', destination_principal: 'unknown' };
const SOURCE = { reporter: 'source', connection_security_policy: 'unknown', ...PLAIN };

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
      objects: services(),
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
        assert.equal(await messages(3, { 'x-status': '5' }), 6);
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

test('overrides add up from mesh to namespace to workload; disabled metrics, changed labels, per side', async () => {
  proves(
    'Telemetry.spec.metrics[].overrides[].match.customMetric',
    'Telemetry.spec.metrics[].overrides[].disabled',
    'Telemetry.spec.metrics[].overrides[].tagOverrides[].operation',
    'Telemetry.spec.metrics[].overrides[].tagOverrides[].operation=UPSERT',
    'Telemetry.spec.metrics[].overrides[].tagOverrides[].operation=REMOVE',
    'Telemetry.spec.metrics[].overrides[].tagOverrides[].value',
    'Telemetry.spec.metrics[].providers[].name',
    'Telemetry.spec.selector.matchLabels',
  );
  const value = (expression: string) => ({ value: expression });
  const objects = [
    ...services(),
    telemetry('mesh-wide', 'istio-system', [
      {
        providers: [{ name: 'prometheus' }],
        overrides: [
          { match: { metric: 'ALL_METRICS' }, tagOverrides: { source_cluster: { operation: 'REMOVE' } } },
          { match: { metric: 'REQUEST_SIZE' }, disabled: true },
          { match: { metric: 'RESPONSE_SIZE' }, disabled: true },
          { match: { customMetric: 'istio_request_duration_milliseconds', mode: 'SERVER' }, disabled: true },
        ],
      },
    ]),
    telemetry('of-namespace', 'default', [
      {
        overrides: [
          { match: { metric: 'RESPONSE_SIZE', mode: 'CLIENT' }, disabled: false },
          { match: { metric: 'TCP_SENT_BYTES' }, disabled: true },
          {
            match: { metric: 'REQUEST_COUNT' },
            tagOverrides: {
              host: value('request.host'),
              user: value("request.headers['x-user']"),
              nobody: value('request.headers["x-not-there"]'),
              fixed: value('\'a "b" 100%\''),
              path: value('request.url_path'),
              kind: value("request.url_path.startsWith('/status/') ? 'status' : 'other'"),
              operation: value(
                "request.method == 'GET' && request.url_path.matches('^/[a-z]+/4.*') ? 'Get4' : 'unknown'",
              ),
              present: value('has(request.referer) ? request.referer : "none"'),
              listed: value('"x-user" in request.headers ? "yes" : "no"'),
              code: value('response.code / 100'),
              app: value("node.metadata['LABELS']['app']"),
              peer: value("upstream_peer.labels['app'].value"),
              peers: value("filter_state.upstream_peer.namespace == 'default' ? upstream_peer.workload : 'x'"),
              request_protocol: { operation: 'REMOVE' },
              destination_cluster: value("'overridden'"),
              later: value("'namespace'"),
            },
          },
        ],
      },
    ]),
    // Younger than that of the namespace: has no effect.
    telemetry(
      'too-late',
      'default',
      [{ overrides: [{ match: { metric: 'ALL_METRICS' }, disabled: true }] }],
      {},
      '2027-01-01T00:00:00Z',
    ),
    telemetry(
      'of-workload',
      'default',
      [{ overrides: [{ match: { metric: 'REQUEST_COUNT' }, tagOverrides: { later: value("'workload'") } }] }],
      { selector: { matchLabels: { app: 'client' } } },
    ),
    telemetry('of-others', 'default', [{ overrides: [{ disabled: true }] }], {
      selector: { matchLabels: { app: 'another' } },
    }),
    telemetry('elsewhere', 'another', [{ overrides: [{ disabled: true }] }]),
  ];
  await withProblems(
    objects,
    ['too-late : has no effect: Telemetry of-namespace is older and has no selector either'],
    async (envoy) => {
      await lab.toWeb('/status/418?q=1', { 'x-user': 'jason' });
      const { labels } = await sample(envoy, 'istio_requests_total', { reporter: 'source' });
      const { source_cluster: _cluster, ...own } = CLIENT;
      assert.deepEqual(labels, {
        ...SOURCE,
        ...own,
        ...SERVER('web'),
        destination_cluster: 'overridden',
        response_code: '418',
        response_flags: '-',
        grpc_response_status: '',
        host: 'web',
        user: 'jason',
        nobody: 'unknown',
        fixed: 'a \\"b\\" 100%',
        path: '/status/418',
        kind: 'status',
        operation: 'Get4',
        present: 'none',
        listed: 'yes',
        code: '4',
        app: 'client',
        peer: 'web',
        peers: 'web-0',
        later: 'workload',
      });
      assert.match(await lab.exchange('ping'), /^bytes#[0-9]:ping$/);
      await sample(envoy, 'istio_tcp_received_bytes_total', { reporter: 'source' });
      assert.deepEqual([...(await names(envoy, 'source'))].sort(), [
        'istio_request_duration_milliseconds',
        'istio_requests_total',
        'istio_response_bytes',
        'istio_tcp_connections_closed_total',
        'istio_tcp_connections_opened_total',
        'istio_tcp_received_bytes_total',
      ]);
      assert.equal((await lab.arriving('/')).status, 200);
      const arrived = await sample(envoy, 'istio_requests_total', { reporter: 'destination' });
      assert.deepEqual(
        [arrived.labels.later, arrived.labels.peer, arrived.labels.source_cluster, arrived.labels.kind],
        ['workload', 'unknown', undefined, 'other'],
      );
      assert.deepEqual(await names(envoy, 'destination'), ['istio_requests_total']);
    },
  );
});

/** A sidecar with objects of which these parts have no effect, as `NAME PATH: MESSAGE`. */
async function withProblems(
  objects: Parameters<AccessLogLab['withSidecar']>[0]['objects'],
  expected: readonly string[],
  work: (envoy: OfflineEnvoy) => Promise<void>,
  mesh: object = MESH,
): Promise<void> {
  const found: string[] = [];
  await lab.withSidecar(
    {
      mesh,
      ...(objects && { objects }),
      more: { tolerate: ({ origin, path, message }) => void found.push(`${origin.name} ${path}: ${message}`) },
    },
    work,
  );
  assert.deepEqual(found, expected);
}

test('what stock Envoy cannot do is said, and the rest has its effect', async () => {
  const bad = (expression: string) => ({ value: expression });
  const objects = [
    telemetry('bad', 'default', [
      {
        providers: [{ name: 'prometheus' }, { name: 'stackdriver' }, { name: 'nothing' }],
        overrides: [
          {
            match: { metric: 'REQUEST_COUNT' },
            tagOverrides: {
              good: bad('request.host'),
              joined: bad("request.host + '/x'"),
              split: bad("request.host.split('.')"),
              text: bad('string(response.code)'),
              walk: bad('request.headers.exists(h, h == "x")'),
              key: bad("has(request.headers['x'])"),
              attribute: bad('api.operation'),
              peer: bad("upstream_peer.labels['tier'].value"),
              'not-a-label': bad('request.host'),
            },
          },
          { match: { customMetric: 'my_metric' }, tagOverrides: { x: bad('request.host') } },
        ],
      },
    ]),
  ];
  const at = 'bad spec.metrics[0].overrides[0].tagOverrides';
  const found: string[] = [];
  await lab.withSidecar(
    {
      mesh: MESH,
      objects,
      more: { tolerate: ({ origin, path, message }) => void found.push(`${origin.name} ${path}: ${message}`) },
    },
    async (envoy) => {
      await lab.toWeb('/');
      const { labels } = await sample(envoy, 'istio_requests_total', { reporter: 'source' });
      assert.equal(labels.good, 'web');
      assert.equal(labels.text, '200');
      for (const name of ['joined', 'split', 'walk', 'key', 'attribute', 'peer', 'not-a-label'])
        assert.equal(labels[name], undefined, name);
    },
  );
  const said = (part: string): string => found.find((line) => line.startsWith(part)) ?? '';
  assert.match(said(`${at}[joined].value`), /does not join strings/);
  assert.match(said(`${at}[split].value`), /no function split/);
  assert.match(said(`${at}[walk].value`), /does not walk lists/);
  assert.match(said(`${at}[key].value`), /"x" in request.headers/);
  assert.match(said(`${at}[attribute].value`), /api is none of Envoy’s attributes/);
  assert.match(said(`${at}[peer].value`), /only .* are known/);
  assert.match(said(`${at}[not-a-label]`), /no name of a label/);
  assert.match(said('bad spec.metrics[0].overrides[1].match.customMetric'), /there is no metric my_metric/);
  assert.match(said('bad spec.metrics[0].providers[1].name'), /only providers of kind prometheus/);
  assert.match(said('bad spec.metrics[0].providers[2].name'), /no extension provider nothing/);
  assert.equal(found.length, 10);
});

test('bytes of connections that stay open are reported at an interval', async () => {
  proves('Telemetry.spec.metrics[].reportingInterval');
  const objects = [telemetry('live', 'default', [{ reportingInterval: '0.2s' }])];
  await lab.withSidecar({ mesh: MESH, objects }, async (envoy) => {
    const socket = connect(BYTES_PORT, lab.net.ip(32), () => socket.write('ping'));
    const value = async (name: string, wanted: number): Promise<Sample> =>
      eventually(
        async () => samples(await scrape(envoy)).find((one) => one.name === name && one.value === wanted),
        `${wanted} of ${name}`,
      );
    const live = await value('istio_tcp_received_bytes_total', 4);
    assert.equal(live.labels.destination_app, 'bytes');
    assert.equal(live.labels.connection, undefined);
    socket.write('more');
    await value('istio_tcp_received_bytes_total', 8);
    assert.ok(!samples(await scrape(envoy)).some(({ name }) => name === 'istio_tcp_connections_closed_total'));
    socket.end();
    await sample(envoy, 'istio_tcp_connections_closed_total', { reporter: 'source' });
    const last = samples(await scrape(envoy)).filter(({ name }) => name === 'istio_tcp_received_bytes_total');
    assert.deepEqual(
      last.map((one) => one.value),
      [8],
    );
  });
});

test('a change is for one metric, or for all, on one side or on both', async () => {
  proves(
    'Telemetry.spec.metrics[].overrides[].match.metric',
    'Telemetry.spec.metrics[].overrides[].match.metric=ALL_METRICS',
    'Telemetry.spec.metrics[].overrides[].match.metric=REQUEST_COUNT',
    'Telemetry.spec.metrics[].overrides[].match.metric=REQUEST_DURATION',
    'Telemetry.spec.metrics[].overrides[].match.metric=REQUEST_SIZE',
    'Telemetry.spec.metrics[].overrides[].match.metric=RESPONSE_SIZE',
    'Telemetry.spec.metrics[].overrides[].match.metric=TCP_OPENED_CONNECTIONS',
    'Telemetry.spec.metrics[].overrides[].match.metric=TCP_CLOSED_CONNECTIONS',
    'Telemetry.spec.metrics[].overrides[].match.metric=TCP_SENT_BYTES',
    'Telemetry.spec.metrics[].overrides[].match.metric=TCP_RECEIVED_BYTES',
    'Telemetry.spec.metrics[].overrides[].match.metric=GRPC_REQUEST_MESSAGES',
    'Telemetry.spec.metrics[].overrides[].match.metric=GRPC_RESPONSE_MESSAGES',
    'Telemetry.spec.metrics[].overrides[].match.mode',
    'Telemetry.spec.metrics[].overrides[].match.mode=CLIENT',
    'Telemetry.spec.metrics[].overrides[].match.mode=SERVER',
    'Telemetry.spec.metrics[].overrides[].match.mode=CLIENT_AND_SERVER',
  );
  const set = (name: string, text: string) => ({ tagOverrides: { [name]: { value: `'${text}'` } } });
  const overrides = [
    ...Object.keys(STANDARD_METRICS).map((metric) => ({ match: { metric }, ...set('own', metric) })),
    { match: { metric: 'ALL_METRICS' }, ...set('everywhere', 'yes') },
    { match: { mode: 'CLIENT' }, ...set('side', 'client') },
    { match: { mode: 'SERVER' }, ...set('side', 'server') },
    { match: { mode: 'CLIENT_AND_SERVER' }, ...set('sides', 'both') },
  ];
  const objects = [...services(), telemetry('each', 'default', [{ overrides }])];
  await lab.withSidecar({ mesh: MESH, objects, more: { captured: { inbound: lab.own } } }, async (envoy) => {
    await lab.toWeb('/');
    await messages(1);
    await lab.exchange('ping');
    assert.equal((await lab.arriving('/')).status, 200);
    const text = (reporter: string) => ({
      everywhere: 'yes',
      sides: 'both',
      side: reporter === 'source' ? 'client' : 'server',
    });
    for (const [metric, name] of Object.entries(STANDARD_METRICS)) {
      const suffix = name.endsWith('_total') ? '' : '_count';
      const found = await sample(envoy, `${name}${suffix}`, { reporter: 'source' });
      const { own, everywhere, sides, side } = found.labels;
      assert.deepEqual({ own, everywhere, sides, side }, { own: metric, ...text('source') }, name);
    }
    const { labels } = await sample(envoy, 'istio_requests_total', { reporter: 'destination' });
    const { own, everywhere, sides, side } = labels;
    assert.deepEqual({ own, everywhere, sides, side }, { own: 'REQUEST_COUNT', ...text('destination') });
  });
});

test('without a provider of metrics there are none; a Telemetry may name one', async () => {
  proves('MeshConfig.defaultProviders.metrics[]', 'MeshConfig.extensionProviders[].prometheus');
  const count = async (objects: readonly ReturnType<typeof telemetry>[], mesh: object): Promise<number> => {
    let found = 0;
    await lab.withSidecar({ mesh, objects }, async (envoy) => {
      await lab.toWeb('/');
      await eventually(
        async () => (await envoy.admin('/stats?filter=downstream_rq_2xx|downstream_rq_completed')) || undefined,
        'statistics',
      );
      found = samples(await scrape(envoy)).filter(({ name }) => name === 'istio_requests_total').length;
    });
    return found;
  };
  assert.equal(await count([], { defaultProviders: {} }), 0);
  assert.equal(await count([telemetry('all-off', 'default', [{ overrides: [{ disabled: true }] }])], MESH), 0);
  const named = [telemetry('named', 'default', [{ providers: [{ name: 'mine' }] }])];
  assert.equal(await count(named, { extensionProviders: [{ name: 'mine', prometheus: {} }] }), 1);
});
