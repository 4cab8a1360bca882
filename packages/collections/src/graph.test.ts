import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { cell, Graph, index, map, SourceCell, SourceCollection, structurallyEqual } from './index.ts';

describe('propagation', () => {
  it('recomputes only the keys that depend on a change', () => {
    const graph = new Graph();
    const a = new SourceCollection<number>(graph);
    const b = new SourceCollection<number>(graph);
    for (let i = 0; i < 100; i++) a.set(`k${i}`, i);
    const computed: string[] = [];
    const sum = map(a, (v, k, f) => {
      computed.push(k);
      return v + (f.get(b, k) ?? 0);
    });
    computed.length = 0;
    a.set('k7', 70);
    b.set('k8', 1);
    b.set('elsewhere', 1);
    assert.deepEqual(computed, ['k7', 'k8']);
    assert.equal(sum.get('k8'), 9);
  });

  it('stops at an output that equals the old one, and keeps its instance', () => {
    const graph = new Graph();
    const a = new SourceCollection<{ readonly name: string; readonly heartbeat: number }>(graph);
    a.set('x', { name: 'x', heartbeat: 1 });
    const names = map(a, ({ name }) => ({ name }));
    let runs = 0;
    const after = map(names, ({ name }) => {
      runs++;
      return name;
    });
    const instance = names.get('x');
    a.set('x', { name: 'x', heartbeat: 2 });
    assert.equal(names.get('x'), instance);
    assert.equal(runs, 1);
    assert.equal(after.get('x'), 'x');
  });

  it('never shows a mixture of old and new', () => {
    const graph = new Graph();
    const source = new SourceCell(graph, 1);
    const double = cell(graph, (f) => f.value(source) * 2);
    const quadruple = cell(graph, (f) => f.value(double) * 2);
    const seen: string[] = [];
    cell(graph, (f) => {
      const text = `${f.value(source)} ${f.value(double)} ${f.value(quadruple)}`;
      seen.push(text);
      return text;
    });
    source.set(2);
    assert.deepEqual(seen, ['1 2 4', '2 4 8']);
  });

  it('tells all subscribers even when one of them fails, and goes on working', () => {
    const graph = new Graph();
    const a = new SourceCollection<number>(graph);
    const seen: number[] = [];
    a.subscribe(() => {
      throw new Error('bad subscriber');
    });
    a.subscribe(() => seen.push(a.get('x') ?? 0));
    assert.throws(() => a.set('x', 1), /bad subscriber/);
    assert.throws(() => a.set('x', 2), /bad subscriber/);
    assert.deepEqual(seen, [1, 2]);
  });

  it('lets a subscriber change a source: that is the next round', () => {
    const graph = new Graph();
    const a = new SourceCollection<number>(graph);
    const b = new SourceCollection<number>(graph);
    a.subscribe(() => b.set('copy', a.get('x') ?? 0));
    const seen: (number | undefined)[] = [];
    map(b, (v) => v).subscribe((changes) => seen.push(...changes.map((c) => c.after)));
    a.set('x', 1);
    a.set('x', 2);
    assert.deepEqual(seen, [1, 2]);
  });

  it('keeps the last good output of a transformation that throws, and says which it was', () => {
    const errors: string[] = [];
    const graph = new Graph({
      onError: ({ collection, key, error }) => errors.push(`${collection} ${key} ${String(error)}`),
    });
    const a = new SourceCollection<number>(graph);
    const parsed = map(
      a,
      (v) => {
        if (v < 0) throw new RangeError('negative');
        return v;
      },
      { name: 'parsed' },
    );
    graph.batch(() => {
      a.set('x', 1);
      a.set('y', 2);
    });
    graph.batch(() => {
      a.set('x', -1);
      a.set('y', 3);
    });
    assert.deepEqual(
      [...parsed.entries()],
      [
        ['x', 1],
        ['y', 3],
      ],
    );
    assert.deepEqual(errors, ['parsed x RangeError: negative']);
    a.delete('x');
    assert.equal(parsed.has('x'), false);
  });

  it('refuses to read what was made later', () => {
    const graph = new Graph();
    const late: { collection?: SourceCollection<number> } = {};
    const source = new SourceCell(graph, 1);
    cell(graph, (f) => [f.value(source), late.collection ? f.get(late.collection, 'x') : undefined]);
    late.collection = new SourceCollection<number>(graph);
    assert.throws(() => source.set(2), /transformation/);
  });

  it('forgets dependencies that are no longer read', () => {
    const graph = new Graph();
    const choice = new SourceCell(graph, 'a');
    const values = new SourceCollection<number>(graph);
    let runs = 0;
    const chosen = cell(graph, (f) => {
      runs++;
      return f.get(values, f.value(choice)) ?? 0;
    });
    choice.set('b');
    runs = 0;
    values.set('a', 5);
    assert.equal(runs, 0);
    values.set('b', 6);
    assert.equal(chosen.current, 6);
  });

  it('keeps lists of an index that did not change', () => {
    const graph = new Graph();
    const a = new SourceCollection<string>(graph);
    a.replace([
      ['1', 'x'],
      ['2', 'y'],
    ]);
    const groups = index(a, (v) => [v]);
    const y = groups.get('y');
    a.set('3', 'x');
    assert.equal(groups.get('y'), y);
    assert.deepEqual(groups.get('x'), ['x', 'x']);
  });
});

describe('structural equality', () => {
  it('compares plain data and nothing else', () => {
    const cases: readonly (readonly [unknown, unknown, boolean])[] = [
      [{ a: [1, { b: 2 }] }, { a: [1, { b: 2 }] }, true],
      [{ a: undefined }, {}, true],
      [{}, { a: undefined }, true],
      [{ a: 1 }, { a: 1, b: 2 }, false],
      [[1, 2], [1], false],
      [new Map([['a', [1]]]), new Map([['a', [1]]]), true],
      [
        new Map([
          ['a', 1],
          ['b', 2],
        ]),
        new Map([
          ['b', 2],
          ['a', 1],
        ]),
        false,
      ],
      [new Set([1]), new Set([1]), true],
      [new Uint8Array([1]), new Uint8Array([1]), true],
      [new Uint8Array([1]), new Uint8Array([2]), false],
      [() => 1, () => 1, false],
      [Number.NaN, Number.NaN, true],
      [null, {}, false],
      [new Date(0), new Date(0), false],
    ];
    for (const [a, b, expected] of cases) assert.equal(structurallyEqual(a, b), expected, `${String(a)} ${String(b)}`);
  });
});
