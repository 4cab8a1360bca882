import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kinds } from '@istio-ts/api';
import { external, GOOD_SPECS, server as gateway, http } from '@istio-ts/api/test-specs';
import { readYaml } from '@istio-ts/gotemplate';
import { startTestServer, type TestServer } from '@istio-ts/local/apiserver/test-support';

const folder = join(import.meta.dirname, '..', 'manifests', 'base', 'files', 'crds');

const port = { number: 80, name: 'http', protocol: 'HTTP' };
const rule = (trafficPolicy: object): object => ({ host: 'a', trafficPolicy });
/** What the API server has to refuse by itself: kind, spec, part of the message. */
const BAD: readonly (readonly [string, object, RegExp])[] = [
  ['VirtualService', { hosts: ['a'] }, /needs at least one of http, tls, tcp/],
  ['VirtualService', { tcp: [{ route: [{ destination: { host: 'a' } }] }] }, /without hosts \(a delegate\)/],
  ['VirtualService', http({ redirect: { uri: '/' } }), /route cannot stand together with redirect/],
  ['VirtualService', { hosts: ['a'], http: [{ name: 'x' }] }, /needs one of route, redirect, directResponse, delegate/],
  ['VirtualService', http({ timeout: 'soon' }), /duration/],
  ['VirtualService', http({ fault: {} }), /needs delay or abort/],
  [
    'VirtualService',
    http({ mirror: { host: 'b' }, mirrors: [{ destination: { host: 'c' } }] }),
    /only one of mirror, mirrors/,
  ],
  ['VirtualService', http({ match: [{ uri: { exact: '/', prefix: '/' } }] }), /oneOf/],
  ['VirtualService', http({ timeout: 2 }), /must be of type string/],
  ['DestinationRule', rule({ connectionPool: {} }), /needs tcp or http/],
  ['DestinationRule', rule({ connectionPool: { tcp: { connectTimeout: '-1s' } } }), /must be a duration/],
  ['DestinationRule', rule({ tls: { mode: 'MUTUAL' } }), /MUTUAL needs credentialName/],
  ['DestinationRule', rule({ tls: { mode: 'ISTIO_MUTUAL', credentialName: 'a' } }), /ISTIO_MUTUAL uses/],
  ['DestinationRule', rule({ loadBalancer: { simple: 'RANDOM', warmup: { duration: '1s' } } }), /warmup works only/],
  [
    'DestinationRule',
    { host: 'a', subsets: [{ name: 'b', trafficPolicy: { connectionPool: {} } }] },
    /needs tcp or http/,
  ],
  ['DestinationRule', rule({ tls: { mode: 'SOME' } }), /supported values/i],
  ['Gateway', { servers: [] }, /needs at least one server/],
  ['Gateway', gateway({}), /tls is required/],
  ['Gateway', { servers: [{ port, hosts: [] }] }, /needs at least one host/],
  ['Gateway', { servers: [{ port: { ...port, number: 0 }, hosts: ['*'] }] }, /between 1 and 65535/],
  ['ServiceEntry', external({ hosts: ['*'] }), /"\*" is not allowed/],
  ['ServiceEntry', external({ addresses: ['10.0.0.0/8'] }), /address ranges need resolution/],
  ['ServiceEntry', external({ resolution: 'NONE', endpoints: [{ address: '1.2.3.4' }] }), /endpoints must be empty/],
  ['ServiceEntry', external({ ports: [port, { ...port, name: 'other' }] }), /numbers of ports must be unique/],
  ['ServiceEntry', external({ ports: [port, { ...port, number: 81 }] }), /names of ports must be unique/],
  ['ServiceEntry', external({ endpoints: [{}] }), /address is required/],
  [
    'ServiceEntry',
    external({ endpoints: [{ address: 'a' }], workloadSelector: { labels: { a: 'b' } } }),
    /only one of workloadSelector, endpoints/,
  ],
  ['Sidecar', {}, /needs at least one of ingress/],
  ['Sidecar', { egress: [{ hosts: [] }] }, /needs at least one host/],
  ['Sidecar', { ingress: [{ port: { name: 'a' } }] }, /port\.number is required/],
  ['WorkloadEntry', {}, /address is required/],
  ['WorkloadEntry', { address: 'unix://relative' }, /absolute path/],
  ['AuthorizationPolicy', { action: 'CUSTOM', rules: [{}] }, /CUSTOM needs provider\.name/],
  ['AuthorizationPolicy', { provider: { name: 'a' } }, /only with action CUSTOM/],
  [
    'AuthorizationPolicy',
    { selector: { matchLabels: { a: 'b' } }, targetRefs: [{ kind: 'Service', name: 'a' }] },
    /only one of selector/,
  ],
  ['PeerAuthentication', { portLevelMtls: { 80: { mode: 'STRICT' } } }, /needs a selector with labels/],
  [
    'RequestAuthentication',
    { jwtRules: [{ issuer: 'a', jwks: '{}', jwksUri: 'https://a' }] },
    /only one of jwks, jwksUri/,
  ],
  ['RequestAuthentication', { jwtRules: [{ issuer: 'a', jwksUri: 'ftp://a' }] }, /http:\/\/ or https:\/\//],
  ['RequestAuthentication', { jwtRules: [{ issuer: '' }] }, /at least 1 char/],
  ['Telemetry', { tracing: [{ randomSamplingPercentage: 101 }] }, /less than or equal to 100/],
  [
    'WasmPlugin',
    { url: 'oci://a', vmConfig: { env: [{ name: 'a', valueFrom: 'HOST', value: 'b' }] } },
    /valueFrom HOST/,
  ],
];

describe('custom resource definitions in an API server', () => {
  let api: TestServer | undefined;
  const server = (): TestServer => {
    assert.ok(api);
    return api;
  };
  before(async () => {
    api = await startTestServer();
  });
  after(async () => api?.close());

  test('all are taken and become established', async () => {
    for (const file of readdirSync(folder)) {
      const definition = readYaml(readFileSync(join(folder, file), 'utf8'));
      const created = await server().call(
        'POST',
        '/apis/apiextensions.k8s.io/v1/customresourcedefinitions',
        definition,
      );
      assert.equal(created.status, 201, `${file}: ${JSON.stringify(created.body)}`);
    }
    const list = await server().call('GET', '/apis/apiextensions.k8s.io/v1/customresourcedefinitions');
    assert.equal(list.body.items.length, 15);
  });

  const create = async (kind: string, spec: object, name: string, version?: string) => {
    const definition = kinds.find((each) => each.kind === kind);
    assert.ok(definition);
    const apiVersion = `${definition.group}/${version ?? definition.storedVersion}`;
    const path = `/apis/${apiVersion}/namespaces/default/${definition.plural}`;
    return server().call('POST', path, { apiVersion, kind, metadata: { name, namespace: 'default' }, spec });
  };

  test('what the documentation shows is accepted in every version', async () => {
    for (const [index, [kind, spec]] of GOOD_SPECS.entries()) {
      for (const version of kinds.find((each) => each.kind === kind)?.versions ?? []) {
        const created = await create(kind, spec, `good-${index}-${version}`, version);
        assert.equal(created.status, 201, `${kind} ${JSON.stringify(spec)}: ${JSON.stringify(created.body)}`);
      }
    }
  });

  test('what is wrong is refused with what is wrong, while istiod is away', async () => {
    for (const [index, [kind, spec, message]] of BAD.entries()) {
      const created = await create(kind, spec, `bad-${index}`);
      assert.equal(created.status, 422, `${kind} ${JSON.stringify(spec)}: ${JSON.stringify(created.body)}`);
      assert.match(created.body.message, message);
    }
  });

  test('kubectl shows the columns', async () => {
    const created = await create('ServiceEntry', external({ location: 'MESH_EXTERNAL' }), 'columns');
    assert.equal(created.status, 201);
    const { stdout, stderr } = await server().kubectl(['get', 'se', 'columns']);
    assert.match(
      stdout,
      /^NAME +HOSTS +LOCATION +RESOLUTION +AGE\ncolumns +\["api\.example\.com"\] +MESH_EXTERNAL +DNS +/,
      stderr,
    );
    const { stdout: all } = await server().kubectl(['get', 'istio-io', '-o', 'name']);
    assert.match(all, /serviceentry\.networking\.istio\.io\/columns/);
  });
});
