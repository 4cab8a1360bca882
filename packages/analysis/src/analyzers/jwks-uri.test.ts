import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findings } from '../analysis.test-support.ts';
import { jwksUri } from './jwks-uri.ts';

const istiod = (env: string) =>
  `apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod, namespace: istio-system, labels: {app: istiod}}\nspec: {template: {spec: {containers: [{name: discovery, env: [${env}]}]}}}\n---\n`;
const policy = (rule: string) =>
  `apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: jwt}\nspec: {jwtRules: [{issuer: a, ${rule}}]}\n---\n`;

test('keys from a URL, with and without a list of blocked addresses', () => {
  const fetches = policy('jwksUri: "https://example.com/keys"');
  assert.deepEqual(findings(jwksUri, istiod('') + fetches), ['IST0175 Deployment istio-system/istiod']);
  assert.deepEqual(findings(jwksUri, istiod('{name: BLOCKED_CIDRS_IN_JWKS_URIS, value: 10.0.0.0/8}') + fetches), []);
  assert.deepEqual(findings(jwksUri, istiod('') + policy('jwks: "{}"')), []);
  assert.deepEqual(findings(jwksUri, fetches), []);
  const discovered = (issuer: string) =>
    findings(jwksUri, istiod('') + policy('').replace('issuer: a, ', `issuer: "${issuer}"`));
  assert.deepEqual(discovered('https://idp.example.com'), ['IST0175 Deployment istio-system/istiod']);
  assert.deepEqual(discovered('somebody'), []);
});
