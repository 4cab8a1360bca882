import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeRe2 } from './string-match.ts';

test('a literal in an expression matches itself and nothing else', () => {
  const text = fc.string({ unit: fc.constantFrom(...'ab.*+?()[]{}|^$\\/-,: \n\0é') });
  fc.assert(
    fc.property(text, text, (literal, other) => {
      // Strict about escapes, as RE2 is: only what means something in expressions may be escaped.
      const expression = new RegExp(`^(?:${escapeRe2(literal)})$`, 'us');
      assert.equal(expression.test(literal), true);
      assert.equal(expression.test(other), other === literal);
    }),
  );
});
