import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricsRegistry } from '@istio-ts/metrics';
import { createValidationHandler } from './validate.ts';

const review = (object: unknown) => ({
  apiVersion: 'admission.k8s.io/v1',
  kind: 'AdmissionReview',
  request: { uid: 'u', operation: 'CREATE', namespace: 'ns', object },
});
const handle = createValidationHandler(new MetricsRegistry());
const response = (answer: object) =>
  (answer as { response: { uid: string; allowed: boolean; status?: { message: string } } }).response;

test('a valid object passes', () => {
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a' },
    spec: { hosts: ['a'], http: [{ route: [{ destination: { host: 'a' } }] }] },
  };
  assert.equal(response(handle(review(object))).allowed, true);
});

test('an invalid one is refused with object, field and reason', () => {
  const object = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name: 'a' },
    spec: { hosts: ['not a host'], http: [{ route: [{ destination: { host: 'a' } }] }] },
  };
  const { allowed, status } = response(handle(review(object)));
  assert.equal(allowed, false);
  assert.match(status?.message ?? '', /VirtualService ns\/a is invalid: spec\.hosts\[0\]/);
});

test('what is not a review, a deletion and other kinds', () => {
  assert.equal(response(handle({})).allowed, false);
  assert.equal(response(handle(review(null))).allowed, true);
  assert.equal(response(handle(review({ apiVersion: 'v1', kind: 'Pod', metadata: {} }))).allowed, true);
});
