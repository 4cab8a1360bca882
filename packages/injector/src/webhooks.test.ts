import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { provesAnnotations } from '@istio-ts/xds/field-proof';
import { loadChart, renderChart, type Values } from '@istio-ts/charts';
import { decideInjection } from './decide.ts';
import { chartConfig, podWith } from './injection.test-support.ts';
import type { JsonObject } from './json.ts';
import { injectionPath, judgeWebhooks, placeFromPath } from './webhooks.ts';

const chart = loadChart(join(import.meta.dirname, '..', '..', 'charts', 'manifests', 'istiod'));

function webhooks(values: Values = {}): readonly JsonObject[] {
  const { manifests } = renderChart(chart, { values, release: { name: 'istio', namespace: 'istio-system' } });
  return manifests
    .map(({ object }) => object as unknown as JsonObject)
    .filter(({ kind }) => kind === 'MutatingWebhookConfiguration');
}

const usual = webhooks();
const canary = webhooks({ revision: 'canary', revisionTags: ['prod'] });
const everywhere = webhooks({ sidecarInjectorWebhook: { enableNamespacesByDefault: true } });

/** Which webhooks take a pod with these labels: `enabled`, `disabled` and revisions on the namespace; true, false and revisions on the pod. */
const ROWS: readonly {
  readonly namespace: JsonObject;
  readonly pod: JsonObject;
  readonly usual: string;
  readonly canary: string;
  readonly everywhere: string;
}[] = [
  { namespace: {}, pod: {}, usual: '', canary: '', everywhere: 'auto' },
  { namespace: {}, pod: { 'sidecar.istio.io/inject': 'true' }, usual: 'object', canary: '', everywhere: 'object' },
  { namespace: {}, pod: { 'sidecar.istio.io/inject': 'false' }, usual: '', canary: '', everywhere: '' },
  { namespace: {}, pod: { 'istio.io/rev': 'default' }, usual: 'rev.object', canary: '', everywhere: 'rev.object' },
  { namespace: {}, pod: { 'istio.io/rev': 'canary' }, usual: '', canary: 'rev.object', everywhere: '' },
  { namespace: {}, pod: { 'istio.io/rev': 'prod' }, usual: '', canary: 'tag rev.object', everywhere: '' },
  {
    namespace: {},
    pod: { 'istio.io/rev': 'canary', 'sidecar.istio.io/inject': 'true' },
    usual: '',
    canary: 'rev.object',
    everywhere: '',
  },
  {
    namespace: {},
    pod: { 'istio.io/rev': 'canary', 'sidecar.istio.io/inject': 'false' },
    usual: '',
    canary: '',
    everywhere: '',
  },
  { namespace: { 'istio-injection': 'enabled' }, pod: {}, usual: 'namespace', canary: '', everywhere: 'namespace' },
  {
    namespace: { 'istio-injection': 'enabled' },
    pod: { 'sidecar.istio.io/inject': 'true' },
    usual: 'namespace',
    canary: '',
    everywhere: 'namespace',
  },
  {
    namespace: { 'istio-injection': 'enabled' },
    pod: { 'sidecar.istio.io/inject': 'false' },
    usual: '',
    canary: '',
    everywhere: '',
  },
  {
    namespace: { 'istio-injection': 'enabled' },
    pod: { 'istio.io/rev': 'canary' },
    usual: 'namespace',
    canary: '',
    everywhere: 'namespace',
  },
  { namespace: { 'istio-injection': 'disabled' }, pod: {}, usual: '', canary: '', everywhere: '' },
  {
    namespace: { 'istio-injection': 'disabled' },
    pod: { 'sidecar.istio.io/inject': 'true' },
    usual: '',
    canary: '',
    everywhere: '',
  },
  {
    namespace: { 'istio-injection': 'disabled' },
    pod: { 'istio.io/rev': 'canary' },
    usual: '',
    canary: '',
    everywhere: '',
  },
  {
    namespace: { 'istio.io/rev': 'default' },
    pod: {},
    usual: 'rev.namespace',
    canary: '',
    everywhere: 'rev.namespace',
  },
  { namespace: { 'istio.io/rev': 'canary' }, pod: {}, usual: '', canary: 'rev.namespace', everywhere: '' },
  { namespace: { 'istio.io/rev': 'prod' }, pod: {}, usual: '', canary: 'tag rev.namespace', everywhere: '' },
  {
    namespace: { 'istio.io/rev': 'canary' },
    pod: { 'sidecar.istio.io/inject': 'true' },
    usual: '',
    canary: 'rev.namespace',
    everywhere: '',
  },
  {
    namespace: { 'istio.io/rev': 'canary' },
    pod: { 'sidecar.istio.io/inject': 'false' },
    usual: '',
    canary: '',
    everywhere: '',
  },
  {
    namespace: { 'istio.io/rev': 'canary' },
    pod: { 'istio.io/rev': 'default' },
    usual: '',
    canary: 'rev.namespace',
    everywhere: '',
  },
  // The older label wins: whoever moves to revisions takes it away.
  {
    namespace: { 'istio-injection': 'enabled', 'istio.io/rev': 'canary' },
    pod: {},
    usual: 'namespace',
    canary: '',
    everywhere: 'namespace',
  },
  {
    namespace: { 'istio-injection': 'disabled', 'istio.io/rev': 'canary' },
    pod: {},
    usual: '',
    canary: '',
    everywhere: '',
  },
  { namespace: { 'kubernetes.io/metadata.name': 'kube-system' }, pod: {}, usual: '', canary: '', everywhere: '' },
];

function takers(configurations: readonly JsonObject[], namespace: JsonObject, pod: JsonObject): string {
  return configurations
    .map((each) => judgeWebhooks(each, namespace as Record<string, string>, pod as Record<string, string>))
    .filter(({ webhook }) => webhook !== undefined)
    .map(
      ({ webhook = '', tag }) =>
        `${tag === undefined ? '' : 'tag '}${webhook.replace('.sidecar-injector.istio.io', '')}`,
    )
    .join(', ');
}

for (const { namespace, pod, ...expected } of ROWS) {
  test(`webhooks for namespace ${JSON.stringify(namespace)} and pod ${JSON.stringify(pod)}`, () => {
    assert.deepEqual(
      {
        usual: takers(usual, namespace, pod),
        canary: takers(canary, namespace, pod),
        everywhere: takers(everywhere, namespace, pod),
      },
      expected,
    );
  });
}

test('the reason names the label that decides', () => {
  const [configuration = {}] = usual;
  const reason = (namespace: Record<string, string>, pod: Record<string, string>) =>
    judgeWebhooks(configuration, namespace, pod).reason;
  assert.equal(reason({ 'istio-injection': 'enabled' }, {}), 'namespace label istio-injection=enabled asks for it');
  assert.equal(
    reason({ 'istio-injection': 'enabled' }, { 'sidecar.istio.io/inject': 'false' }),
    'pod label sidecar.istio.io/inject=false rules it out',
  );
  assert.equal(
    reason({ 'istio-injection': 'disabled' }, { 'sidecar.istio.io/inject': 'true' }),
    'namespace label istio-injection=disabled rules it out',
  );
  assert.match(
    reason({}, {}),
    /^no namespace label istio\.io\/rev=default or .*pod label sidecar\.istio\.io\/inject=true$/,
  );
});

/** The injector's own decision, once it is asked: policy, the pod's label, its annotation, the mesh's selectors. */
test('policy, label, annotation and selectors', () => {
  provesAnnotations('sidecar.istio.io/inject');
  const selecting = [{ matchLabels: { app: 'x' } }];
  const decide = (values: Values, label: string | undefined, annotation: string | undefined, labels: JsonObject = {}) =>
    decideInjection(
      podWith({
        metadata: {
          labels: { ...labels, ...(label === undefined ? {} : { 'sidecar.istio.io/inject': label }) },
          ...(annotation === undefined ? {} : { annotations: { 'sidecar.istio.io/inject': annotation } }),
        },
      }),
      'default',
      chartConfig(values),
    ).inject;
  const enabled: Values = {};
  const disabled: Values = { global: { proxy: { autoInject: 'disabled' } } };
  for (const label of [undefined, 'true', 'false'])
    for (const annotation of [undefined, 'true', 'false']) {
      const said = label ?? annotation;
      assert.equal(decide(enabled, label, annotation), said !== 'false', `enabled ${label} ${annotation}`);
      assert.equal(decide(disabled, label, annotation), said === 'true', `disabled ${label} ${annotation}`);
      const never = { sidecarInjectorWebhook: { neverInjectSelector: selecting } };
      const always = { ...disabled, sidecarInjectorWebhook: { alwaysInjectSelector: selecting } };
      assert.equal(decide(never, label, annotation, { app: 'x' }), said === 'true', `never ${label} ${annotation}`);
      assert.equal(decide(always, label, annotation, { app: 'x' }), said !== 'false', `always ${label} ${annotation}`);
    }
  const both = { sidecarInjectorWebhook: { neverInjectSelector: selecting, alwaysInjectSelector: selecting } };
  assert.equal(decide(both, undefined, undefined, { app: 'x' }), false);
});

test('pods that can never be injected', () => {
  const config = chartConfig();
  const labels = { 'sidecar.istio.io/inject': 'true' };
  for (const namespace of ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'])
    assert.equal(decideInjection(podWith({ metadata: { labels } }), namespace, config).inject, false, namespace);
  assert.equal(
    decideInjection(podWith({ metadata: { labels }, spec: { hostNetwork: true } }), 'default', config).inject,
    false,
  );
});

test('cluster and network in the path of a webhook', () => {
  const [configuration = {}] = webhooks({ istiodRemote: { injectionPath: '/inject/cluster/c1/net/a--slash--b' } });
  assert.deepEqual(placeFromPath(injectionPath(configuration)), { cluster: 'c1', network: 'a/b' });
  const [remote = {}] = webhooks({ istiodRemote: { injectionURL: 'https://istiod.example:15017/inject/net/n2' } });
  assert.deepEqual(placeFromPath(injectionPath(remote)), { network: 'n2' });
});
