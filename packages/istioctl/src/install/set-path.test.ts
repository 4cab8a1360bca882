import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { getPath, parseValue, patchPath, setPath, splitSetting } from './set-path.ts';

test('paths with names, dots in names, indices and names of items', () => {
  assert.deepEqual(setPath({}, 'values.gateways.istio-ingressgateway.type', 'NodePort'), {
    values: { gateways: { 'istio-ingressgateway': { type: 'NodePort' } } },
  });
  assert.deepEqual(setPath({}, 'a.b\\.c', 1), { a: { 'b.c': 1 } });
  assert.deepEqual(setPath({ l: [{ x: 1 }] }, 'l[1].x', 2), { l: [{ x: 1 }, { x: 2 }] });
  assert.deepEqual(setPath({ l: [{ name: 'a' }, { name: 'b' }] }, 'l.[name:b].on', true), {
    l: [{ name: 'a' }, { name: 'b', on: true }],
  });
});

test('values have the types that Helm gives them', () => {
  assert.deepEqual(['true', '3', '007', '1.5', 'x', 'null', '{a,2}', '12345678901234567890'].map(parseValue), [
    true,
    3,
    '007',
    1.5,
    'x',
    null,
    ['a', 2],
    '12345678901234567890',
  ]);
});

test('mistakes are named', () => {
  assert.throws(() => splitSetting('profile'), /expected PATH=VALUE/);
  assert.throws(() => setPath({}, 'a[x]', 1), /"\[x\]" is neither/);
  assert.throws(() => setPath({ a: 'text' }, 'a.b', 1), /no mapping/);
  assert.throws(() => setPath({ l: [] }, 'l.[name:b].on', 1), /no item has name "b"/);
});

test('no text makes the parser hang or fail in another way', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      try {
        const [path, value] = splitSetting(text);
        setPath({}, path, value);
      } catch (error) {
        assert.equal((error as Error).name, 'OperatorError');
      }
    }),
  );
});

test('items by their value, new items, and what is taken away', () => {
  assert.deepEqual(setPath({ l: ['a', 'b'] }, 'l[:b]', 'c'), { l: ['a', 'c'] });
  assert.deepEqual(setPath({ l: ['a'] }, 'l[-1]', 'b'), { l: ['a', 'b'] });
  assert.deepEqual(patchPath({ l: ['30m', 'x'] }, '.l.[30m]', '60m', 'here'), { l: ['60m', 'x'] });
  assert.deepEqual(patchPath({ a: { b: 1, c: 2 }, l: [{ name: 'x' }] }, 'a.b', undefined, 'here'), {
    a: { c: 2 },
    l: [{ name: 'x' }],
  });
  assert.deepEqual(patchPath({ l: [{ name: 'x' }] }, 'l[name:x]', undefined, 'here'), { l: [] });
  assert.deepEqual(patchPath({}, 'a.b.c', undefined, 'here'), {});
  assert.throws(() => patchPath({ l: [] }, 'l.[x]', 1, 'here'), /^OperatorError: here: no item is "x"/);
});

test('commas in items, equal signs in selectors, and reading', () => {
  assert.deepEqual(parseValue('{a\\,b,c}'), ['a,b', 'c']);
  assert.deepEqual(splitSetting('l[name:a=b].x=c=d'), ['l[name:a=b].x', 'c=d']);
  assert.equal(getPath({ a: [{ name: 'x', v: 1 }] }, 'a[name:x].v'), 1);
  assert.equal(getPath({ a: 1 }, 'b.c'), undefined);
});
