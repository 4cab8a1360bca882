import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from './arguments.ts';
import { type Program, runProgram } from './program.ts';

async function run(...words: readonly string[]) {
  let out = '';
  let err = '';
  const seen: string[] = [];
  const program: Program = {
    name: 'p',
    description: 'A program.',
    commonFlags: [{ name: 'log', kind: 'text', default: 'info', help: 'How much' }],
    commands: {
      serve: {
        usage: 'p serve [flags]',
        description: 'Serves.',
        flags: async () => [{ name: 'port', short: 'p', kind: 'integer', default: '80', help: 'Where' }],
        run: async (args) => {
          if (args.positionals.length > 0) throw new UsageError('no words');
          if (args.integer('port') === 0) throw Object.assign(new Error('no port'), { exitCode: 126 });
          seen.push(`${args.integer('port')} ${args.text('log')}`);
          return 3;
        },
      },
    },
  };
  const code = await runProgram(program, words, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
  });
  return { code, out, err, seen };
}

test('a command runs with its flags and those of all, and its result is the exit code', async () => {
  assert.deepEqual((await run('serve', '-p=8', '--log', 'debug')).seen, ['8 debug']);
  assert.equal((await run('serve')).code, 3);
});

test('an error may say with which code the program ends', async () => {
  const { code, err } = await run('serve', '--port=0');
  assert.deepEqual([code, err], [126, 'Error: no port\n']);
});

test('help names commands, flags and defaults', async () => {
  for (const words of [[], ['help'], ['--help']]) assert.match((await run(...words)).out, /serve +Serves\./);
  for (const words of [
    ['serve', '-h'],
    ['help', 'serve'],
  ]) {
    const { code, out } = await run(...words);
    assert.equal(code, 0);
    assert.match(out, /-p, --port int +Where \(default 80\)/);
  }
});

test('what is wrong with a command line is said, with exit code 1', async () => {
  const unknown = await run('sreve');
  assert.equal(unknown.code, 1);
  assert.match(unknown.err, /unknown command "sreve"/);
  assert.match((await run('serve', '--nothing')).err, /unknown flag: --nothing\nRun "p serve --help"/);
  assert.match((await run('serve', 'x')).err, /no words/);
});

test('shells get a script, and candidates for what stands before the cursor', async () => {
  assert.match((await run('completion', 'bash')).out, /complete -F __p_complete p\n/);
  assert.match((await run('completion', 'tcsh')).err, /name one shell/);
  assert.equal((await run('__complete', '--', 's')).out, 'serve\tServes.\n:words\n');
  assert.equal((await run('__complete', '--', 'serve', '--p')).out, '--port\tWhere\n:words\n');
  assert.equal((await run('__complete', '--', 'serve', '--port', '')).out, ':files\n');
  assert.equal((await run('__complete', '--', 'completion', 'z')).out, 'zsh\n:words\n');
});
