import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messagesOf } from '../analysis.test-support.ts';
import { schemaValidation } from './schema-validation.ts';

test('a wrong policy, and what is in force instead of it where it was never right', () => {
  const run = (kind: string, spec: string) =>
    messagesOf(
      schemaValidation,
      `
---
apiVersion: security.istio.io/v1
kind: ${kind}
metadata: {name: one, namespace: shop}
spec: ${spec}`,
    )
      .filter(({ code }) => code !== 'IST0106')
      .map(({ code, text }) => `${code} ${text.replace(/^.*: /s, '')}`);
  assert.deepEqual(run('AuthorizationPolicy', '{action: DENY, rules: [{from: [{source: {ipBlocks: [x]}}]}]}'), [
    'IST9003 until it is right, the policy denies all that the rest of it covers.',
  ]);
  assert.deepEqual(run('AuthorizationPolicy', '{rules: [{from: [{source: {ipBlocks: [x]}}]}]}'), [
    'IST9003 until it is right the policy allows nothing.',
  ]);
  assert.deepEqual(run('PeerAuthentication', '{mtls: {mode: strict}}'), [
    'IST9003 until it is right, STRICT holds where this part was to say what holds.',
  ]);
  assert.deepEqual(run('RequestAuthentication', '{jwtRules: [{issuer: a, jwks: x}]}'), [
    'IST9003 until it is right, every token that the rule is about is refused.',
  ]);
  assert.deepEqual(run('PeerAuthentication', '{mtls: {mode: STRICT}}'), []);
});
