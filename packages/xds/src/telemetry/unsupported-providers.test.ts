import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import { meshTelemetryProblems } from '@istio-ts/mesh/mesh-telemetry-problems';
import { provesRefusal } from '../field-proof.ts';
import { samples, scrape } from '../testing/metrics.ts';
import { istioObject } from '../testing/objects.ts';
import { type AccessLogLab, startAccessLogLab } from './access-log.test-support.ts';

/** Providers of which stock Envoy can make nothing: who names them is told, and proxies serve without them. */

let lab: AccessLogLab;
before(async () => {
  lab = await startAccessLogLab();
});
after(() => lab.close());

const STACKDRIVER = {
  debug: true,
  maxNumberOfAttributes: 1,
  maxNumberOfAnnotations: 2,
  maxNumberOfMessageEvents: 3,
};
const providers = [
  { name: 'gcp', stackdriver: { ...STACKDRIVER, maxTagLength: 4, logging: { labels: { one: 'request.host' } } } },
  {
    name: 'census',
    opencensus: {
      service: 'web.default.svc.cluster.local',
      port: 9710,
      context: ['W3C_TRACE_CONTEXT', 'B3'],
      maxTagLength: 5,
    },
  },
];

/** Asks a sidecar with this mesh configuration and this Telemetry, and gives the problems that its status and the log have. */
async function problemsWith(mesh: object, spec?: Readonly<Record<string, unknown>>): Promise<readonly string[]> {
  const found: string[] = [];
  await lab.withSidecar(
    {
      mesh,
      ...(spec && { objects: [istioObject('Telemetry', { name: 'unsupported' }, spec)] }),
      more: { tolerate: ({ path, message }) => void found.push(`${path}: ${message}`) },
    },
    async (envoy) => {
      assert.equal((await lab.arriving('/')).status, 200);
      const answer = JSON.parse((await lab.toWeb('/')).text) as { readonly headers: Readonly<Record<string, string>> };
      const headers = Object.keys(answer.headers);
      for (const context of ['x-b3-traceid', 'traceparent', 'x-cloud-trace-context', 'grpc-trace-bin'])
        assert.ok(!headers.includes(context), context);
      assert.ok(!samples(await scrape(envoy)).some(({ name }) => name.startsWith('istio_requests')));
    },
  );
  return found;
}

/** What istiod's log and `istioctl analyze` say of a mesh configuration. */
const ofMesh = (mesh: object): readonly string[] => meshTelemetryProblems(decodeMeshConfig(mesh).value);

test('a Telemetry that names Google Cloud or OpenCensus is told so in its status, section by section', async () => {
  provesRefusal('MeshConfig.extensionProviders[].stackdriver', 'MeshConfig.extensionProviders[].opencensus');
  const item = { providers: [{ name: 'gcp' }, { name: 'census' }, { name: 'stackdriver' }] };
  const found = await problemsWith(
    { extensionProviders: providers },
    { metrics: [item], tracing: [item], accessLogging: [item] },
  );
  const kinds = ['gcp is a provider of kind stackdriver', 'census is .* opencensus', 'stackdriver is .* stackdriver'];
  const expected = [
    ...kinds.map(
      (kind, i) => `^spec.metrics.0..providers.${i}..name: ${kind}, to which stock Envoy reports no metrics`,
    ),
    ...kinds.map((kind, i) => `^spec.tracing.0..providers.${i}..name: ${kind}, to which proxies send no spans`),
    ...kinds.map((kind, i) => `^spec.accessLogging.0..providers.${i}..name: ${kind}, to which .* sends no access logs`),
  ];
  assert.equal(found.length, expected.length, found.join('\n'));
  for (const [i, pattern] of expected.entries()) assert.match(found[i] ?? '', new RegExp(pattern));
});

test('the mesh configuration’s own are named with their fields', async () => {
  provesRefusal(
    'MeshConfig.extensionProviders[].stackdriver',
    'MeshConfig.extensionProviders[].opencensus',
    'MeshConfig.defaultConfig.tracing.stackdriver',
    'MeshConfig.defaultConfig.tracing.openCensusAgent',
  );
  const withDefaults = {
    extensionProviders: providers,
    defaultProviders: { metrics: ['gcp'], tracing: ['census'], accessLogging: ['stackdriver'] },
    defaultConfig: { tracing: { stackdriver: STACKDRIVER } },
  };
  const fields = (mesh: object): readonly (string | undefined)[] => ofMesh(mesh).map((one) => one.split(': ')[0]);
  assert.deepEqual(fields(withDefaults), [
    'extensionProviders[name=gcp].stackdriver',
    'extensionProviders[name=census].opencensus',
    'defaultProviders.metrics[0]',
    'defaultProviders.tracing[0]',
    'defaultProviders.accessLogging[0]',
    'defaultConfig.tracing.stackdriver',
  ]);
  await problemsWith(withDefaults);
  const agent = {
    enableTracing: true,
    defaultConfig: {
      tracing: { openCensusAgent: { address: 'census.example:55678', context: ['B3'] }, sampling: 100 },
    },
  };
  assert.deepEqual(fields(agent), ['defaultConfig.tracing.openCensusAgent']);
  await problemsWith(agent);
});

test('what every mesh has, and providers that work, are no problem', () => {
  assert.deepEqual(ofMesh({}), []);
  assert.deepEqual(
    ofMesh({
      extensionProviders: [{ name: 'dd', datadog: { service: 'agent.default.svc.cluster.local', port: 8126 } }],
      defaultProviders: { metrics: ['prometheus'], tracing: ['dd'], accessLogging: ['envoy'] },
    }),
    [],
  );
  const [only, ...more] = ofMesh({ defaultProviders: { tracing: ['nobody'] } });
  assert.match(only ?? '', /^defaultProviders.tracing\[0\]: there is no extension provider nobody/);
  assert.deepEqual(more, []);
});
