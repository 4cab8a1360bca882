import assert from 'node:assert/strict';
import { test } from 'node:test';
import { memberText } from './member-text.ts';

test('a member is given as it stands there', () => {
  for (const [text, expected] of [
    ['{"a":1,"p":{"x": 1.0,"y":[9007199254740993]}}', '{"x": 1.0,"y":[9007199254740993]}'],
    ['{"p" : [ ] , "a":1}', '[ ]'],
    ['{"q":{"p":1},"p":"}\\",{\\\\"}', '"}\\",{\\\\"'],
    ['{"p":1,"p":2}', '2'],
    ['{"\\u0070":{"p":3}}', '{"p":3}'],
    ['{"q":["p",{"p":1}]}', undefined],
    ['{}', undefined],
    [' {\n"p":\n{}\n}\n', '{}'],
  ] as const) {
    assert.equal(memberText(text, 'p'), expected, text);
    assert.deepEqual(expected === undefined ? undefined : JSON.parse(expected), JSON.parse(text).p);
  }
});
