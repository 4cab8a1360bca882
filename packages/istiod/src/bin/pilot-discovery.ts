import { VERSION } from '@istio-ts/api/version';
import { UsageError } from '@istio-ts/command-line/arguments';
import { runProgram } from '@istio-ts/command-line/program';
import { versionText } from '@istio-ts/command-line/version';
import { environmentWarnings } from '../environment.ts';
import { DISCOVERY_FLAGS, withoutEffect } from '../flags.ts';
import { type Discovery, startDiscovery } from '../process/discovery.ts';
import { SettingsError } from '../setting-values.ts';
import { parseDiscoveryFlags, parseSettings } from '../settings.ts';

const out = (text: string) => void process.stdout.write(text);
const err = (text: string) => void process.stderr.write(text);

const vklog = {
  name: 'vklog',
  kind: 'text',
  help: 'Level of the log of the Kubernetes client (has no effect)',
} as const;
const words = process.argv.slice(2);

process.exitCode = await runProgram(
  {
    name: 'pilot-discovery',
    description: 'The control plane of the mesh.',
    commonFlags: [],
    commands: {
      discovery: {
        usage: 'pilot-discovery discovery [flags]',
        description: 'Runs istiod.',
        flags: async () => DISCOVERY_FLAGS,
        run: async () => discovery(words.slice(1)),
      },
      request: {
        usage: 'pilot-discovery request METHOD PATH [flags]',
        description: 'Asks the debug server of this pod.',
        flags: async () => [vklog],
        run: async ({ positionals }) => request(positionals),
      },
      version: {
        usage: 'pilot-discovery version [flags]',
        description: 'Prints the version.',
        flags: async () => [
          { name: 'output', short: 'o', kind: 'text', help: 'yaml or json' },
          { name: 'short', short: 's', kind: 'boolean', help: 'Only the version' },
          vklog,
        ],
        run: async (args) => {
          out(versionText(VERSION, args));
          return 0;
        },
      },
    },
  },
  words,
  { out, err },
);

async function request(positionals: readonly string[]): Promise<number> {
  const [method = 'GET', path = '/debug', ...rest] = positionals;
  if (rest.length > 0)
    throw new UsageError('usage: pilot-discovery request METHOD PATH, for example: request GET /debug/syncz');
  try {
    const answer = await fetch(`http://127.0.0.1:8080${path.startsWith('/') ? path : `/${path}`}`, { method });
    out(await answer.text());
    return answer.ok ? 0 : 1;
  } catch (error) {
    const { message, cause } = error as Error;
    throw new Error(`istiod does not answer on 127.0.0.1:8080: ${cause instanceof Error ? cause.message : message}`);
  }
}

/** Runs istiod until a signal ends it. */
async function discovery(flags: readonly string[]): Promise<number> {
  let running: Discovery | undefined;
  let graceMs = 0;
  let stopping = false;
  // From the beginning: as the first process of a container it would not be ended by a signal that it does not handle. A second one is in a hurry.
  const stop = (): void => {
    if (!running || stopping) process.exit(0);
    stopping = true;
    running.close(graceMs).then(
      () => process.exit(0),
      (error: Error) => {
        err(`${error.stack ?? error.message}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    const settings = parseSettings(flags, process.env);
    const { given } = parseDiscoveryFlags(flags);
    for (const name of withoutEffect(given)) err(`Warning: --${name} has no effect\n`);
    for (const warning of environmentWarnings(process.env)) err(`Warning: ${warning}\n`);
    graceMs = settings.shutdownMs;
    running = await startDiscovery(settings, process.env, process.argv.slice(2));
    return 0;
  } catch (error) {
    if (error instanceof SettingsError) throw error;
    err(`${(error as Error).stack ?? error}\n`);
    process.exit(1);
  }
}
