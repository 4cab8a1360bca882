import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createRootCertificate } from '@istio-ts/security';
import type { ClusterTrustBundle } from '../controllers/kinds.ts';
import { trustAnchors } from './trust-anchors.ts';

const anchor = (organization: string): string => createRootCertificate({ organization, now: new Date() }).root;
const bundle = (
  name: string,
  labels: Record<string, string>,
  spec: ClusterTrustBundle['spec'],
): ClusterTrustBundle => ({
  apiVersion: 'certificates.k8s.io/v1beta1',
  kind: 'ClusterTrustBundle',
  metadata: { name, labels },
  spec,
});
const [one, two, three] = [anchor('one'), anchor('two'), anchor('three')];
const signerName = 'example.com/ca';
const bundles = [
  bundle('plain', {}, { trustBundle: one }),
  bundle('example.com:ca:a', { live: 'yes' }, { signerName, trustBundle: one + two }),
  bundle('example.com:ca:b', { live: 'yes' }, { signerName, trustBundle: `text\n${two}` }),
  bundle('example.com:ca:c', {}, { signerName, trustBundle: three }),
];
const certificates = (text: string) => text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];

test('a bundle is taken by name, or those of a signer by labels, each anchor once', () => {
  assert.equal(trustAnchors({ name: 'plain', path: 'x' }, bundles), one);
  const live = trustAnchors({ signerName, labelSelector: { matchLabels: { live: 'yes' } }, path: 'x' }, bundles);
  assert.deepEqual([...certificates(live)].sort(), [one, two].sort());
  const all = trustAnchors({ signerName, labelSelector: {}, path: 'x' }, bundles);
  assert.deepEqual([...certificates(all)].sort(), [one, two, three].sort());
});

test('what is not there keeps the pod from starting, unless it is optional', () => {
  assert.throws(() => trustAnchors({ name: 'other', path: 'x' }, bundles), /"other" not found/);
  assert.equal(trustAnchors({ name: 'other', optional: true, path: 'x' }, bundles), '');
  assert.throws(() => trustAnchors({ signerName, path: 'x' }, bundles), /matched zero/);
});
