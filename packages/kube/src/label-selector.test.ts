import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelSelectorMatches, readLabelSelector, requirementHolds } from './label-selector.ts';

test('all labels and all requirements must hold; an empty selector takes everything', () => {
  const selector = {
    matchLabels: { app: 'web' },
    matchExpressions: [{ key: 'version', operator: 'NotIn', values: ['v1'] }],
  };
  assert.equal(labelSelectorMatches(selector, { app: 'web', version: 'v2' }), true);
  assert.equal(labelSelectorMatches(selector, { app: 'web', version: 'v1' }), false);
  assert.equal(labelSelectorMatches(selector, { version: 'v2' }), false);
  assert.equal(labelSelectorMatches({}, {}), true);
});

for (const [operator, absent, other, listed] of [
  ['In', false, false, true],
  ['NotIn', true, true, false],
  ['Exists', false, true, true],
  ['DoesNotExist', true, false, false],
  ['Unknown', false, false, false],
] as const)
  test(`${operator}: absent ${absent}, another value ${other}, a listed value ${listed}`, () => {
    const holds = (labels: Record<string, string>) =>
      requirementHolds({ key: 'tier', operator, values: ['a'] }, labels);
    assert.deepEqual([holds({}), holds({ tier: 'b' }), holds({ tier: 'a' })], [absent, other, listed]);
  });

test('names that every object inherits are no labels', () => {
  assert.equal(requirementHolds({ key: 'constructor', operator: 'Exists' }, {}), false);
  assert.equal(labelSelectorMatches({ matchLabels: { toString: 'x' } }, {}), false);
});

test('a selector of an object that nobody has checked', () => {
  for (const nothing of [undefined, null, 'app=web', []]) assert.equal(readLabelSelector(nothing), undefined);
  const read = readLabelSelector({
    matchLabels: { app: 'web' },
    matchExpressions: [{ key: 'tier', operator: 'In', values: ['a', 1] }, 'nonsense'],
  });
  assert.deepEqual(read, {
    matchLabels: { app: 'web' },
    matchExpressions: [{ key: 'tier', operator: 'In', values: ['a'] }],
  });
  assert.equal(labelSelectorMatches(readLabelSelector({ matchLabels: { app: 1 } }) ?? {}, { app: '1' }), false);
  assert.equal(labelSelectorMatches(readLabelSelector({ matchExpressions: [{}] }) ?? {}, {}), false);
});
