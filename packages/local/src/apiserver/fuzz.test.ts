import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { isObject } from './json.ts';
import { deployment, startTestServer, type TestServer } from './test-support.ts';

const container = {
  name: 'a',
  image: 'a',
  ports: [{ containerPort: 80 }],
  env: [{ name: 'A', value: 'b' }],
  readinessProbe: { httpGet: { port: 80 } },
};
const crd = {
  metadata: { name: 'things.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Cluster',
    names: { plural: 'things', kind: 'Thing' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: { spec: { type: 'object', 'x-kubernetes-validations': [{ rule: 'true' }] } },
          },
        },
      },
    ],
  },
};
const webhook = {
  metadata: { name: 'hook' },
  webhooks: [
    {
      name: 'a.b.c',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      clientConfig: { url: 'https://127.0.0.1:1' },
      rules: [{ operations: ['CREATE'], apiGroups: ['none'], apiVersions: ['v1'], resources: ['none'] }],
    },
  ],
};

const SEEDS: readonly (readonly [path: string, object: object])[] = [
  ['/apis/apps/v1/namespaces/default/deployments', deployment('fuzz')],
  [
    '/api/v1/namespaces/default/pods',
    {
      metadata: { name: 'fuzz' },
      spec: {
        containers: [container],
        volumes: [{ name: 'v', projected: { sources: [{ configMap: { name: 'x' } }] } }],
      },
    },
  ],
  [
    '/api/v1/namespaces/default/services',
    {
      metadata: { name: 'fuzz' },
      spec: { type: 'NodePort', ports: [{ port: 80, name: 'http' }], selector: { a: 'b' } },
    },
  ],
  [
    '/api/v1/namespaces/default/secrets',
    {
      metadata: { name: 'fuzz', ownerReferences: [], labels: { a: 'b' } },
      data: { a: 'YQ==' },
      stringData: { b: 'c' },
    },
  ],
  ['/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd],
  ['/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', webhook],
  [
    '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings',
    {
      metadata: { name: 'fuzz' },
      roleRef: { kind: 'ClusterRole', name: 'x' },
      subjects: [{ kind: 'User', name: 'a' }],
    },
  ],
  [
    '/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers',
    {
      metadata: { name: 'fuzz' },
      spec: { maxReplicas: 3, scaleTargetRef: { kind: 'Deployment', name: 'x' }, metrics: [] },
    },
  ],
  [
    '/apis/authorization.k8s.io/v1/subjectaccessreviews',
    { spec: { user: 'a', resourceAttributes: { verb: 'get', resource: 'pods' } } },
  ],
  ['/apis/authentication.k8s.io/v1/tokenreviews', { spec: { token: 'a.b.c', audiences: ['x'] } }],
];

/** A copy in which the value at a path chosen by `steps` is another one. */
function mutated(value: unknown, steps: readonly number[], replacement: unknown): unknown {
  const [step = 0, ...rest] = steps;
  if (Array.isArray(value) && value.length > 0) {
    const index = step % value.length;
    return value.map((item, position) => (position === index ? mutated(item, rest, replacement) : item));
  }
  if (isObject(value) && Object.keys(value).length > 0) {
    const keys = Object.keys(value);
    const key = keys[step % keys.length] ?? '';
    return { ...value, [key]: rest.length === 0 ? replacement : mutated(value[key], rest, replacement) };
  }
  return replacement;
}

describe('strange objects', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
  });
  after(() => server.close());

  it('are accepted or refused, but never break the server', async () => {
    const strange = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      fc.constantFrom(null, [], {}, [null], [[]], { a: null }, { toString: false }, -1, 1e300, '', 'None', true),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...SEEDS),
        fc.array(fc.nat(7), { minLength: 1, maxLength: 7 }),
        strange,
        async ([path, object], steps, replacement) => {
          const body = mutated(object, steps, replacement);
          const answer = await server.call('POST', `${path}?dryRun=All`, JSON.stringify(body));
          assert.ok(
            answer.status < 500,
            `${path} ${JSON.stringify(body)} gave ${answer.status}: ${answer.body.message}`,
          );
          const patched = await server.call(
            'PATCH',
            `/api/v1/namespaces/default/services/kubernetes?dryRun=All`,
            JSON.stringify(body),
            { 'content-type': 'application/strategic-merge-patch+json' },
          );
          assert.ok(
            patched.status < 500,
            `patch ${JSON.stringify(body)} gave ${patched.status}: ${patched.body.message}`,
          );
        },
      ),
      { numRuns: 600 },
    );
  });

  it('in queries and paths neither', async () => {
    const paths = [
      '//',
      '/api/v1/%',
      '/api/v1/namespaces/%ff/pods',
      '/apis/x/y/z/a/b/c',
      '/api/v1/pods?labelSelector=((',
      '/api/v1/pods?limit=-1&continue=x',
      '/api/v1/pods?resourceVersion=abc',
      '/api/v1/pods?watch=1&resourceVersion=-1',
      '/api/v1/pods?fieldSelector=a',
      '/openapi/v3/../..',
      '/api/v1/namespaces/default/pods/x/log?tailLines=z',
      '/api/v1/namespaces/default/pods/x/exec',
    ];
    for (const path of paths) {
      const { status } = await server.call('GET', path);
      assert.ok(status < 500, `${path} gave ${status}`);
    }
    assert.equal((await server.call('GET', '/readyz')).status, 200);
  });
});
