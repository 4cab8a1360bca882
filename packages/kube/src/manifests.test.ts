import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseManifestDocuments, parseManifests } from './manifests.ts';
import { parseYaml, YamlError } from './yaml.ts';

test('reads several documents, flattens lists and skips empty ones', () => {
  const text = `# a comment
---
apiVersion: v1
kind: Namespace
metadata:
  name: a
--- # second
---
# nothing here
---
apiVersion: v1
kind: List
items:
  - apiVersion: v1
    kind: Service
    metadata: {name: s}
---
apiVersion: v1
kind: PodList
items:
  - metadata: {name: p}
`;
  assert.deepEqual(
    parseManifestDocuments(text, 'f.yaml').map(({ object, line }) => [
      object.apiVersion,
      object.kind,
      object.metadata.name,
      line,
    ]),
    [
      ['v1', 'Namespace', 'a', 3],
      ['v1', 'Service', 's', 11],
      ['v1', 'Pod', 'p', 18],
    ],
  );
});

test('errors name the file and the line of the whole file', () => {
  const line = (text: string): string => {
    try {
      parseManifests(text, 'f.yaml');
    } catch (error) {
      assert.ok(error instanceof YamlError);
      return error.message;
    }
    throw new Error('no error');
  };
  assert.match(line('apiVersion: v1\nkind: A\n---\napiVersion: v1\nkind: B\nspec:\n  a: 1\n b: [\n'), /^f\.yaml:8: /);
  assert.match(line('apiVersion: v1\nkind: A\n---\n\nkind: B\n'), /^f\.yaml:5: apiVersion is missing$/);
  assert.match(line('- a\n'), /^f\.yaml:1: a Kubernetes object/);
  assert.match(line('apiVersion: v1\nkind: A\nkind: B\n'), /^f\.yaml:3: /);
});

// Expected values: sigs.k8s.io/yaml (go-yaml v2) as kubectl uses it.
test('reads scalars as Kubernetes does', () => {
  const cases: [string, unknown][] = [
    ['on', true],
    ['Off', false],
    ['yes', true],
    ['y', true],
    ['"on"', 'on'],
    ['010', 8],
    ['0o10', 8],
    ['0x1F', 31],
    ['1_000', 1000],
    ['1e3', 1000],
    ['1.5', 1.5],
    ['12:30:45', '12:30:45'],
    ['2024-01-02', '2024-01-02'],
    ['08', 8],
    ['1.2.3', '1.2.3'],
    ['~', null],
    ['', null],
    ['-7', -7],
    ['1s', '1s'],
  ];
  for (const [text, value] of cases) assert.deepEqual(parseYaml(`a: ${text}\n`, 'f'), { a: value }, text);
  assert.deepEqual(parseYaml('a: &x {b: 1}\nc: {<<: *x, d: 2}\n', 'f'), { a: { b: 1 }, c: { b: 1, d: 2 } });
  assert.deepEqual(parseYaml('on: 1\n8: 2\n', 'f'), { true: 1, 8: 2 });
});

test('any text gives objects or a YamlError', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab:-\n {}[]&*!|>\'"#%,?01'), maxLength: 60 }), (text) => {
      try {
        parseManifests(text, 'f');
      } catch (error) {
        assert.ok(error instanceof YamlError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
