import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { eventually, startTestServer, type TestServer } from './test-support.ts';

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const WIDGETS = '/apis/example.com/v1/namespaces/default/widgets';
const MERGE = { 'content-type': 'application/merge-patch+json' };

const spec = {
  type: 'object',
  required: ['hosts'],
  'x-kubernetes-validations': [
    {
      rule: "self.size <= 10 || self.hosts.exists(h, h.matches('^big'))",
      messageExpression: "'size ' + string(self.size) + ' is too big'",
    },
    { rule: 'self.size >= oldSelf.size', message: 'cannot shrink' },
    {
      rule: "!has(self.link) || (isURL(self.link) && url(self.link).getScheme() == 'https')",
      message: 'must be https',
      fieldPath: '.link',
    },
  ],
  properties: {
    hosts: { type: 'array', minItems: 1, items: { type: 'string', pattern: '^[a-z]+$' } },
    size: { type: 'integer', default: 3, minimum: 1 },
    link: { type: 'string' },
    mode: { type: 'string', enum: ['A', 'B'] },
    replicas: { type: 'integer' },
    ports: {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['number'],
      items: {
        type: 'object',
        required: ['number'],
        properties: {
          number: { type: 'integer' },
          name: { type: 'string', 'x-kubernetes-validations': [{ rule: 'self == oldSelf', message: 'is immutable' }] },
        },
      },
    },
    memory: {
      'x-kubernetes-int-or-string': true,
      'x-kubernetes-validations': [{ rule: "quantity(string(self)).isLessThan(quantity('2Gi'))", message: 'too much' }],
    },
  },
};

const version = (name: string, storage: boolean) => ({
  name,
  served: true,
  storage,
  subresources: { status: {}, scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas' } },
  additionalPrinterColumns: [{ name: 'Size', type: 'integer', jsonPath: '.spec.size' }],
  schema: {
    openAPIV3Schema: {
      type: 'object',
      required: ['spec'],
      properties: { spec, status: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
    },
  },
});

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.example.com' },
  spec: {
    group: 'example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', shortNames: ['wd'] },
    versions: [version('v1', true), version('v1beta1', false)],
  },
};

const widget = (name: string, fields: object) => ({
  apiVersion: 'example.com/v1',
  kind: 'Widget',
  metadata: { name },
  spec: { hosts: ['x'], ...fields },
});

describe('custom resources', () => {
  let server: TestServer;
  before(async () => {
    server = await startTestServer();
    assert.equal((await server.call('POST', CRDS, crd)).status, 201);
  });
  after(() => server.close());

  const refused = async (fields: object): Promise<string[]> => {
    const answer = await server.call('POST', WIDGETS, widget('refused', fields));
    assert.equal(answer.status, 422);
    return answer.body.details.causes.map(
      (cause: { field: string; message: string }) => `${cause.field}: ${cause.message}`,
    );
  };

  it('are served at once and established', async () => {
    assert.equal((await server.call('GET', WIDGETS)).body.kind, 'WidgetList');
    const found = await eventually(
      () => server.call('GET', `${CRDS}/widgets.example.com`),
      (answer) => answer.body.status !== undefined,
    );
    assert.deepEqual(
      found.body.status.conditions.map((condition: { type: string }) => condition.type),
      ['NamesAccepted', 'Established'],
    );
  });

  it('get defaults and lose unknown fields', async () => {
    const { body, warnings } = await server.call('POST', WIDGETS, widget('defaults', { other: 1 }));
    assert.deepEqual(body.spec, { hosts: ['x'], size: 3 });
    assert.match(warnings.join(), /unknown field \\"spec\.other\\"/);
  });

  it('are checked against the schema, with paths', async () => {
    assert.deepEqual(await refused({ hosts: undefined, mode: 'C' }), [
      'spec.hosts: Required value',
      'spec.mode: Unsupported value: "C": supported values: "A", "B"',
    ]);
    assert.deepEqual(await refused({ hosts: ['X', 7] }), [
      `spec.hosts[0]: Invalid value: "X": spec.hosts[0] in body should match '^[a-z]+$'`,
      'spec.hosts[1]: Invalid value: 7: spec.hosts[1] in body must be of type string: "integer"',
    ]);
    assert.deepEqual(await refused({ size: 0 }), [
      'spec.size: Invalid value: 0: spec.size in body should be greater than or equal to 1',
    ]);
    assert.deepEqual(await refused({ ports: [{ number: 1 }, { number: 1 }] }), [
      'spec.ports[1]: Duplicate value: {"number":1}',
    ]);
  });

  it('are checked by rules', async () => {
    assert.deepEqual(await refused({ size: 50, link: 'http://a', memory: '3Gi' }), [
      'spec: Invalid value: "object": size 50 is too big',
      'spec.link: Invalid value: "object": must be https',
      'spec.memory: Invalid value: "3Gi": too much',
    ]);
    assert.equal(
      (await server.call('POST', WIDGETS, widget('big', { size: 50, hosts: ['bigone'], link: 'https://a' }))).status,
      201,
    );
  });

  it('are compared with their earlier state by transition rules', async () => {
    await server.call('POST', WIDGETS, widget('transition', { size: 5, ports: [{ number: 1, name: 'a' }] }));
    const shrunk = await server.call('PATCH', `${WIDGETS}/transition`, { spec: { size: 4 } }, MERGE);
    assert.match(shrunk.body.message, /spec: Invalid value: "object": cannot shrink$/);
    const renamed = await server.call(
      'PATCH',
      `${WIDGETS}/transition`,
      {
        spec: {
          ports: [
            { number: 2, name: 'z' },
            { number: 1, name: 'b' },
          ],
        },
      },
      MERGE,
    );
    assert.match(renamed.body.message, /spec\.ports\[1\]\.name: Invalid value: "b": is immutable$/);
    assert.equal((await server.call('PATCH', `${WIDGETS}/transition`, { spec: { size: 6 } }, MERGE)).status, 200);
  });

  it('have the same content in all versions', async () => {
    const other = await server.call('GET', '/apis/example.com/v1beta1/namespaces/default/widgets/big');
    assert.equal(other.body.apiVersion, 'example.com/v1beta1');
    assert.equal(other.body.spec.size, 50);
  });

  it('have status and scale apart from the spec', async () => {
    await server.call('POST', WIDGETS, widget('scaled', { replicas: 1 }));
    const scaled = await server.call('PATCH', `${WIDGETS}/scaled/scale`, { spec: { replicas: 4 } }, MERGE);
    assert.deepEqual([scaled.body.kind, scaled.body.spec.replicas], ['Scale', 4]);
    const status = await server.call(
      'PATCH',
      `${WIDGETS}/scaled/status`,
      { spec: { replicas: 9 }, status: { replicas: 4 } },
      MERGE,
    );
    assert.deepEqual(
      [status.body.spec.replicas, status.body.status.replicas, status.body.metadata.generation],
      [4, 4, 2],
    );
  });

  it('appear in tables, discovery and OpenAPI', async () => {
    const table = await server.call('GET', WIDGETS, undefined, {
      accept: 'application/json;as=Table;v=v1;g=meta.k8s.io',
    });
    assert.deepEqual(
      table.body.columnDefinitions.map((column: { name: string }) => column.name),
      ['Name', 'Size'],
    );
    const resources = await server.call('GET', '/apis/example.com/v1');
    assert.deepEqual(
      resources.body.resources.map((resource: { name: string }) => resource.name),
      ['widgets', 'widgets/scale', 'widgets/status'],
    );
    const document = await server.call('GET', '/openapi/v3/apis/example.com/v1');
    assert.equal(document.body.components.schemas['com.example.v1.Widget'].properties.spec.properties.size.default, 3);
  });

  it('with a wrong definition are refused', async () => {
    const wrong = {
      ...crd,
      metadata: { name: 'gadgets.example.com' },
      spec: {
        ...crd.spec,
        versions: [
          {
            ...version('v1', true),
            schema: { openAPIV3Schema: { type: 'object', properties: { spec: { properties: {} } } } },
          },
        ],
      },
    };
    const answer = await server.call('POST', CRDS, wrong);
    assert.deepEqual(
      answer.body.details.causes.map((cause: { field: string }) => cause.field),
      ['metadata.name', 'spec.versions[0].schema.openAPIV3Schema.properties[spec].type', 'spec.names.plural'],
    );
  });

  it('survive a restart and go with their definition', async () => {
    await server.restart();
    assert.equal((await server.call('GET', `${WIDGETS}/big`)).body.spec.size, 50);
    await server.call('DELETE', `${CRDS}/widgets.example.com`);
    await eventually(
      () => server.call('GET', `${CRDS}/widgets.example.com`),
      (answer) => answer.status === 404,
    );
    assert.equal((await server.call('GET', WIDGETS)).status, 404);
    await server.call('POST', CRDS, crd);
    assert.deepEqual((await server.call('GET', WIDGETS)).body.items, []);
  });
});
