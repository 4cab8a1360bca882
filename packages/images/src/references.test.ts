import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { publications } from './references.ts';

const samples = join(import.meta.dirname, '..', '..', '..', 'samples');

/** Programs of others that are not built, which the samples can do without. */
const NOT_BUILT = new Set(['docker.io/apache/skywalking-ui:10.2.0']);

/** A name with registry and tag, as container runtimes read it. */
function fullName(reference: string): string {
  const parts = reference.split('/');
  const [first = ''] = parts;
  const [registry, path] =
    parts.length > 1 && /[.:]|^localhost$/.test(first) ? [first, parts.slice(1)] : ['docker.io', parts];
  const repository = registry === 'docker.io' && path.length === 1 ? ['library', ...path] : path;
  const name = [registry, ...repository].join('/');
  return /:[^/]+$/.test(name) ? name : `${name}:latest`;
}

test('every image that a sample names is built, so that a node without a registry can have them all', () => {
  const built = new Set(publications('docker.io/istio', '1.30.0').flatMap(({ references }) => references));
  const named = globSync('**/*.yaml', { cwd: samples, exclude: (path) => path.includes('node_modules') }).flatMap(
    (file) =>
      [...readFileSync(join(samples, file), 'utf8').matchAll(/^\s*(?:- )?image: *["']?([\w./:-]+)/gm)].map(
        ([, reference = '']) => ({ file, reference: fullName(reference) }),
      ),
  );
  assert.ok(named.length > 30, `${named.length} images`);
  assert.deepEqual(
    named.filter(({ reference }) => !built.has(reference) && !NOT_BUILT.has(reference) && !/\/auto:/.test(reference)),
    [],
  );
});
