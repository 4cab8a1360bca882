import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeMeshConfig } from '@istio-ts/api';
import type { Span } from '@istio-ts/telemetry/traces/span';
import { proves } from '../field-proof.ts';
import { eventually, freePort } from '../testing/envoy.ts';
import { LoopbackNet } from '../testing/offline-envoy.ts';
import { type Origin, startOrigin } from '../testing/origin.ts';
import { startWorkloads, type Workloads } from '../testing/workloads-envoy.ts';
import { type SpanReceivers, startSpanReceivers } from './tracing.test-support.ts';
import { extensionProviders, TOKEN, tracedWorkloads } from './tracing-workloads.test-support.ts';

/** Each tracing provider in a real Envoy, at real receivers. */

const net = new LoopbackNet();

let app: Origin;
let envoy: Workloads;
let receivers: SpanReceivers;

before(async () => {
  process.env.OTEL_RESOURCE_ATTRIBUTES = 'deployment.environment=tests';
  process.env.TRACED_FROM = 'the environment';
  app = await startOrigin('app', '127.0.0.1', await freePort());
  receivers = await startSpanReceivers(net);
  envoy = await startWorkloads({
    net,
    objects: receivers.objects,
    app: app.port,
    // That of OpenCensus is one.
    expectsProblems: true,
    meshConfig: decodeMeshConfig({ extensionProviders, defaultConfig: { meshId: 'my-mesh' } }).value,
    workloads: tracedWorkloads(net),
  });
});

after(async () => {
  await envoy?.stop();
  await Promise.all([app?.close(), receivers?.close()]);
});

const ask = async (workload: string, path: string, headers: Readonly<Record<string, string>> = {}) => {
  const answer = await envoy.ask(workload, { path, headers });
  assert.equal(answer.status, 200);
  return (JSON.parse(answer.text) as { readonly headers: Readonly<Record<string, string>> }).headers;
};
/** The span of a request to the workload, at a receiver. */
async function spanOf(workload: string, path = `/${workload}`, headers = {}): Promise<Span> {
  await ask(workload, path, headers);
  return receivers.one(path);
}

test('Zipkin: ids of 128 and 64 bits, what the spans say, Istio’s tags', async () => {
  proves(
    'MeshConfig.extensionProviders[].zipkin.service',
    'MeshConfig.extensionProviders[].zipkin.port',
    'MeshConfig.extensionProviders[].zipkin.enable64bitTraceId',
    'Telemetry.spec.tracing[].providers[].name',
    'Telemetry.spec.tracing[].randomSamplingPercentage',
    'MeshConfig.defaultConfig.meshId',
  );
  const span = await spanOf('zipkin', '/zipkin', { 'user-agent': 'a-client' });
  assert.equal(span.format, 'zipkin');
  assert.equal(span.kind, 'server');
  assert.equal(span.traceId.length, 32);
  const { tags } = span;
  assert.deepEqual(
    [tags['http.method'], tags['http.status_code'], tags.component, tags.user_agent, tags.response_flags],
    ['GET', '200', 'proxy', 'a-client', '-'],
  );
  assert.deepEqual(Object.fromEntries(Object.entries(tags).filter(([key]) => key.startsWith('istio.'))), {
    'istio.canonical_revision': 'latest',
    'istio.canonical_service': 'zipkin',
    'istio.cluster_id': 'Kubernetes',
    'istio.mesh_id': 'my-mesh',
    'istio.namespace': 'default',
  });
  assert.match(String(tags['guid:x-request-id']), /^[0-9a-f-]{36}$/);
  assert.equal((await spanOf('zipkin-64')).traceId.length, 16);
});

test('paths in tags are cut', async () => {
  proves(
    'MeshConfig.extensionProviders[].zipkin.maxTagLength',
    'MeshConfig.extensionProviders[].opentelemetry.maxTagLength',
    'MeshConfig.extensionProviders[].datadog.maxTagLength',
    'MeshConfig.extensionProviders[].lightstep.maxTagLength',
  );
  for (const [name, length] of [
    ['zipkin-short', 12],
    ['otel-http', 14],
    ['datadog', 13],
    ['lightstep', 11],
  ] as const) {
    const path = `/cut-of-${name}-and-then-some-more`;
    await ask(name, path);
    await receivers.one(`${name}${path.slice(0, length)}`);
  }
});

test('Zipkin’s requests: path, headers', async () => {
  proves(
    'MeshConfig.extensionProviders[].zipkin.path',
    'MeshConfig.extensionProviders[].zipkin.timeout',
    'MeshConfig.extensionProviders[].zipkin.headers[].name',
    'MeshConfig.extensionProviders[].zipkin.headers[].value',
  );
  await ask('zipkin-capture', '/zipkin-capture');
  const sent = await eventually(
    () => receivers.captured.find(({ body }) => body.includes('/zipkin-capture')),
    'the spans',
  );
  assert.deepEqual([sent.method, sent.path, sent.headers['x-key']], ['POST', '/own/path', TOKEN]);
});

test('OpenTelemetry over gRPC and HTTP, with headers', async () => {
  proves(
    'MeshConfig.extensionProviders[].opentelemetry.service',
    'MeshConfig.extensionProviders[].opentelemetry.port',
    'MeshConfig.extensionProviders[].opentelemetry.grpc.timeout',
    'MeshConfig.extensionProviders[].opentelemetry.grpc.initialMetadata[].name',
    'MeshConfig.extensionProviders[].opentelemetry.grpc.initialMetadata[].value',
    'MeshConfig.extensionProviders[].opentelemetry.http.path',
    'MeshConfig.extensionProviders[].opentelemetry.http.timeout',
    'MeshConfig.extensionProviders[].opentelemetry.http.headers[].name',
    'MeshConfig.extensionProviders[].opentelemetry.http.headers[].value',
    'MeshConfig.defaultConfig.tracingServiceName',
  );
  const grpc = await spanOf('otel-grpc');
  assert.deepEqual([grpc.format, grpc.kind, grpc.service], ['otlp', 'server', 'otel-grpc.default']);
  assert.equal(grpc.tags['istio.canonical_service'], 'otel-grpc');
  assert.ok(receivers.calls.some(({ path, metadata }) => path.includes('TraceService') && metadata['x-key'] === TOKEN));
  assert.equal((await spanOf('otel-http', '/oh')).format, 'otlp');
  await ask('otel-capture', '/otel-capture');
  const sent = await eventually(() => receivers.captured.find(({ path }) => path === '/otlp'), 'the spans');
  assert.equal(sent.headers['x-key'], TOKEN);
  assert.equal((await spanOf('named')).service, 'named');
});

test('OpenTelemetry: resource attributes of the environment and of semantic conventions', async () => {
  proves(
    'MeshConfig.extensionProviders[].opentelemetry.resourceDetectors.environment',
    'MeshConfig.extensionProviders[].opentelemetry.resourceDetectors.dynatrace',
    'MeshConfig.extensionProviders[].opentelemetry.serviceAttributeEnrichment',
  );
  const { processTags, service } = await spanOf('otel-detectors');
  assert.equal(service, 'otel-detectors-0');
  assert.equal(processTags['deployment.environment'], 'tests');
  assert.equal(processTags['service.namespace'], 'default');
  // Without Dynatrace's agent on the machine its detector finds nothing and spans go on.
});

test('OpenTelemetry: Dynatrace’s sampler asks its API and decides by itself', async () => {
  proves(
    'MeshConfig.extensionProviders[].opentelemetry.dynatraceSampler.tenant',
    'MeshConfig.extensionProviders[].opentelemetry.dynatraceSampler.clusterId',
    'MeshConfig.extensionProviders[].opentelemetry.dynatraceSampler.rootSpansPerMinute',
    'MeshConfig.extensionProviders[].opentelemetry.dynatraceSampler.httpService',
  );
  const headers = await ask('otel-dynatrace', '/otel-dynatrace');
  assert.match(headers.tracestate ?? '', /^[0-9a-f]+-7@dt=fw4;/);
  await receivers.one('/otel-dynatrace');
  const asked = await eventually(
    () => receivers.captured.find(({ path }) => path.startsWith('/sampling')),
    'the sampler',
  );
  assert.equal(asked.headers.authorization, TOKEN);
});

test('Datadog, SkyWalking, Lightstep', async () => {
  proves(
    'MeshConfig.extensionProviders[].datadog.service',
    'MeshConfig.extensionProviders[].datadog.port',
    'MeshConfig.extensionProviders[].skywalking.service',
    'MeshConfig.extensionProviders[].skywalking.port',
    'MeshConfig.extensionProviders[].skywalking.accessToken',
    'MeshConfig.extensionProviders[].lightstep.service',
    'MeshConfig.extensionProviders[].lightstep.port',
    'MeshConfig.extensionProviders[].lightstep.accessToken',
  );
  const datadog = await spanOf('datadog');
  assert.deepEqual([datadog.format, datadog.service], ['datadog', 'datadog.default']);
  assert.equal(datadog.tags['istio.canonical_service'], 'datadog');
  const skywalking = await spanOf('skywalking');
  assert.deepEqual([skywalking.format, skywalking.service], ['skywalking', 'skywalking.default']);
  assert.ok(receivers.calls.some(({ metadata }) => metadata.authentication === TOKEN));
  assert.equal((await spanOf('lightstep', '/ls')).service, 'lightstep.default');
  assert.ok(receivers.calls.some(({ metadata }) => metadata['lightstep-access-token'] === TOKEN));
});

test('no spans: no provider, one that Envoy has no tracer for, one whose service nobody has, reporting disabled, the other side', async () => {
  proves(
    'Telemetry.spec.tracing[].disableSpanReporting',
    'Telemetry.spec.tracing[].match.mode',
    'Telemetry.spec.tracing[].match.mode=CLIENT',
    'Telemetry.spec.tracing[].match.mode=SERVER',
    'MeshConfig.enableTracing',
  );
  for (const name of ['untold', 'opencensus', 'nowhere', 'disabled', 'client-only', 'tracing-off']) {
    const headers = await ask(name, `/silent/${name}`);
    assert.equal(headers['x-b3-traceid'], undefined, name);
  }
  await spanOf('server-only');
  await spanOf('zipkin', '/after-the-silent');
  assert.deepEqual(
    receivers.spans().filter(({ tags }) => String(tags['http.url']).includes('/silent/')),
    [],
  );
});

test('custom tags: literal, environment, header, formatter; none of Istio’s', async () => {
  proves(
    'Telemetry.spec.tracing[].match.mode=CLIENT_AND_SERVER',
    'Telemetry.spec.tracing[].customTags[].literal.value',
    'Telemetry.spec.tracing[].customTags[].environment.name',
    'Telemetry.spec.tracing[].customTags[].environment.defaultValue',
    'Telemetry.spec.tracing[].customTags[].header.name',
    'Telemetry.spec.tracing[].customTags[].header.defaultValue',
    'Telemetry.spec.tracing[].customTags[].formatter.value',
    'Telemetry.spec.tracing[].enableIstioTags',
  );
  const { tags } = await spanOf('tags', '/tags', { 'x-user': 'jason' });
  assert.deepEqual(
    ['fixed', 'from-env', 'no-env', 'from-header', 'no-header', 'formatted'].map((key) => tags[key]),
    ['yes', 'the environment', 'default of env', 'jason', 'default of header', 'GET HTTP/1.1'],
  );
  assert.equal(tags['istio.canonical_service'], 'tags');
  const none = await spanOf('no-istio-tags');
  assert.deepEqual(
    Object.keys(none.tags).filter((key) => key.startsWith('istio.')),
    [],
  );
});

const TRACE = '463ac35c9f6413ad48485a3953bb6124';
const PARENT = 'a2fb4a1d1a96d312';

test('context: B3 in several headers and in one, W3C beside B3 and with OpenTelemetry; traces are joined', async () => {
  proves('MeshConfig.extensionProviders[].zipkin.traceContextOption');
  const b3 = { 'x-b3-traceid': TRACE, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1' };
  const multi = await ask('zipkin', '/b3-multi', b3);
  const span = await receivers.one('/b3-multi');
  assert.deepEqual([span.traceId, span.parentId], [TRACE, PARENT]);
  assert.deepEqual([multi['x-b3-traceid'], multi['x-b3-spanid'], multi['x-b3-parentspanid']], [TRACE, span.id, PARENT]);

  await ask('zipkin', '/b3-single', { b3: `${TRACE}-${PARENT}-1` });
  const single = await receivers.one('/b3-single');
  assert.deepEqual([single.traceId, single.parentId], [TRACE, PARENT]);

  // Without B3 headers those of W3C are taken; both go on.
  const traceparent = `00-${TRACE}-${PARENT}-01`;
  const both = await ask('zipkin-w3c', '/w3c', { traceparent });
  const joined = await receivers.one('/w3c');
  assert.deepEqual([joined.traceId, joined.parentId], [TRACE, PARENT]);
  assert.equal(both['x-b3-traceid'], TRACE);
  assert.equal(both.traceparent, `00-${TRACE}-${joined.id}-01`);
  // Without the option the header of W3C means nothing.
  await ask('zipkin', '/not-w3c', { traceparent });
  assert.notEqual((await receivers.one('/not-w3c')).traceId, TRACE);

  const otel = await ask('otel-grpc', '/otel-w3c', { traceparent });
  const otelSpan = await receivers.one('/otel-w3c');
  assert.deepEqual([otelSpan.traceId, otelSpan.parentId], [TRACE, PARENT]);
  assert.equal(otel.traceparent, `00-${TRACE}-${otelSpan.id}-01`);
});

test('a context is not handed on where that is switched off', async () => {
  proves('Telemetry.spec.tracing[].disableContextPropagation');
  const headers = await ask('no-context', '/no-context');
  assert.equal(headers['x-b3-traceid'], undefined);
  await receivers.one('/no-context');
});

test('the request id takes part in the decision, or does not', async () => {
  proves('Telemetry.spec.tracing[].useRequestIdForTraceSampling');
  // The digit after the second hyphen says whether the request was sampled before: 9 is yes, 4 is no (Envoy, x-request-id).
  const id = (digit: number) => ({ 'x-request-id': `6bd2d9a4-0b4f-${digit}c2b-8f6e-2a1d3c5b7e90` });
  assert.equal((await ask('by-id', '/by-id', id(9)))['x-b3-sampled'], '1');
  assert.equal((await ask('by-id', '/never', id(4)))['x-b3-sampled'], '0');
  await receivers.one('/by-id');
  // Without it the tracer decides, which follows the headers of its own context or samples.
  assert.equal((await ask('not-by-id', '/not-by-id', id(4)))['x-b3-sampled'], '1');
  await receivers.one('/not-by-id');
});

test('sampling rates hold', async () => {
  proves('Telemetry.spec.tracing[].randomSamplingPercentage');
  const count = 2000;
  const share = 0.2;
  let sampled = 0;
  for (let from = 0; from < count; from += 50) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask('sampled', '/rate')));
    sampled += answers.filter((headers) => headers['x-b3-sampled'] === '1').length;
  }
  const sigma = Math.sqrt(count * share * (1 - share));
  assert.ok(Math.abs(sampled - count * share) < 5 * sigma, `${sampled} of ${count}`);
  assert.equal((await receivers.of('/rate', sampled)).length, sampled);
});

test('collectors by address: of the mesh’s and of the proxy’s own settings; default providers', async () => {
  proves(
    'MeshConfig.defaultConfig.tracing.zipkin.address',
    'MeshConfig.defaultConfig.tracing.sampling',
    'MeshConfig.defaultConfig.tracing.maxPathTagLength',
    'MeshConfig.defaultConfig.tracing.customTags',
    'MeshConfig.defaultConfig.tracing.datadog.address',
    'MeshConfig.defaultConfig.tracing.lightstep.address',
    'MeshConfig.defaultConfig.tracing.lightstep.accessToken',
    'MeshConfig.defaultConfig.zipkinAddress',
    'MeshConfig.defaultConfig.tracing.enableIstioTags',
    'MeshConfig.defaultProviders.tracing',
    'MeshConfig.enableTracing',
  );
  await ask('by-address', '/by-address', { 'x-user': 'jason' });
  const { tags, format } = await receivers.one('/by-addres');
  assert.deepEqual(
    [format, tags.own, tags.env, tags.header, tags['istio.namespace']],
    ['zipkin', 'mine', 'the environment', 'jason', 'default'],
  );
  const annotated = await spanOf('by-annotation');
  assert.deepEqual([annotated.format, annotated.tags['istio.namespace']], ['datadog', undefined]);
  assert.equal((await spanOf('by-default')).format, 'zipkin');
  assert.equal((await spanOf('lightstep-by-address')).service, 'lightstep-by-address.default');
  assert.ok(receivers.calls.some(({ metadata }) => metadata['lightstep-access-token'] === 'another-token'));
  // One percent is traced where nothing is said: who begins the trace has decided.
  const begun = { 'x-b3-traceid': PARENT, 'x-b3-spanid': PARENT, 'x-b3-sampled': '1' };
  assert.equal((await spanOf('zipkin-address', '/zipkin-address', begun)).traceId, PARENT);
});
