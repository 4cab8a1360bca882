import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kindsByName } from '../kinds.ts';
import { formatProblem, ProblemList } from '../problems.ts';
import { decodeMeshConfig } from './decode.ts';

const problems = (kind: string, settings: object): readonly string[] =>
  decodeMeshConfig({
    extensionProviders: [{ name: 'a', [kind]: { service: 'a.b.svc.cluster.local', port: 80, ...settings } }],
  }).problems.map(formatProblem);

test('what Envoy would refuse of an external authoriser is told where it stands', () => {
  const at = 'extensionProviders[0].envoyExtAuthzHttp';
  const wrong: readonly (readonly [object, string])[] = [
    [{ service: 'ns/' }, `${at}.service: must be HOST or NAMESPACE/HOST`],
    [{ service: 'a b' }, `${at}.service: must be HOST or NAMESPACE/HOST`],
    [{ port: 70_000 }, `${at}.port: must be a port from 1 to 65535`],
    [{ timeout: '0s' }, `${at}.timeout: must be at least 1ms`],
    [{ statusOnError: 'Forbidden' }, `${at}.statusOnError: "Forbidden" is not an HTTP status such as "503"`],
    [{ statusOnError: '306' }, `${at}.statusOnError: "306" is not an HTTP status such as "503"`],
    [{ includeRequestBodyInCheck: {} }, `${at}.includeRequestBodyInCheck.maxRequestBytes: must be more than 0`],
    [{ pathPrefix: 'check' }, `${at}.pathPrefix: must start with /`],
    [
      { headersToUpstreamOnAllow: ['*'] },
      `${at}.headersToUpstreamOnAllow[0]: must be a header name, or one with * at its start or end`,
    ],
    [
      { includeAdditionalHeadersInCheck: { a: 'b\r\nc: d' } },
      `${at}.includeAdditionalHeadersInCheck: "a" is no header with a value`,
    ],
  ];
  for (const [settings, message] of wrong) assert.deepEqual(problems('envoyExtAuthzHttp', settings), [message]);
  assert.deepEqual(problems('envoyExtAuthzGrpc', { statusOnError: '99' }), [
    'extensionProviders[0].envoyExtAuthzGrpc.statusOnError: "99" is not an HTTP status such as "503"',
  ]);
  assert.deepEqual(problems('envoyExtAuthzHttp', { service: 'ns/a.b', statusOnError: '503', timeout: '1s' }), []);
});

test('an AuthorizationPolicy says what of it has no effect', () => {
  const told = (spec: object, annotations: Readonly<Record<string, string>> = {}): readonly string[] => {
    const list = new ProblemList();
    kindsByName.AuthorizationPolicy.rules(spec, list, { name: 'p', namespace: 'default', annotations });
    return list.problems.map((problem) => `${problem.severity} ${problem.path}`);
  };
  const custom = (rule: object) => ({ action: 'CUSTOM', provider: { name: 'a' }, rules: [rule] });
  const dryRun = (value: string) => ({ 'istio.io/dry-run': value });
  const annotation = ['warning metadata.annotations[istio.io/dry-run]'];
  assert.deepEqual(told({ action: 'ALLOW' }, dryRun('true')), []);
  assert.deepEqual(told({ action: 'ALLOW' }, dryRun('yes')), annotation);
  assert.deepEqual(told(custom({}), dryRun('true')), annotation);
  assert.deepEqual(told(custom({ from: [{ source: { requestPrincipals: ['*'] } }] })), [
    'warning spec.rules[0].from[0].source.requestPrincipals',
  ]);
  assert.deepEqual(told(custom({ when: [{ key: 'request.auth.claims[a]', values: ['b'] }] })), [
    'warning spec.rules[0].when[0].key',
  ]);
});
