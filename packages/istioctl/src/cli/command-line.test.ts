import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { readCommandLine } from './command-line.ts';
import { switchedOn } from './program.ts';

function program(): Command {
  const root = new Command('p').option('-n, --namespace <name>');
  switchedOn(root.command('open'), 'browser', 'open a browser');
  root.command('remove').option('--purge').option('-y, --yes').option('--set <setting>').option('--label <text>');
  const config = root.command('config').alias('c');
  config.command('routes').alias('r').argument('[pod]').option('-o, --output <format>').option('-f, --file <file>');
  return root;
}
const words = (...given: readonly string[]) => readCommandLine(given, program()).words;

test('switches may be written as Go writes them', () => {
  assert.deepEqual(words('open', '--browser=false'), ['open', '--no-browser']);
  assert.deepEqual(words('open', '--browser=true'), ['open', '--browser']);
  assert.deepEqual(words('remove', '--purge=1', '-y=T'), ['remove', '--purge', '-y']);
  assert.deepEqual(words('remove', '--purge=false'), ['remove']);
});

test('of a switch given twice the last counts', () => {
  assert.deepEqual(words('remove', '-y', '--yes=false'), ['remove']);
  assert.deepEqual(words('remove', '--yes=false', '-y'), ['remove', '-y']);
});

test('a switch with another value is refused', () => {
  assert.throws(() => words('remove', '--purge=maybe'), /--purge is a switch: "maybe" is neither true nor false/);
});

test('values of other flags and words after -- stay', () => {
  const given = ['remove', '--set=a=true', '--label=true', '--unknown=true', '--', '--purge=true'];
  assert.deepEqual(words(...given), given);
});

test('a short flag takes an equals sign', () => {
  assert.deepEqual(words('c', 'r', '-f=dump.json', '-o=json'), ['c', 'r', '-f', 'dump.json', '-o', 'json']);
});

test("flags may stand between the words of a command's path, with values that look like commands", () => {
  assert.deepEqual(words('-n', 'config', 'config', '-o', 'routes', 'routes', 'pod'), [
    'config',
    'routes',
    '-n',
    'config',
    '-o',
    'routes',
    'pod',
  ]);
});

test('the value of a flag may look like a flag', () => {
  assert.deepEqual(words('remove', '--label', '--purge=false'), ['remove', '--label', '--purge=false']);
});

test('arguments are counted, the path of the command is not', () => {
  const line = readCommandLine(['config', 'routes', '-o', 'json', 'pod'], program());
  assert.equal(line.command.name(), 'routes');
  assert.equal(line.operands, 1);
  assert.equal(readCommandLine(['config', '-n', 'x'], program()).operands, 0);
  assert.equal(readCommandLine(['config', '--', 'x'], program()).operands, 1);
});

test('a command that has left experimental is found under its old name', () => {
  const root = program();
  root.command('experimental').alias('x').command('open').option('--fast');
  const read = (...given: readonly string[]) => readCommandLine(given, root).words;
  assert.deepEqual(read('x', 'remove', '-y'), ['remove', '-y']);
  assert.deepEqual(read('experimental', 'config', 'routes'), ['config', 'routes']);
  assert.deepEqual(read('x', 'open', '--fast'), ['x', 'open', '--fast']);
});

test('flags that nobody knows and flags without their value are told apart from a parent that is only named', () => {
  const bad = (...given: readonly string[]) => readCommandLine(given, program()).bad;
  assert.deepEqual(bad('config', '-n', 'x', '-o=json', '--help'), []);
  assert.deepEqual(bad('config', '--nope=1'), ['--nope=1']);
  assert.deepEqual(bad('config', '-n'), ['-n']);
});
