import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import type { KubeObject } from '@istio-ts/kube';
import { defaultAfter, type MeshState, withDefault } from './default-revision.ts';
import { readSpec } from './input.ts';
import { generateManifests } from './manifests.ts';
import { owned } from './ownership.ts';
import { revisionTags } from './revision-tag.ts';
import { defaultTag, injectorName, tagWebhook } from './tag-webhook.ts';

const chartsDir = join(import.meta.dirname, '..', '..', '..', 'charts', 'manifests');
const istioNamespace = 'istio-system';

const plane = (revision: string) => ({
  revision,
  namespace: istioNamespace,
  version: '1.30.0',
  deployment: { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: `istiod-${revision}` } },
});
const tagged = (revision: string): KubeObject => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  metadata: { name: 'istio-revision-tag-default', labels: { 'istio.io/tag': 'default', 'istio.io/rev': revision } },
});
const state = (planes: readonly string[], tag?: string): MeshState => ({
  controlPlanes: planes.map(plane),
  defaultTag: tag === undefined ? undefined : tagged(tag),
  injector: undefined,
  namespaceExists: true,
});

test('the first revision is the default one, and the one called default; a chosen one stays while it lives', () => {
  assert.equal(defaultAfter('a', state([])), 'a');
  assert.equal(defaultAfter('b', state(['a'], 'a')), 'a');
  assert.equal(defaultAfter('a', state(['a', 'b'], 'a')), 'a');
  assert.equal(defaultAfter('default', state(['canary'], 'canary')), 'canary');
  // Its control plane is gone: nobody would answer.
  assert.equal(defaultAfter('b', state(['b'], 'a')), 'b');
  // Installed by other means, without a tag.
  assert.equal(defaultAfter('canary', state(['default'])), undefined);
  assert.equal(defaultAfter('default', state(['canary'])), 'default');
});

interface Selector {
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
  readonly matchLabels?: Readonly<Record<string, string>>;
}
interface Webhook {
  readonly name: string;
  readonly clientConfig: { readonly service: { readonly name: string }; readonly caBundle?: string };
  readonly namespaceSelector: Selector;
  readonly objectSelector: Selector;
}

const matches = (selector: Selector, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(selector.matchLabels ?? {}).every(([key, value]) => labels[key] === value) &&
  (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = labels[key];
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value);
      case 'NotIn':
        return value === undefined || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
      default:
        throw new Error(operator);
    }
  });

/** The services that are asked for a pod, one for each webhook that matches. */
const asked = (
  configurations: readonly KubeObject[],
  namespace: Readonly<Record<string, string>>,
  pod: Readonly<Record<string, string>> = {},
): readonly string[] =>
  configurations
    .flatMap((configuration) => (configuration.webhooks ?? []) as readonly Webhook[])
    .filter((webhook) => matches(webhook.namespaceSelector, namespace) && matches(webhook.objectSelector, pod))
    .map(({ clientConfig }) => clientConfig.service.name);

function injectors(revision: string, of: MeshState): readonly KubeObject[] {
  const { spec } = readSpec({
    chartsDir,
    files: [],
    sets: ['profile=minimal'],
    istioNamespace,
    ...(revision !== 'default' && { revision }),
  });
  const manifests = generateManifests(chartsDir, spec).map(({ component, objects }) => ({
    component,
    objects: objects.map((object) => owned(object, component, revision)),
  }));
  return withDefault(manifests, {
    chartsDir,
    revision,
    istioNamespace,
    defaultRevision: defaultAfter(revision, of),
    state: of,
    autoInjectNamespaces: false,
  })
    .flatMap(({ objects }) => objects)
    .filter(({ kind }) => kind === 'MutatingWebhookConfiguration');
}

const choices: readonly (readonly [Readonly<Record<string, string>>, Readonly<Record<string, string>>])[] = [
  [{ 'istio-injection': 'enabled' }, {}],
  [{ 'istio-injection': 'enabled', 'istio.io/rev': 'default' }, {}],
  [{ 'istio.io/rev': 'default' }, {}],
  [{}, { 'sidecar.istio.io/inject': 'true' }],
  [{}, { 'istio.io/rev': 'default' }],
];
const refusals: typeof choices = [
  [{}, {}],
  [{ 'istio-injection': 'disabled', 'istio.io/rev': 'default' }, {}],
  [{ 'istio-injection': 'enabled' }, { 'sidecar.istio.io/inject': 'false' }],
];

test('beside the default tag the revision default asks for no pod itself, so that each pod is injected once', () => {
  const configurations = injectors('default', state([]));
  assert.deepEqual(
    configurations.map(({ metadata }) => metadata.name),
    ['istio-sidecar-injector', 'istio-revision-tag-default'],
  );
  for (const [namespace, pod] of choices)
    assert.deepEqual(asked(configurations, namespace, pod), ['istiod'], JSON.stringify([namespace, pod]));
  for (const [namespace, pod] of refusals) assert.deepEqual(asked(configurations, namespace, pod), []);
});

test('a first named revision answers for its own name and for the default', () => {
  const configurations = injectors('a', state([]));
  for (const [namespace, pod] of choices) assert.deepEqual(asked(configurations, namespace, pod), ['istiod-a']);
  assert.deepEqual(asked(configurations, { 'istio.io/rev': 'a' }), ['istiod-a']);
  assert.deepEqual(asked(configurations, { 'istio.io/rev': 'b' }), []);
});

test('a second revision answers only for its own name', () => {
  const configurations = injectors('b', state(['a'], 'a'));
  for (const [namespace, pod] of choices) assert.deepEqual(asked(configurations, namespace, pod), []);
  assert.deepEqual(asked(configurations, { 'istio.io/rev': 'b' }), ['istiod-b']);
});

test('a tag is what the chart makes of revisionTags, with the CA and the address of its revision', () => {
  const fromChart = generateManifests(
    chartsDir,
    readSpec({
      chartsDir,
      files: [],
      sets: ['profile=minimal', 'values.revisionTags={prod}'],
      revision: 'canary',
      istioNamespace,
    }).spec,
  ).flatMap(({ objects }) => objects);
  const named = (name: string) =>
    fromChart.find(({ kind, metadata }) => kind === 'MutatingWebhookConfiguration' && metadata.name === name);
  const injector = named(injectorName('canary', istioNamespace));
  assert.ok(injector);
  const input = { chartsDir, tag: 'prod', revision: 'canary', istioNamespace, autoInjectNamespaces: false };
  const tag = tagWebhook({ ...input, injector });
  assert.deepEqual(tag.webhooks, named('istio-revision-tag-prod')?.webhooks);
  const [first, ...rest] = injector.webhooks as readonly Webhook[];
  const trusted = {
    ...injector,
    webhooks: [{ ...first, clientConfig: { ...first?.clientConfig, caBundle: 'Q0E=' } }, ...rest],
  };
  for (const { clientConfig } of tagWebhook({ ...input, injector: trusted }).webhooks as readonly Webhook[])
    assert.equal(clientConfig.caBundle, 'Q0E=');
  const all = tagWebhook({ ...input, tag: defaultTag, injector, autoInjectNamespaces: true });
  assert.deepEqual(asked([all], { 'kubernetes.io/metadata.name': 'shop' }), ['istiod-canary']);
  assert.deepEqual(asked([all], { 'kubernetes.io/metadata.name': 'kube-system' }), []);
});

test('namespaces belong to the tag that injects them', () => {
  const namespace = (name: string, labels: Readonly<Record<string, string>>): KubeObject => ({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels },
  });
  const prod: KubeObject = { ...tagged('b'), metadata: { labels: { 'istio.io/tag': 'prod', 'istio.io/rev': 'b' } } };
  assert.deepEqual(
    revisionTags(
      [prod, tagged('a')],
      [
        namespace('shop', { 'istio.io/rev': 'prod' }),
        namespace('bank', { 'istio-injection': 'enabled', 'istio.io/rev': 'prod' }),
        namespace('off', { 'istio-injection': 'disabled', 'istio.io/rev': 'prod' }),
        namespace('plain', {}),
      ],
    ),
    [
      { tag: 'default', revision: 'a', namespaces: ['bank'] },
      { tag: 'prod', revision: 'b', namespaces: ['shop'] },
    ],
  );
});
