import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { describeConfig, parseConfig } from './config.ts';
import { findLimit, type Domains } from './limits.ts';

const parse = (text: string): Domains => parseConfig([{ name: 'config.yaml', text }]);
const find = (domains: Domains, domain: string, ...pairs: readonly (readonly [string, string])[]) => {
  const level = domains.get(domain);
  const match =
    level &&
    findLimit(
      level,
      pairs.map(([key, value]) => ({ key, value })),
    );
  return match?.limit.unlimited === false
    ? `${match.limit.requestsPerUnit}/${match.limit.unit}`
    : match?.limit.unlimited;
};

describe('configuration of rate limits', () => {
  const domains = parse(`
domain: shop
descriptors:
  - key: PATH
    value: "/cart"
    rate_limit: { unit: minute, requests_per_unit: 1 }
  - key: PATH
    value: "/api/*"
    rate_limit: { unit: hour, requests_per_unit: 2 }
  - key: PATH
    value: "/api/v2/*"
    rate_limit: { unit: Day, requests_per_unit: 3 }
  - key: PATH
    rate_limit: { unit: second, requests_per_unit: 100 }
  - key: free
    rate_limit: { unlimited: true }
  - key: user
    descriptors:
      - key: plan
        value: gold
        rate_limit: { unit: week, requests_per_unit: 4 }
      - key: plan
        rate_limit: { unit: month, requests_per_unit: 5 }
  - key: port
    value: 8080
    rate_limit: { unit: year, requests_per_unit: 6 }
`);

  it('prefers the exact value, then the longest wildcard, then the key alone', () => {
    assert.equal(find(domains, 'shop', ['PATH', '/cart']), '1/MINUTE');
    assert.equal(find(domains, 'shop', ['PATH', '/cart/x']), '100/SECOND');
    assert.equal(find(domains, 'shop', ['PATH', '/api/v1/x']), '2/HOUR');
    assert.equal(find(domains, 'shop', ['PATH', '/api/v2/x']), '3/DAY');
    assert.equal(find(domains, 'shop', ['free', 'x']), true);
    assert.equal(find(domains, 'shop', ['port', '8080']), '6/YEAR');
  });

  it('limits only descriptors of the same depth', () => {
    assert.equal(find(domains, 'shop', ['user', 'anna']), undefined);
    assert.equal(find(domains, 'shop', ['user', 'anna'], ['plan', 'gold']), '4/WEEK');
    assert.equal(find(domains, 'shop', ['user', 'anna'], ['plan', 'tin']), '5/MONTH');
    assert.equal(find(domains, 'shop', ['PATH', '/cart'], ['plan', 'gold']), undefined);
    assert.equal(find(domains, 'shop', ['other', 'x']), undefined);
    assert.equal(find(domains, 'other', ['PATH', '/cart']), undefined);
  });

  it('describes itself', () => {
    const text = describeConfig(domains);
    assert.match(text, /^shop\.PATH_\/cart: unit=MINUTE requests_per_unit=1, shadow_mode: false$/m);
    assert.match(text, /^shop\.user\.plan_gold: unit=WEEK requests_per_unit=4/m);
    assert.match(text, /^shop\.free: unlimited/m);
  });

  const refused = (text: string, message: RegExp): void => {
    assert.throws(() => parse(text), message);
  };
  it('refuses what it cannot keep, and says where', () => {
    refused('descriptors: []', /^ConfigError: config\.yaml: domain: is missing/);
    refused('domain: d\ndescriptors: [{value: x}]', /descriptors\[0\]\.key: is missing/);
    refused(
      'domain: d\ndescriptors: [{key: a, rate_limit: {unit: fortnight}}]',
      /descriptors\[0\]\.rate_limit\.unit: "fortnight" is none of/,
    );
    refused(
      'domain: d\ndescriptors: [{key: a, rate_limit: {unit: day, requests_per_unit: -1}}]',
      /requests_per_unit: is no whole number/,
    );
    refused(
      'domain: d\ndescriptors: [{key: a, rate_limit: {unlimited: true, unit: day}}]',
      /an unlimited one has no unit/,
    );
    refused(
      'domain: d\ndescriptors: [{key: a, ratelimit: {}}]',
      /there is no field "ratelimit" here; known are key, value/,
    );
    refused('domain: d\ndescriptors: [{key: a, value: x}, {key: a, value: x}]', /descriptors\[1\]: a_x is there twice/);
    refused('domain: d\ndescriptors: [{key: a, value: x*}, {key: a, value: x*}]', /a_x\* is there twice/);
    refused(
      'domain: d\ndescriptors: [{key: a, rate_limit: {unit: day, name: n, replaces: [{name: n}]}}]',
      /cannot replace itself/,
    );
    refused('domain: d\ndescriptors: {key: a}', /descriptors: is no list/);
    refused('- a', /is no object/);
    refused('a: [', /config\.yaml: /);
  });

  it('takes a domain from several files only when told to', () => {
    const file = (name: string, value: string) => ({
      name,
      text: `domain: d\ndescriptors: [{key: a, value: ${value}}]`,
    });
    const files = [file('1.yaml', 'x'), file('2.yaml', 'y')];
    assert.throws(() => parseConfig(files), /2\.yaml: domain: d is in another file already/);
    assert.equal(parseConfig(files, true).get('d')?.exact.size, 2);
    assert.throws(() => parseConfig([...files, file('3.yaml', 'x')], true), /3\.yaml: .*a_x is in another file of d/);
  });
});
