import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from './card.ts';

const now = new Date('2026-06-15T00:00:00Z');
const card = {
  creditCardNumber: '4111-1111-1111-1111',
  creditCardCvv: 123,
  creditCardExpirationYear: 2039,
  creditCardExpirationMonth: 1,
};

test('a good card is charged', () => assert.equal(refusal(card, now), undefined));
test('a wrong digit is noticed', () =>
  assert.match(refusal({ ...card, creditCardNumber: '4111-1111-1111-1112' }, now) ?? '', /not valid/));
test('an expired card is refused', () =>
  assert.match(
    refusal({ ...card, creditCardExpirationYear: 2026, creditCardExpirationMonth: 5 }, now) ?? '',
    /expired on 5\/2026/,
  ));
test('other networks are refused', () =>
  assert.match(refusal({ ...card, creditCardNumber: '378282246310005' }, now) ?? '', /only Visa and MasterCard/));
