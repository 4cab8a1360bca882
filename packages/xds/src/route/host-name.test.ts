import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nanoseconds, protoDuration } from '../duration.ts';
import { domainsOf } from './domains.ts';
import { compareSpecificity, hostCovers, hostIntersection, mostSpecific } from './host-name.ts';
import { escapeRe2 } from './string-match.ts';

test('wildcards cover names below them and nothing else', () => {
  assert.ok(hostCovers('*', 'a.b'));
  assert.ok(hostCovers('*.b.c', 'a.b.c'));
  assert.ok(hostCovers('*.b.c', '*.a.b.c'));
  assert.ok(hostCovers('*.b.c', '*.b.c'));
  assert.ok(!hostCovers('*.b.c', 'b.c'));
  assert.ok(!hostCovers('*.b.c', 'ab.c'));
  assert.ok(!hostCovers('a.b.c', '*.b.c'));
  assert.equal(hostIntersection('*.b.c', 'a.b.c'), 'a.b.c');
  assert.equal(hostIntersection('a.b.c', '*'), 'a.b.c');
  assert.equal(hostIntersection('*.b.c', '*.x'), undefined);
});

test('the most specific host wins', () => {
  const hosts = new Map(['*', '*.c', '*.b.c', 'a.b.c'].map((h) => [h, h]));
  assert.equal(mostSpecific(hosts, 'a.b.c'), 'a.b.c');
  assert.equal(mostSpecific(hosts, 'z.b.c'), '*.b.c');
  assert.equal(mostSpecific(hosts, 'y.z.b.c'), '*.b.c');
  assert.equal(mostSpecific(hosts, 'b.c'), '*.c');
  assert.equal(mostSpecific(hosts, '*.a.b.c'), '*.b.c');
  assert.equal(mostSpecific(hosts, 'd'), '*');
  assert.deepEqual(['*', '*.b.c', 'z', '*.c', 'a'].sort(compareSpecificity), ['a', 'z', '*.b.c', '*.c', '*']);
});

test('short names are those that the resolver completes', () => {
  const names = (host: string, namespace: string) =>
    domainsOf(host, undefined, namespace, `${namespace}.svc.cluster.local`);
  const host = 'web.shop.svc.cluster.local';
  assert.deepEqual(names(host, 'shop'), [host, `${host}.`, 'web', 'web.shop.svc', 'web.shop']);
  assert.deepEqual(names(host, 'other'), [host, `${host}.`, 'web.shop.svc', 'web.shop']);
  assert.deepEqual(names('example.com', 'shop'), ['example.com', 'example.com.']);
  assert.deepEqual(names('*.example.com', 'shop'), ['*.example.com']);
});

test('durations in the forms of Go and protobuf', () => {
  assert.equal(protoDuration('1h2m3.5s'), '3723.5s');
  assert.equal(protoDuration('200ms'), '0.2s');
  assert.equal(protoDuration('1.000000001s'), '1.000000001s');
  assert.equal(protoDuration('0'), '0s');
  assert.equal(protoDuration('soon'), undefined);
  assert.equal(nanoseconds('-1.5s'), -1_500_000_000n);
  assert.equal(nanoseconds('1s x'), undefined);
});

test('literals in expressions are escaped', () => {
  assert.equal(escapeRe2('a.b*c[d]|e\\'), 'a\\.b\\*c\\[d\\]\\|e\\\\');
});
