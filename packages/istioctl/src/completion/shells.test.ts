import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFile, spawn, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { completionScript, type Shell } from '@istio-ts/command-line/completion-scripts';

const run = promisify(execFile);
const home = mkdtempSync(join(tmpdir(), 'completion-'));
after(() => rmSync(home, { recursive: true, force: true }));

// An istioctl that runs from its sources, on a PATH of its own, without any cluster; and a folder with files to complete.
const program = join(home, 'istioctl');
writeFileSync(
  program,
  `#!/bin/sh\nexec '${process.execPath}' '${join(import.meta.dirname, '../bin/istioctl.ts')}' "$@"\n`,
);
chmodSync(program, 0o755);
const files = join(home, 'files');
mkdirSync(join(files, 'folder'), { recursive: true });
for (const name of ['mesh-a.yaml', 'mesh-b.yaml']) writeFileSync(join(files, name), '');
const env = {
  ...process.env,
  HOME: home,
  PATH: `${home}${delimiter}${process.env.PATH}`,
  KUBECONFIG: join(home, 'none'),
  TERM: 'dumb',
  COLUMNS: '150',
};
const script = (shell: Shell): string => {
  const file = join(home, `completion.${shell}`);
  writeFileSync(file, completionScript(shell, 'istioctl', true));
  return file;
};
const absent = (...programs: readonly string[]): string | false => {
  const missing = programs.filter((name) => spawnSync(name, ['--version']).error !== undefined);
  return missing.length > 0 && `not installed here: ${missing.join(', ')}`;
};

/** A shell on a terminal, into which a test types. */
function terminal(command: string) {
  const shell: ChildProcessWithoutNullStreams = spawn('script', ['-qfec', command, '/dev/null'], { env, cwd: files });
  let screen = '';
  shell.stdout.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
  });
  return {
    type: (keys: string) => {
      screen = '';
      shell.stdin.write(keys);
    },
    /** Waits until all words are on the screen. */
    shows: async (...words: readonly string[]) => {
      const deadline = Date.now() + 120_000;
      // Terminals draw with escape sequences and wrap lines; neither is what a reader sees.
      const seen = () => screen.replace(/\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|[\r\x07]/g, '');
      while (!words.every((word) => seen().includes(word))) {
        if (Date.now() > deadline) assert.fail(`the terminal never showed ${words.join(' and ')} but\n${seen()}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      return seen();
    },
    end: () => new Promise((resolve) => shell.once('close', resolve) && shell.kill('SIGKILL')),
  };
}

describe('completion in bash', { skip: absent('bash') }, () => {
  /** The replies for a line, with the cursor at its end and words cut as readline cuts them. */
  const replies = async (line: string, words: readonly string[]): Promise<readonly string[]> => {
    const { stdout } = await run(
      'bash',
      [
        '--norc',
        '--noprofile',
        '-c',
        `source "$1"; shift; COMP_LINE=$1; COMP_POINT=\${#COMP_LINE}; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); __istioctl_complete; printf "%s\\n" "\${COMPREPLY[@]}"`,
        'bash',
        script('bash'),
        line,
        ...words,
      ],
      { env, cwd: files },
    );
    return stdout.split('\n').filter(Boolean).sort();
  };

  test('commands, and aliases where no command fits', async () => {
    assert.deepEqual(await replies('istioctl proxy-', ['istioctl', 'proxy-']), ['proxy-config', 'proxy-status']);
    assert.deepEqual(await replies('istioctl pc', ['istioctl', 'pc']), ['pc']);
    assert.deepEqual(await replies('istioctl pc boo', ['istioctl', 'pc', 'boo']), ['bootstrap']);
  });

  test('a value behind an equals sign, which bash takes for a word of its own', async () => {
    assert.deepEqual(await replies('istioctl pc r --output=js', ['istioctl', 'pc', 'r', '--output', '=', 'js']), [
      'json',
    ]);
    assert.deepEqual(
      await replies('istioctl install --set profile=dem', ['istioctl', 'install', '--set', 'profile', '=', 'dem']),
      ['demo'],
    );
  });

  test('files where a file is wanted', async () => {
    assert.deepEqual(await replies('istioctl install -f mesh', ['istioctl', 'install', '-f', 'mesh']), [
      'mesh-a.yaml',
      'mesh-b.yaml',
    ]);
    assert.deepEqual(await replies('istioctl install -d f', ['istioctl', 'install', '-d', 'f']), ['folder']);
  });

  test('on a terminal', { skip: absent('script') }, async () => {
    const bash = terminal('bash --norc --noprofile -i');
    try {
      bash.type(`PS1='$ '; source '${script('bash')}'; echo rea''dy\n`);
      await bash.shows('ready');
      bash.type('istioctl proxy-\t\t');
      await bash.shows('proxy-config', 'proxy-status', '(');
      bash.type('\x15istioctl vers\t--remote=fal\t');
      await bash.shows('istioctl version --remote=false');
    } finally {
      await bash.end();
    }
  });
});

describe('completion in zsh', { skip: absent('zsh', 'script') }, () => {
  test('on a terminal', async () => {
    const zsh = terminal('zsh -f -i');
    try {
      zsh.type(`PS1='$ '; autoload -Uz compinit; compinit -D; source '${script('zsh')}'; echo rea''dy\n`);
      await zsh.shows('ready');
      zsh.type('istioctl proxy-\t');
      await zsh.shows('proxy-config', 'proxy-status', 'which proxies are connected');
      zsh.type('\x15istioctl vers\t');
      await zsh.shows('ion');
      zsh.type('\x15istioctl pc r --output=js\t');
      await zsh.shows('on');
      zsh.type('\x15istioctl install -f mesh\t\t');
      await zsh.shows('mesh-a.yaml', 'mesh-b.yaml');
    } finally {
      await zsh.end();
    }
  });

  test('found by compinit in a folder of functions', async () => {
    const folder = join(home, 'functions');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, '_istioctl'), completionScript('zsh', 'istioctl', false));
    const zsh = terminal('zsh -f -i');
    try {
      zsh.type(`PS1='$ '; fpath=('${folder}' $fpath); autoload -Uz compinit; compinit -D -u; echo rea''dy\n`);
      await zsh.shows('ready');
      zsh.type('istioctl proxy-\t');
      await zsh.shows('proxy-config', 'proxy-status');
    } finally {
      await zsh.end();
    }
  });
});

describe('completion in fish', { skip: absent('fish') }, () => {
  const replies = async (line: string): Promise<readonly string[]> => {
    const { stdout } = await run('fish', ['--no-config', '-c', `source ${script('fish')}; complete -C '${line}'`], {
      env,
      cwd: files,
    });
    return stdout.split('\n').filter(Boolean).sort();
  };
  test('commands with their descriptions, values, files', async () => {
    const [first = ''] = await replies('istioctl proxy-con');
    assert.match(first, /^proxy-config\t\S/);
    assert.deepEqual(await replies('istioctl pc r -o js'), ['json']);
    assert.deepEqual(await replies('istioctl pc r --output=js'), ['--output=json']);
    assert.deepEqual(await replies('istioctl install -f mesh'), ['mesh-a.yaml', 'mesh-b.yaml']);
  });
});
