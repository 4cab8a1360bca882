import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import {
  type Change,
  type Collection,
  cell,
  filter,
  Graph,
  index,
  join,
  map,
  mapMany,
  ordered,
  SourceCollection,
} from './index.ts';

/** The value of a collection under test must follow from its two sources alone: `expected` computes it from scratch. */
interface Kind {
  readonly name: string;
  readonly make: (a: SourceCollection<number>, b: SourceCollection<number>) => Collection<unknown>;
  readonly expected: (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>) => ReadonlyMap<string, unknown>;
}

const keep = <T>(entries: Iterable<readonly [string, T]>): ReadonlyMap<string, T> => new Map(entries);
const byKey = <T>(entries: ReadonlyMap<string, T>): [string, T][] => [...entries].sort(([x], [y]) => (x < y ? -1 : 1));

const kinds: readonly Kind[] = [
  { name: 'source', make: (a) => a, expected: (a) => a },
  { name: 'map', make: (a) => map(a, (v) => v * 2), expected: (a) => keep([...a].map(([k, v]) => [k, v * 2])) },
  {
    name: 'map that fetches the same key elsewhere',
    make: (a, b) => map(a, (v, k, f) => v + (f.get(b, k) ?? 0)),
    expected: (a, b) => keep([...a].map(([k, v]) => [k, v + (b.get(k) ?? 0)])),
  },
  {
    name: 'map that fetches depending on its value',
    make: (a, b) => map(a, (v, _k, f) => (v % 2 ? (f.get(b, 'k1') ?? -1) : v)),
    expected: (a, b) => keep([...a].map(([k, v]) => [k, v % 2 ? (b.get('k1') ?? -1) : v])),
  },
  {
    name: 'map that fetches everything',
    make: (a, b) => map(a, (v, _k, f) => v + f.all(b).size),
    expected: (a, b) => keep([...a].map(([k, v]) => [k, v + b.size])),
  },
  {
    name: 'filter',
    make: (a) => filter(a, (v) => v % 2 === 0),
    expected: (a) => keep([...a].filter(([, v]) => v % 2 === 0)),
  },
  {
    name: 'mapMany with colliding keys',
    make: (a) => mapMany(a, (v, k) => [[`v${v}`, k] as const, [`w${v % 3}`, k] as const]),
    expected: (a) =>
      keep([...byKey(a)].reverse().flatMap(([k, v]) => [[`v${v}`, k] as const, [`w${v % 3}`, k] as const])),
  },
  { name: 'join', make: (a, b) => join([a, b]), expected: (a, b) => keep([...b, ...a]) },
  {
    name: 'index',
    make: (a) => index(a, (v) => (v === 0 ? [] : [`g${v % 2}`, 'all'])),
    expected: (a) => {
      const groups = new Map<string, number[]>();
      for (const [, v] of byKey(a))
        for (const g of v === 0 ? [] : [`g${v % 2}`, 'all']) groups.set(g, [...(groups.get(g) ?? []), v]);
      return groups;
    },
  },
  {
    name: 'ordered',
    make: (a) => ordered(a, (x, y) => x - y),
    expected: (a) =>
      keep([
        [
          '',
          byKey(a)
            .sort(([, x], [, y]) => x - y)
            .map(([, v]) => v),
        ],
      ]),
  },
  {
    name: 'cell',
    make: (a, b) =>
      cell(a.graph, (f) => ({ sum: [...f.all(a).values()].reduce((x, y) => x + y, 0), one: f.get(b, 'k1') })),
    expected: (a, b) => keep([['', { sum: [...a.values()].reduce((x, y) => x + y, 0), one: b.get('k1') }]]),
  },
  {
    name: 'diamond',
    make: (a, b) => {
      const doubled = map(a, (v) => v * 2);
      const joined = join([filter(a, (v) => v > 2), b]);
      return map(joined, (v, k, f) => `${v}:${f.get(doubled, k) ?? '-'}`);
    },
    expected: (a, b) => {
      const joined = new Map([...b, ...[...a].filter(([, v]) => v > 2)]);
      return keep([...joined].map(([k, v]) => [k, `${v}:${a.has(k) ? (a.get(k) ?? 0) * 2 : '-'}`]));
    },
  },
];

type Step =
  | { readonly op: 'set'; readonly on: 'a' | 'b'; readonly key: string; readonly value: number }
  | { readonly op: 'delete'; readonly on: 'a' | 'b'; readonly key: string }
  | { readonly op: 'replace'; readonly on: 'a' | 'b'; readonly entries: readonly (readonly [string, number])[] };

const key = fc.integer({ min: 0, max: 5 }).map((n) => `k${n}`);
const value = fc.integer({ min: 0, max: 5 });
const on = fc.constantFrom('a' as const, 'b' as const);
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constant('set' as const), on, key, value }),
  fc.record({ op: fc.constant('delete' as const), on, key }),
  fc.record({ op: fc.constant('replace' as const), on, entries: fc.array(fc.tuple(key, value), { maxLength: 4 }) }),
);

function run(step: Step, sources: { a: SourceCollection<number>; b: SourceCollection<number> }): void {
  const source = sources[step.on];
  if (step.op === 'set') source.set(step.key, step.value);
  else if (step.op === 'delete') source.delete(step.key);
  else source.replace(step.entries);
}

const sources = () => {
  const graph = new Graph();
  return { graph, a: new SourceCollection<number>(graph), b: new SourceCollection<number>(graph) };
};

for (const kind of kinds) {
  describe(`collection: ${kind.name}`, () => {
    it('equals a computation from scratch after any changes, and its deltas lead there', () => {
      fc.assert(
        fc.property(fc.array(fc.array(step, { maxLength: 4 }), { maxLength: 8 }), (batches) => {
          const { graph, a, b } = sources();
          const collection = kind.make(a, b);
          const replayed = new Map(collection.entries());
          let calls = 0;
          collection.subscribe((changes: readonly Change<unknown>[]) => {
            calls++;
            assert.equal(new Set(changes.map((c) => c.key)).size, changes.length, 'each key once');
            for (const { key, before, after } of changes) {
              assert.deepEqual(replayed.get(key), before);
              assert.notDeepEqual(before, after, 'a change changes something');
              if (after === undefined) replayed.delete(key);
              else replayed.set(key, after);
            }
          });
          for (const batch of batches) {
            const before = calls;
            const snapshot = collection.snapshot();
            graph.batch(() => {
              for (const one of batch) run(one, { a, b });
            });
            const expected = kind.expected(a.snapshot(), b.snapshot());
            assert.deepEqual(byKey(collection.snapshot()), byKey(expected));
            assert.deepEqual(byKey(replayed), byKey(expected));
            assert.ok(calls - before <= 1, 'one notification for a batch');
            assert.equal(
              collection.snapshot() === snapshot,
              calls === before,
              'a snapshot lives until the next change',
            );
          }
        }),
        { numRuns: 150 },
      );
    });

    it('is the same when it is made after the changes, or in the middle of a batch', () => {
      fc.assert(
        fc.property(
          fc.array(step, { maxLength: 10 }),
          fc.array(step, { maxLength: 5 }),
          fc.array(step, { maxLength: 5 }),
          (first, second, third) => {
            const { graph, a, b } = sources();
            for (const one of first) run(one, { a, b });
            const collection = graph.batch(() => {
              for (const one of second) run(one, { a, b });
              const made = kind.make(a, b);
              for (const one of third) run(one, { a, b });
              return made;
            });
            assert.deepEqual(byKey(collection.snapshot()), byKey(kind.expected(a.snapshot(), b.snapshot())));
          },
        ),
        { numRuns: 100 },
      );
    });

    it('stops when it is disposed of', () => {
      const { a, b } = sources();
      a.set('k1', 1);
      const collection = kind.make(a, b);
      if (collection === a) return;
      collection.dispose();
      const before = byKey(collection.snapshot());
      a.set('k1', 5);
      b.set('k1', 5);
      assert.deepEqual(byKey(collection.snapshot()), before);
    });
  });
}
