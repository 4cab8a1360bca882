import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { XdsResource } from '../source.ts';
import { differences, patched, type Table } from './table.ts';

const resource = (name: string, version: number): XdsResource => ({
  typeUrl: 'type',
  name,
  version: String(version),
  value: new Uint8Array(),
  json: () => ({}),
  origins: [],
});

describe('a patched table', () => {
  it('is what a copy with the same changes is, and differs from others by the same names', () => {
    const name = fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e');
    const change = fc.tuple(name, fc.option(fc.nat({ max: 3 }), { nil: undefined }));
    fc.assert(
      fc.property(
        fc.uniqueArray(name),
        fc.array(fc.array(change, { maxLength: 3 }), { maxLength: 5 }),
        (first, all) => {
          let copy = new Map(first.map((one) => [one, resource(one, 0)]));
          let table: Table = copy;
          const seen: (readonly [Table, Table])[] = [[table, copy]];
          for (const batch of all) {
            const changes = new Map(
              batch.map(([one, version]) => [one, version === undefined ? undefined : resource(one, version)]),
            );
            copy = new Map(copy);
            for (const [one, changed] of changes) {
              if (changed === undefined) copy.delete(one);
              else copy.set(one, changed);
            }
            table = patched(table, changes);
            seen.push([table, copy]);
            assert.equal(table.size, copy.size);
            assert.deepEqual([...table.keys()].sort(), [...copy.keys()].sort());
            for (const [one, held] of table) assert.equal(held, copy.get(one));
            for (const one of ['a', 'b', 'c', 'd', 'e']) assert.equal(table.get(one), copy.get(one));
          }
          for (const [before, beforeCopy] of seen)
            for (const [after, afterCopy] of seen)
              assert.deepEqual([...differences(before, after)].sort(), [...differences(beforeCopy, afterCopy)].sort());
        },
      ),
    );
  });

  it('becomes a table of its own when much has changed', () => {
    const base: Table = new Map();
    const many = new Map(Array.from({ length: 65 }, (_, i) => [`${i}`, resource(`${i}`, 1)] as const));
    assert.ok(patched(base, many) instanceof Map);
    assert.equal(patched(base, new Map()), base);
  });
});
