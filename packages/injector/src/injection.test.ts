import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { readYaml, writeYaml } from '@istio-ts/gotemplate';
import type { KubeObject } from '@istio-ts/kube/object';
import { InjectionError } from './errors.ts';
import { injectPod, type InjectionInput } from './inject.ts';
import { applyPatch, chartInput } from './injection.test-support.ts';
import type { JsonObject } from './json.ts';
import { jsonPatch } from './json-patch.ts';
import { injectObject } from './objects.ts';

const input = chartInput();

for (const file of globSync(join(import.meta.dirname, 'testdata', '*.in.yaml'))) {
  const name = basename(file, '.in.yaml');
  test(`injection: ${name}`, () => {
    const object = readYaml(readFileSync(file, 'utf8')) as KubeObject;
    const result = injectObject(object, input);
    const expected = file.replace(/\.in\.yaml$/, '.out.yaml');
    const actual = writeYaml(result.object);
    if (process.env.UPDATE_GOLDENS === '1') writeFileSync(expected, actual);
    assert.equal(
      actual,
      readFileSync(expected, 'utf8'),
      `run UPDATE_GOLDENS=1 node --test ${import.meta.filename} if this is meant`,
    );
    assert.equal(writeYaml(injectObject(result.object, input).object), actual, 'injecting again changes nothing');
  });
}

function pod(changes: { readonly metadata?: JsonObject; readonly spec?: JsonObject } = {}): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', ...changes.metadata },
    spec: { containers: [{ name: 'app', image: 'app' }], ...changes.spec },
  };
}

function inject(changes: Parameters<typeof pod>[0], more: Partial<InjectionInput> = {}) {
  return injectPod({ ...input, pod: pod(changes), ...more });
}

test('the patch turns the pod that came in into the injected one', () => {
  for (const changes of [
    {},
    {
      metadata: {
        annotations: { 'proxy.istio.io/config': 'holdApplicationUntilProxyStarts: true' },
        labels: { 'a/b~c': 'd' },
      },
    },
    { spec: { initContainers: [{ name: 'first', image: 'i' }] } },
  ]) {
    const result = inject(changes);
    assert.ok(result.injected);
    assert.deepEqual(applyPatch(pod(changes), result.patch), JSON.parse(JSON.stringify(result.pod)));
  }
  assert.deepEqual(applyPatch({ a: [1, 2, 3] }, jsonPatch({ a: [1, 2, 3] }, { a: [1] })), { a: [1] });
});

test('who is injected', () => {
  const cases: readonly [Parameters<typeof pod>[0], Partial<InjectionInput>, boolean][] = [
    [{}, {}, true],
    [{ spec: { hostNetwork: true } }, {}, false],
    [{}, { namespace: 'kube-system' }, false],
    [{ metadata: { annotations: { 'sidecar.istio.io/inject': 'false' } } }, {}, false],
    [{ metadata: { labels: { 'sidecar.istio.io/inject': 'no' } } }, {}, false],
    [
      {
        metadata: {
          labels: { 'sidecar.istio.io/inject': 'true' },
          annotations: { 'sidecar.istio.io/inject': 'false' },
        },
      },
      {},
      true,
    ],
    [{}, { config: { ...input.config, policy: 'disabled' } }, false],
    [
      { metadata: { labels: { 'sidecar.istio.io/inject': 'true' } } },
      { config: { ...input.config, policy: 'disabled' } },
      true,
    ],
    [
      { metadata: { labels: { job: 'x' } } },
      {
        config: {
          ...input.config,
          neverInjectSelector: [
            { matchLabels: {}, matchExpressions: [{ key: 'job', operator: 'Exists', values: [] }] },
          ],
        },
      },
      false,
    ],
    [
      { metadata: { labels: { job: 'x' } } },
      {
        config: {
          ...input.config,
          policy: 'disabled',
          alwaysInjectSelector: [{ matchLabels: { job: 'x' }, matchExpressions: [] }],
        },
      },
      true,
    ],
  ];
  for (const [changes, more, expected] of cases)
    assert.equal(inject(changes, more).injected, expected, JSON.stringify([changes, Object.keys(more)]));
});

test('cluster and network of the webhook’s path reach the proxy', () => {
  const result = inject({}, { cluster: 'east', network: 'n1' });
  assert.ok(result.injected);
  const text = JSON.stringify(result.pod);
  assert.match(text, /"ISTIO_META_CLUSTER_ID","value":"east"/);
  assert.match(text, /"ISTIO_META_NETWORK","value":"n1"/);
});

test('mistakes name the pod and the field', () => {
  const failing = (annotations: Record<string, string>, message: RegExp) =>
    assert.throws(
      () => inject({ metadata: { annotations } }),
      (error: unknown) => error instanceof InjectionError && message.test(error.message),
    );
  failing(
    { 'inject.istio.io/templates': 'nope' },
    /pod default\/p: annotation inject\.istio\.io\/templates: there is no template "nope"; there are gateway, grpc-agent/,
  );
  failing({ 'proxy.istio.io/config': 'concurrency: many' }, /pod default\/p: proxy configuration concurrency: /);
  failing({ 'proxy.istio.io/config': '[' }, /annotation proxy\.istio\.io\/config/);
  failing({ 'status.sidecar.istio.io/port': 'x' }, /"x" is not a port/);
  failing({ 'sidecar.istio.io/userVolume': '{' }, /annotation sidecar\.istio\.io\/userVolume: not JSON/);
});

test('a template written for Go’s structs works', () => {
  const config = {
    ...input.config,
    templates: {
      ...input.config.templates,
      own: 'metadata:\n  annotations:\n    names: "{{ range .Spec.Containers }}{{ .Name }}{{ range .Ports }}:{{ .ContainerPort }}{{ end }} {{ end }}"\n    port: {{ .ProxyConfig.StatusPort | quote }}\n    app: {{ index .ObjectMeta.Labels "app" | quote }}\n',
    },
  };
  const result = inject(
    {
      metadata: { labels: { app: 'x' }, annotations: { 'inject.istio.io/templates': 'own' } },
      spec: { containers: [{ name: 'a', ports: [{ containerPort: 80 }] }] },
    },
    { config },
  );
  assert.ok(result.injected);
  const annotations = (result.pod.metadata as JsonObject).annotations as JsonObject;
  assert.deepEqual([annotations.names, annotations.port, annotations.app], ['a:80 ', '15020', 'x']);
});
