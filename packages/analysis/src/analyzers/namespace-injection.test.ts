import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { namespaceInjection } from './namespace-injection.ts';

const namespace = (name: string, labels: string) =>
  `apiVersion: v1\nkind: Namespace\nmetadata: {name: ${name}, labels: {${labels}}}\n---\n`;

test('a namespace without a label is reported, one with any decision is not', () => {
  const yaml =
    namespace('silent', '') +
    namespace('on', 'istio-injection: enabled') +
    namespace('off', 'istio-injection: disabled') +
    namespace('canary', 'istio.io/rev: canary') +
    namespace('ambient', 'istio.io/dataplane-mode: ambient') +
    namespace('istio-system', '') +
    namespace('kube-system', '');
  assert.deepEqual(findings(namespaceInjection, yaml), ['IST0102 Namespace silent']);
});

test('two labels that decide are one too many', () => {
  const yaml = namespace('both', 'istio-injection: enabled, istio.io/rev: canary');
  assert.deepEqual(findings(namespaceInjection, yaml), ['IST0123 Namespace both metadata.labels']);
});

test('where injection is on for all, a namespace that says nothing is told so', () => {
  const injector =
    'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio-sidecar-injector, namespace: istio-system}\ndata:\n  values: \'{"sidecarInjectorWebhook":{"enableNamespacesByDefault":true}}\'\n---\n';
  assert.deepEqual(findings(namespaceInjection, injector + namespace('silent', '')), ['IST0148 Namespace silent']);
});
