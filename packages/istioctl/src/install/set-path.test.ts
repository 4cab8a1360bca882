import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parseValue, setPath, splitSetting } from './set-path.ts';

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
