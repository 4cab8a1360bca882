import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { nestsDeeper } from './json-depth.ts';

const depthOf = (value: unknown): number =>
  typeof value === 'object' && value !== null ? 1 + Math.max(0, ...Object.values(value).map(depthOf)) : 0;

test('the depth of a JSON text is seen without parsing it, whatever its strings hold', () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6, stringUnit: fc.constantFrom('[', '{', '"', '\\', ']', 'a', 'ä') }), (text) => {
      const depth = depthOf(JSON.parse(text));
      const bytes = Buffer.from(text);
      assert.equal(nestsDeeper(bytes, depth), false);
      if (depth > 0) assert.equal(nestsDeeper(bytes, depth - 1), true);
    }),
  );
  assert.equal(nestsDeeper(Buffer.from('['.repeat(3)), 2), true);
});
