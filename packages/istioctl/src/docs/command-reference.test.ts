import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Command, Option } from 'commander';
import { commandReference } from './command-reference.ts';
import { commandTree } from './tree.ts';

test('docs/istioctl.md is what istioctl says of itself (npm run docs writes it)', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../../docs/istioctl.md'), 'utf8');
  assert.equal(page, commandReference(commandTree()));
});

test('commands, their other names, flags with defaults and examples are on the page', () => {
  const program = new Command('p');
  program
    .command('show')
    .alias('s')
    .argument('<thing...>')
    .description('shows a|b')
    .addOption(new Option('-o, --output <format>', 'short or json').default('short'))
    .addOption(new Option('--secret').hideHelp())
    .addHelpText('after', '\nExamples:\n  p show x');
  program.command('inner', { hidden: true });
  const page = commandReference(program);
  assert.match(page, /## p show\n\nshows a\\\|b \(also `s`\)\n\n```\np show <thing\.\.\.> \[flags\]\n```/);
  assert.match(page, /\| `-o, --output <format>` \| `short` \| short or json \|/);
  assert.match(page, /```\nExamples:\n {2}p show x\n```/);
  assert.doesNotMatch(page, /secret|inner/);
});
