import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { switchedOn, withSwitches } from './program.ts';

function program(): Command {
  const command = new Command('p');
  switchedOn(command.command('open'), 'browser', 'open a browser');
  command.command('remove').option('--purge').option('--set <setting>').option('--label <text>');
  return command;
}

test('switches may be written as Go writes them', () => {
  assert.deepEqual(withSwitches(['open', '--browser=false'], program()), ['open', '--no-browser']);
  assert.deepEqual(withSwitches(['open', '--browser=true'], program()), ['open', '--browser']);
  assert.deepEqual(withSwitches(['remove', '--purge=true'], program()), ['remove', '--purge']);
  assert.deepEqual(withSwitches(['remove', '--purge=false'], program()), ['remove']);
});

test('values of other options and words after -- stay', () => {
  const words = ['remove', '--set=a=true', '--label=true', '--unknown=true', '--', '--purge=true'];
  assert.deepEqual(withSwitches(words, program()), words);
});
