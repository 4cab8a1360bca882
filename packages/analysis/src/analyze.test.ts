import assert from 'node:assert/strict';
import { test } from 'node:test';
import { analyze } from './analyze.ts';
import { clusterObjects, findings, messagesOf } from './analysis.test-support.ts';
import { schemaValidation } from './analyzers/schema-validation.ts';
import { readManifestText } from './manifest-text.ts';
import { messageJson } from './message.ts';
import { messageTypes } from './message-types.ts';
import { createSnapshot } from './snapshot.ts';
import { isSuppressed, parseSuppression } from './suppression.ts';

const broken = `
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: reviews
spec:
  hosts: [reviews]
  http:
  - route:
    - destination:
        host: reviews
      weight: fifty
    timeoutt: 3s
---
apiVersion: v1
kind: List
items:
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: first, namespace: shop}
  spec: {host: reviews}
- apiVersion: networking.istio.io/v1
  kind: DestinationRule
  metadata: {name: second, namespace: shop}
  spec:
    host: reviews
    trafficPolicy:
      tls:
        mode: SOMETIMES
`;

test('schema problems carry the file and the line of the field', () => {
  const messages = messagesOf(schemaValidation, broken);
  assert.deepEqual(
    messages.map(({ code, object, path, line }) => [code, object?.namespace, object?.name, path, line]),
    [
      ['IST0106', 'default', 'reviews', 'spec.http[0].route[0].weight', 12],
      ['IST0106', 'default', 'reviews', 'spec.http[0].timeoutt', 13],
      ['IST0106', 'shop', 'second', 'spec.trafficPolicy.tls.mode', 29],
    ],
  );
  const [first] = messages;
  assert.ok(first);
  assert.equal(messageJson(first).reference, 'test.yaml:12');
  assert.equal(messageJson(first).origin, 'VirtualService default/reviews');
  assert.match(messageJson(first).documentationUrl ?? '', /analysis\/ist0106\/$/);
});

test('a document that cannot be read does not hide the others', () => {
  const { objects, problems } = readManifestText(
    'a: [\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n---\nb: c\n',
    'f.yaml',
  );
  assert.deepEqual(
    objects.map(({ object, source }) => [object.metadata.name, source.line]),
    [['p', 3]],
  );
  assert.deepEqual(
    problems.map(({ line }) => line),
    [2, 7],
  );
});

test('an object of a file replaces the one of the cluster', () => {
  const cluster = clusterObjects(broken);
  const fixed = broken.replace('fifty', '50').replace('timeoutt', 'timeout').replace('SOMETIMES', 'DISABLE');
  const codes = (files: string) =>
    findings(schemaValidation, files, {
      clusters: [{ cluster: 'Kubernetes', objects: cluster }],
      defaultNamespace: 'default',
    });
  assert.equal(codes('').length, 3);
  assert.deepEqual(codes(fixed), []);
});

test('an analyzer that throws is a message and does not stop the others', () => {
  const bad = {
    name: 'bad',
    description: '',
    inputs: [],
    run: () => {
      throw new Error('boom');
    },
  };
  const messages = messagesOf([bad, schemaValidation], broken);
  assert.equal(messages.length, 4);
  assert.equal(messages.find(({ code }) => code === 'IST0001')?.text.includes('boom'), true);
});

test('suppression by flag, by pattern and by annotation', () => {
  const [message] = messagesOf(schemaValidation, broken);
  assert.ok(message);
  const suppressed = (text: string) => {
    const rule = parseSuppression(text);
    assert.ok(rule);
    return isSuppressed(message, [rule]);
  };
  assert.equal(suppressed('IST0106=VirtualService reviews.default'), true);
  assert.equal(suppressed('IST0106=VirtualService *.default'), true);
  assert.equal(suppressed('IST0106=* *'), true);
  assert.equal(suppressed('IST0106=VirtualService reviews.shop'), false);
  assert.equal(suppressed('IST0107=VirtualService reviews.default'), false);
  assert.equal(parseSuppression('IST0106'), undefined);
  const annotated = broken.replace(
    'name: reviews',
    'name: reviews\n  annotations: {galley.istio.io/analyze-suppress: "IST0106"}',
  );
  assert.deepEqual(findings(schemaValidation, annotated), [
    'IST0106 DestinationRule shop/second spec.trafficPolicy.tls.mode',
  ]);
});

test("objects of another revision are not this istiod's", () => {
  const other = broken.replace('name: reviews', 'name: reviews\n  labels: {istio.io/rev: canary}');
  assert.equal(findings(schemaValidation, other).length, 1);
  assert.equal(findings(schemaValidation, other, { revision: 'canary' }).length, 3);
});

test('what the user may not list is said', () => {
  const snapshot = createSnapshot({
    files: [],
    clusters: [{ cluster: 'c', objects: [], forbidden: [{ resource: 'secrets', error: 'no' }] }],
    revision: 'default',
    istioNamespace: 'istio-system',
    defaultNamespace: 'default',
  });
  assert.deepEqual(
    analyze(snapshot, { analyzers: [] }).map(({ code }) => code),
    ['IST0141'],
  );
});

test('every code is unique', () => {
  const codes = Object.values(messageTypes).map(({ code }) => code);
  assert.equal(new Set(codes).size, codes.length);
});

test('an analyzer that cannot see all of its kinds is left out, one that looks at each object alone is not', () => {
  const forbidden = [{ kind: 'Service' as const, resource: 'services', error: 'no' }];
  const objects = clusterObjects(broken);
  const missing = { name: 'x', description: '', inputs: ['Service'] as const, run: () => assert.fail('must not run') };
  const inputs = ['Service', ...schemaValidation.inputs] as const;
  const codes = findings([missing, { ...schemaValidation, inputs }], '', {
    clusters: [{ cluster: 'c', objects, forbidden }],
  });
  assert.ok(codes.includes('IST0141'));
  assert.equal(codes.length, 4);
});
