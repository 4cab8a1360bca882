import assert from 'node:assert/strict';
import { test } from 'node:test';
import { collectWhenQuiet } from './idle-collection.ts';

const MIB = 1024 * 1024;

function machine() {
  const state = { time: 0, heap: 100 * MIB, collections: 0, due: [] as { at: number; work: () => void }[] };
  const active = collectWhenQuiet({
    collect: () => {
      state.collections++;
      state.heap = 100 * MIB;
    },
    heapUsed: () => state.heap,
    now: () => state.time,
    later: (work, milliseconds) => state.due.push({ at: state.time + milliseconds, work }),
  });
  const pass = (milliseconds: number) => {
    const end = state.time + milliseconds;
    for (;;) {
      const next = state.due.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      state.due.splice(state.due.indexOf(next), 1);
      state.time = next.at;
      next.work();
    }
    state.time = end;
  };
  return { state, active, pass };
}

test('the garbage of a change is collected when the last response has been out for a while', () => {
  const { state, active, pass } = machine();
  active();
  pass(1000);
  for (let i = 0; i < 10; i++) {
    state.heap += 5 * MIB;
    active();
    pass(100);
    assert.equal(state.collections, 0, 'not while responses go out');
  }
  pass(250);
  assert.equal(state.collections, 1);
  pass(60_000);
  assert.equal(state.collections, 1);
  assert.equal(state.due.length, 0, 'nothing runs in silence');
});

test('little garbage is left to V8, and what V8 has collected itself counts', () => {
  const { state, active, pass } = machine();
  active();
  pass(1000);
  state.heap += 10 * MIB;
  active();
  pass(1000);
  assert.equal(state.collections, 0);
  state.heap = 60 * MIB;
  active();
  pass(1000);
  state.heap = 105 * MIB;
  active();
  pass(1000);
  assert.equal(state.collections, 1);
});
