import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { annotationTable, unknownAnnotations } from './annotations.ts';
import { proofsIn, UnreadableProof, usesEnvoy } from './proofs.ts';
import { evidenceOf } from './repository.ts';
import { fieldPages, fieldTable, rowsOf, unknownFields } from './table.ts';
import { fieldsNamed, fieldsOf, kindOfField } from './tree.ts';

const root = join(import.meta.dirname, '../../../../..');
const evidence = evidenceOf(root);

test('tests prove fields that exist', () => {
  assert.deepEqual(
    unknownFields([...evidence.proofs, ...evidence.refusals]).map(({ message }) => message),
    [],
  );
});

test('annotations that tests prove exist, and docs/annotations.md is what they prove (npm run docs writes it)', () => {
  assert.deepEqual(unknownAnnotations(evidence.annotationProofs), []);
  assert.equal(readFileSync(join(root, 'docs/annotations.md'), 'utf8'), annotationTable(evidence));
});

for (const [name, page] of Object.entries(fieldPages))
  test(`docs/${name} is what the tests prove (npm run docs writes it)`, () => {
    assert.equal(readFileSync(join(root, 'docs', name), 'utf8'), fieldTable(evidence, page));
  });

test('what of MeshConfig is about security stands with the security kinds', () => {
  const names = (kind: 'MeshConfig' | 'MeshConfig (security)') => fieldsOf(kind).map(({ name }) => name);
  assert.equal(kindOfField('MeshConfig.meshMTLS.cipherSuites'), 'MeshConfig (security)');
  assert.equal(kindOfField('MeshConfig.caCertificates[].pem'), 'MeshConfig (security)');
  assert.equal(kindOfField('MeshConfig.trustDomain'), 'MeshConfig');
  assert.ok(names('MeshConfig (security)').includes('MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen'));
  assert.ok(names('MeshConfig').every((name) => !names('MeshConfig (security)').includes(name)));
});

test('what of MeshConfig is about logs, metrics and traces stands with Telemetry', () => {
  const names = (kind: 'MeshConfig' | 'MeshConfig (telemetry)') => fieldsOf(kind).map(({ name }) => name);
  assert.equal(kindOfField('MeshConfig.defaultConfig.tracing.sampling'), 'MeshConfig (telemetry)');
  assert.equal(kindOfField('MeshConfig.defaultConfig.concurrency'), 'MeshConfig');
  assert.ok(names('MeshConfig (telemetry)').includes('MeshConfig.extensionProviders[].envoyOtelAls.logFormat.text'));
  assert.ok(!names('MeshConfig (telemetry)').includes('MeshConfig.extensionProviders[].envoyExtAuthzGrpc.failOpen'));
  assert.ok(names('MeshConfig').every((name) => !names('MeshConfig (telemetry)').includes(name)));
});

test('fields are named by their path, messages that recur by one row', () => {
  const fields = fieldsOf('VirtualService');
  const names = fields.map(({ name }) => name);
  assert.ok(names.includes('VirtualService.spec.http[].match[].uri.prefix'));
  assert.ok(names.includes('VirtualService.spec.http[].match[].withoutHeaders[]'));
  assert.ok(names.includes('VirtualService.spec.hosts[]'));
  const named = (name: string) => fieldsNamed(`VirtualService.spec.${name}`, fields).map((field) => field.name);
  assert.deepEqual(named('hosts'), ['VirtualService.spec.hosts[]']);
  assert.deepEqual(named('http[].match[].withoutHeaders[].exact'), [
    'VirtualService.spec.http[].match[].withoutHeaders[]',
  ]);
  assert.ok(named('http[].redirect').length > 3);
  assert.deepEqual(named('http[].match[].withoutHeaders[].nothing'), []);
  assert.deepEqual(named('http[].redir'), []);
});

test('values that mean things of their own are rows beside their field', () => {
  const fields = fieldsOf('PeerAuthentication');
  const named = (name: string) => fieldsNamed(`PeerAuthentication.spec.${name}`, fields).map((field) => field.name);
  assert.deepEqual(named('mtls.mode'), ['PeerAuthentication.spec.mtls.mode']);
  assert.deepEqual(named('mtls.mode=STRICT'), ['PeerAuthentication.spec.mtls.mode=STRICT']);
  assert.deepEqual(named('mtls.mode=LAX'), []);
});

test('the state of a field is that of its best proof', () => {
  const rows = rowsOf('ServiceEntry', {
    proofs: [
      { field: 'ServiceEntry.spec.hosts[]', file: 'a.test.ts', line: 1 },
      { field: 'ServiceEntry.spec.hosts', file: 'b.test.ts', line: 1 },
      { field: 'ServiceEntry.spec.resolution', file: 'a.test.ts', line: 1 },
    ],
    refusals: [
      { field: 'ServiceEntry.spec.hosts', file: 'c.test.ts', line: 1 },
      { field: 'ServiceEntry.spec.endpoints[].weight', file: 'c.test.ts', line: 1 },
    ],
    throughEnvoy: (file) => file === 'b.test.ts',
    inGoldens: new Set(['ServiceEntry.spec.location']),
    isRead: (name) => name === 'exportTo',
  });
  const of = (name: string) => {
    const row = rows.find(({ field }) => field.name === `ServiceEntry.spec.${name}`);
    return [row?.state, row?.files];
  };
  assert.deepEqual(of('hosts[]'), ['client through Envoy', ['b.test.ts']]);
  assert.deepEqual(of('resolution'), ['generated text', ['a.test.ts']]);
  assert.deepEqual(of('endpoints[].weight'), ['refused with an error', ['c.test.ts']]);
  assert.deepEqual(of('location'), ['generated text', []]);
  assert.deepEqual(of('exportTo[]'), ['no test names it', []]);
  assert.deepEqual(of('subjectAltNames[]'), ['not built', []]);
});

test('what Istio’s documentation gives no effect is no gap', () => {
  const nothing = {
    proofs: [],
    refusals: [],
    throughEnvoy: () => false,
    inGoldens: new Set<string>(),
    isRead: () => false,
  };
  const row = rowsOf('Gateway', nothing).find(({ field }) => field.name === 'Gateway.spec.servers[].defaultEndpoint');
  assert.equal(row?.state, 'without effect');
});

test('calls are read out of sources, with literals only', () => {
  const text = 'import x;\nproves(\'A.spec.b\', // why\n  "A.spec.c[]");\nthis.proves(1);';
  assert.deepEqual(proofsIn({ path: 'x.test.ts', text }), [
    { field: 'A.spec.b', file: 'x.test.ts', line: 2 },
    { field: 'A.spec.c[]', file: 'x.test.ts', line: 2 },
  ]);
  assert.throws(() => proofsIn({ path: 'x.test.ts', text: 'proves(name)' }), UnreadableProof);
});

test('a test looks through Envoy when it or its support starts one', () => {
  const files: Readonly<Record<string, string>> = {
    'packages/p/src/a.test.ts': "import { b } from '../testing/b.ts';",
    'packages/p/testing/b.ts': "import { requireEnvoy } from '@istio-ts/envoy/testing/binary';",
    'packages/p/src/c.test.ts': "import { d } from './d.ts';",
  };
  const at = (path: string) => usesEnvoy(path, (file) => files[file]);
  assert.deepEqual(
    [at('packages/p/src/a.test.ts'), at('packages/p/src/c.test.ts'), at('e2e/x.ts')],
    [true, false, true],
  );
});
