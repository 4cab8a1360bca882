import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { after, before, describe, it } from 'node:test';
import { makeCertificate } from './auth/certificates.ts';
import { configMap, startTestServer, type TestServer } from './test-support.ts';

const CONFIG_MAPS = '/api/v1/namespaces/default/configmaps';
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1';

const hour = 3_600_000;
const now = Date.now();
const dates = { notBefore: new Date(now - hour), notAfter: new Date(now + hour) };
const ca = { ...makeCertificate({ commonName: 'test-ca', usage: 'ca', ...dates }), commonName: 'test-ca' };
const serving = makeCertificate(
  { commonName: 'hook', usage: 'server', sans: ['hook.default.svc', '127.0.0.1'], ...dates },
  ca,
);

interface Review {
  readonly request: {
    readonly uid: string;
    readonly operation: string;
    readonly dryRun: boolean;
    readonly object: { readonly metadata: { readonly name: string; readonly labels?: Record<string, string> } } | null;
  };
}

describe('admission', () => {
  let server: TestServer;
  let hook: Server;
  let port = 0;
  let reviews: Review[] = [];

  before(async () => {
    hook = createServer({ key: serving.key, cert: serving.certificate }, (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString()) as Review;
        reviews.push(review);
        const { uid, object } = review.request;
        const patch = Buffer.from(
          JSON.stringify([{ op: 'add', path: '/metadata/labels', value: { mutated: 'yes' } }]),
        ).toString('base64');
        const denied =
          request.url?.startsWith('/validate') === true && object?.metadata.name.startsWith('bad') === true;
        const answer = denied
          ? { uid, allowed: false, status: { message: 'spec.http[0]: it is bad', code: 400 } }
          : request.url?.startsWith('/mutate') === true
            ? { uid, allowed: true, patchType: 'JSONPatch', patch, warnings: ['was mutated'] }
            : { uid, allowed: true };
        response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }));
      });
    });
    await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve));
    port = (hook.address() as AddressInfo).port;
    server = await startTestServer({
      dialService: async (clusterIP, servicePort) => {
        assert.deepEqual([clusterIP, servicePort], ['10.96.9.9', 443]);
        return connect({ host: '127.0.0.1', port });
      },
    });
    await server.call('POST', '/api/v1/namespaces/default/services', {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'hook' },
      spec: { clusterIP: '10.96.9.9', ports: [{ port: 443 }] },
    });
  });
  after(async () => {
    await server.close();
    hook.closeAllConnections();
    await new Promise((resolve) => hook.close(resolve));
  });

  const register = async (kind: 'Mutating' | 'Validating', fields: object) => {
    reviews = [];
    const caBundle = Buffer.from(ca.certificate).toString('base64');
    const path = kind === 'Mutating' ? '/mutate' : '/validate';
    const webhook = {
      name: 'hook.example.com',
      sideEffects: 'None',
      admissionReviewVersions: ['v1'],
      rules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
      clientConfig: { caBundle, service: { name: 'hook', namespace: 'default', path } },
      ...fields,
    };
    const resource = `${REGISTRATION}/${kind.toLowerCase()}webhookconfigurations`;
    const answer = await server.call('POST', resource, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: `${kind}WebhookConfiguration`,
      metadata: { name: 'hook' },
      webhooks: [webhook],
    });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    return () => server.call('DELETE', `${resource}/hook`);
  };

  it('lets webhooks change objects, through their Service', async () => {
    const remove = await register('Mutating', {});
    const { body, warnings } = await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('good'));
    assert.deepEqual(body.metadata.labels, { mutated: 'yes' });
    assert.match(warnings.join(), /was mutated/);
    assert.deepEqual([reviews[0]?.request.operation, reviews[0]?.request.dryRun], ['CREATE', true]);
    await remove();
    assert.equal(
      (await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('good'))).body.metadata.labels,
      undefined,
    );
  });

  it('lets webhooks refuse objects, with their words', async () => {
    const remove = await register('Validating', {
      clientConfig: {
        url: `https://127.0.0.1:${port}/validate`,
        caBundle: Buffer.from(ca.certificate).toString('base64'),
      },
    });
    const refused = await server.call('POST', CONFIG_MAPS, configMap('bad'));
    assert.equal(refused.status, 400);
    assert.equal(
      refused.body.message,
      'admission webhook "hook.example.com" denied the request: spec.http[0]: it is bad',
    );
    assert.equal((await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('good'))).status, 201);
    await remove();
  });

  it('asks only webhooks that are concerned', async () => {
    const conditions: [object, boolean][] = [
      [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'default' } } }, true],
      [
        {
          namespaceSelector: {
            matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['default'] }],
          },
        },
        false,
      ],
      [{ objectSelector: { matchLabels: { a: 'b' } } }, true],
      [{ objectSelector: { matchLabels: { a: 'c' } } }, false],
      [{ matchConditions: [{ name: 'n', expression: "object.metadata.name.startsWith('asked')" }] }, true],
      [{ matchConditions: [{ name: 'n', expression: "request.userInfo.username == 'somebody'" }] }, false],
      [{ rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['pods'] }] }, false],
      [
        {
          rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], scope: 'Namespaced' }],
        },
        true,
      ],
      [
        { rules: [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*/*'], scope: 'Cluster' }] },
        false,
      ],
    ];
    for (const [fields, asked] of conditions) {
      const remove = await register('Validating', fields);
      await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, {
        ...configMap('asked'),
        metadata: { name: 'asked', labels: { a: 'b' } },
      });
      assert.equal(reviews.length > 0, asked, JSON.stringify(fields));
      await remove();
    }
  });

  it('fails or goes on without a webhook as its failurePolicy says', async () => {
    const nobody = { clientConfig: { url: 'https://127.0.0.1:1/' }, timeoutSeconds: 1 };
    const removeFail = await register('Validating', { ...nobody, failurePolicy: 'Fail' });
    const failed = await server.call('POST', CONFIG_MAPS, configMap('x'));
    assert.equal(failed.status, 500);
    assert.match(
      failed.body.message,
      /^Internal error occurred: failed calling webhook "hook\.example\.com": failed to call webhook: Post "https:\/\/127\.0\.0\.1:1\/\?timeout=1s": /,
    );
    await removeFail();
    const removeIgnore = await register('Validating', { ...nobody, failurePolicy: 'Ignore' });
    assert.equal((await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('x'))).status, 201);
    await removeIgnore();
  });

  it('does not trust a webhook whose certificate another CA signed', async () => {
    const other = makeCertificate({ commonName: 'other', usage: 'ca', ...dates });
    const remove = await register('Validating', {
      clientConfig: {
        caBundle: Buffer.from(other.certificate).toString('base64'),
        service: { name: 'hook', namespace: 'default' },
      },
    });
    assert.match((await server.call('POST', CONFIG_MAPS, configMap('x'))).body.message, /failed calling webhook/);
    await remove();
  });

  it('evaluates policies', async () => {
    await server.call('POST', `${REGISTRATION}/validatingadmissionpolicies`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicy',
      metadata: { name: 'limit' },
      spec: {
        matchConstraints: {
          resourceRules: [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
        },
        variables: [{ name: 'count', expression: 'has(object.data) ? object.data.size() : 0' }],
        validations: [
          { expression: 'variables.count <= 1', messageExpression: "'has ' + string(variables.count) + ' keys'" },
        ],
      },
    });
    await server.call('POST', `${REGISTRATION}/validatingadmissionpolicybindings`, {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingAdmissionPolicyBinding',
      metadata: { name: 'limit-all' },
      spec: { policyName: 'limit', validationActions: ['Deny'] },
    });
    const refused = await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('two', { a: '1', b: '2' }));
    assert.equal(
      refused.body.message,
      `configmaps "two" is forbidden: ValidatingAdmissionPolicy 'limit' with binding 'limit-all' denied request: has 2 keys`,
    );
    assert.equal((await server.call('POST', `${CONFIG_MAPS}?dryRun=All`, configMap('one', { a: '1' }))).status, 201);
  });
});
