import assert from 'node:assert/strict';
import { test } from 'node:test';
import { provesAnnotations } from '@istio-ts/xds/field-proof';
import fc from 'fast-check';
import { injectPod } from './inject.ts';
import { applyPatch, chartInput } from './injection.test-support.ts';
import type { JsonObject } from './json.ts';

const input = chartInput();
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const port = fc.integer({ min: 1, max: 65535 });
const handler = fc.oneof(
  port.map((number) => ({ httpGet: { path: '/h', port: number } })),
  port.map((number) => ({ tcpSocket: { port: number } })),
  port.map((number) => ({ grpc: { port: number } })),
  fc.constant({ exec: { command: ['true'] } }),
  fc.constant({ httpGet: { port: 'named', scheme: 'HTTPS', httpHeaders: [{ name: 'a', value: 'b' }] } }),
);
const optional = <T>(name: string, value: fc.Arbitrary<T>) =>
  fc.option(value, { nil: undefined }).map((each) => (each === undefined ? {} : { [name]: each }));
const container = (names: fc.Arbitrary<string>): fc.Arbitrary<JsonObject> =>
  fc
    .tuple(
      names,
      optional('readinessProbe', handler),
      optional('livenessProbe', handler),
      optional('startupProbe', handler),
      optional('lifecycle', fc.constant({ preStop: { httpGet: { path: '/stop', port: 80 } } })),
      optional('ports', fc.constant([{ name: 'named', containerPort: 8080 }])),
      optional('env', fc.constant([{ name: 'A', value: 'b' }])),
    )
    .map(
      ([name, ...parts]) =>
        ({ name, image: name === 'istio-proxy' ? 'auto' : 'app', ...Object.assign({}, ...parts) }) as JsonObject,
    );

const annotation = fc.constantFrom<readonly [string, string]>(
  ['sidecar.istio.io/nativeSidecar', 'true'],
  ['sidecar.istio.io/interceptionMode', 'TPROXY'],
  ['sidecar.istio.io/interceptionMode', 'NONE'],
  ['sidecar.istio.io/rewriteAppHTTPProbers', 'false'],
  ['prometheus.istio.io/merge-metrics', 'false'],
  ['prometheus.io/scrape', 'true'],
  ['prometheus.io/port', '9102'],
  ['prometheus.io/path', '/own'],
  ['status.sidecar.istio.io/port', '15025'],
  ['proxy.istio.io/config', 'holdApplicationUntilProxyStarts: true'],
  ['inject.istio.io/templates', 'gateway'],
  ['inject.istio.io/templates', 'grpc-agent'],
  ['inject.istio.io/templates', 'grpc-simple'],
  ['sidecar.istio.io/userVolume', '{"own":{"emptyDir":{}}}'],
  ['sidecar.istio.io/proxyCPU', '10m'],
);
const pods: fc.Arbitrary<JsonObject> = fc
  .record({
    annotations: fc.array(annotation, { maxLength: 5 }).map((pairs) => Object.fromEntries(pairs)),
    apps: fc.uniqueArray(container(fc.constantFrom('app', 'other', 'third')), {
      minLength: 1,
      maxLength: 3,
      selector: ({ name }) => name,
    }),
    proxy: fc.option(container(fc.constant('istio-proxy')), { nil: undefined }),
    inits: fc.uniqueArray(container(fc.constantFrom('first', 'second')), {
      maxLength: 2,
      selector: ({ name }) => name,
    }),
    volumes: fc.constantFrom<readonly JsonObject[]>([], [{ name: 'mine', emptyDir: {} }]),
    security: fc.constantFrom<JsonObject>({}, { fsGroup: 5 }),
  })
  .map(({ annotations, apps, proxy, inits, volumes, security }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', annotations, labels: { app: 'x' } },
    spec: {
      containers: proxy === undefined ? apps : [...apps, proxy],
      ...(inits.length > 0 ? { initContainers: inits } : {}),
      ...(volumes.length > 0 ? { volumes } : {}),
      ...(Object.keys(security).length > 0 ? { securityContext: security } : {}),
    },
  }));

test('injecting again changes nothing, and the patch makes the pod', () => {
  provesAnnotations('sidecar.istio.io/status', 'proxy.istio.io/overrides');
  fc.assert(
    fc.property(pods, (pod) => {
      const once = injectPod({ ...input, pod });
      assert.ok(once.injected);
      assert.deepEqual(applyPatch(pod, once.patch), plain(once.pod));
      const again = injectPod({ ...input, pod: plain(once.pod) as JsonObject });
      assert.ok(again.injected);
      assert.deepEqual(plain(again.pod), plain(once.pod));
      assert.deepEqual(again.patch, []);
    }),
    { numRuns: 300 },
  );
});

test('another injector between two injections keeps its changes', () => {
  const pod: JsonObject = { metadata: { name: 'p' }, spec: { containers: [{ name: 'app', image: 'app' }] } };
  const once = injectPod({ ...input, pod });
  assert.ok(once.injected);
  const changed = structuredClone(once.pod) as { spec: { containers: JsonObject[]; volumes: JsonObject[] } };
  changed.spec.containers.push({
    name: 'late',
    image: 'late',
    ports: [{ containerPort: 9 }],
    livenessProbe: { tcpSocket: { port: 9 } },
  });
  changed.spec.volumes.push({ name: 'late', emptyDir: {} });
  const again = injectPod({ ...input, pod: changed as unknown as JsonObject });
  assert.ok(again.injected);
  const text = JSON.stringify(again.pod);
  assert.match(text, /"ISTIO_META_APP_CONTAINERS","value":"app,late"/);
  assert.match(text, /\/app-health\/late\/livez/);
  assert.match(text, /\{"name":"late","emptyDir":\{\}\}/);
});
