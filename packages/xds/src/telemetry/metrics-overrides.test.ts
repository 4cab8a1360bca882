import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { STANDARD_METRICS } from '@istio-ts/mesh/telemetry-metrics';
import { proves } from '../field-proof.ts';
import type { OfflineEnvoy } from '../testing/offline-envoy.ts';
import {
  CLIENT,
  MESH,
  type MetricsLab,
  names,
  SERVER,
  SOURCE,
  sample,
  startMetricsLab,
  telemetry,
} from './metrics.test-support.ts';

/** What Telemetries change of the standard metrics of a real Envoy. */

let lab: MetricsLab;
before(async () => {
  lab = await startMetricsLab();
});
after(() => lab?.close());

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
    ...lab.services(),
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
  objects: Parameters<MetricsLab['withSidecar']>[0]['objects'],
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
  const objects = [...lab.services(), telemetry('each', 'default', [{ overrides }])];
  await lab.withSidecar({ mesh: MESH, objects, more: { captured: { inbound: lab.own } } }, async (envoy) => {
    await lab.toWeb('/');
    await lab.messages(1);
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
