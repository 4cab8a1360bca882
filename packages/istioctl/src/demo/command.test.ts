import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEMO_HELP, readDemoCommand } from './command.ts';
import { DemoError } from './start.ts';

test('only "start" starts anything', () => {
  assert.deepEqual(readDemoCommand(['start']), { action: 'start', addons: false });
  assert.deepEqual(readDemoCommand(['start', '--addons']), { action: 'start', addons: true });
  assert.deepEqual(readDemoCommand(['stop', '--wipe']), { action: 'stop', words: ['--wipe'] });
  for (const words of [[], ['help'], ['--help'], ['-h'], ['start', '--help'], ['stop', '-h']])
    assert.deepEqual(readDemoCommand(words), { action: 'help' }, words.join(' '));
  assert.match(DEMO_HELP, /start \[--addons\][\s\S]*stop \[--wipe\]/);
});

test('what it does not know is named', () => {
  assert.throws(
    () => readDemoCommand(['start', '--addon']),
    new DemoError('npm start does not know --addon: there is npm start -- --addons'),
  );
  assert.throws(() => readDemoCommand(['up']), /does not know up/);
});
