import { join } from 'node:path';
import { VERSION } from '@istio-ts/api/version';
import { runProgram } from '@istio-ts/command-line/program';
import { versionText } from '@istio-ts/command-line/version';
import { createKubeClient, loadKubeConfig } from '@istio-ts/kube';
import { type RunningConsole, startConsole } from '../server.ts';
import { consoleFlags, readSettings } from '../settings.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};
/** Beside the program: dist/bin/console.mjs has its data in dist/data. */
const data = join(import.meta.dirname, '..', 'data');
const log = (line: string): void => output.out(`${new Date().toISOString()} ${line}\n`);

async function serve(args: Parameters<typeof readSettings>[0]): Promise<number> {
  const settings = readSettings(args);
  const config = loadKubeConfig({
    env: process.env,
    preferInCluster: settings.kubeconfig === undefined,
    ...(settings.kubeconfig !== undefined && { kubeconfig: settings.kubeconfig }),
    ...(settings.context !== undefined && { context: settings.context }),
  });
  const client = createKubeClient(config, { userAgent: 'istio-console' });
  const ended = Promise.withResolvers<number>();
  let running: RunningConsole | undefined;
  // From the beginning: as the first process of a container it would not be ended by a signal that it does not handle.
  const stop = (): void => {
    if (!running) process.exit(0);
    running.close().then(() => ended.resolve(0), ended.reject);
    running = undefined;
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  running = await startConsole({
    settings,
    config,
    client,
    pagesDir: settings.pagesDir ?? join(data, 'console'),
    dashboardsDir: settings.dashboardsDir ?? join(data, 'dashboards'),
    now: Date.now,
    log,
  });
  log(
    `the console listens on ${settings.host}:${running.port}, authentication: ${settings.strategy}${settings.readOnly ? ', read only' : ''}`,
  );
  const code = await ended.promise;
  client.close();
  return code;
}

const program = {
  name: 'console',
  description: 'The web application of the mesh: graph, health, configuration, traces, logs and proxies.',
  commonFlags: [],
  commands: {
    server: {
      usage: 'console server [flags]',
      description: 'Serves the console.',
      flags: async () => consoleFlags(process.env),
      run: serve,
    },
    version: {
      usage: 'console version [flags]',
      description: 'Prints the version.',
      flags: async () => [
        { name: 'short', short: 's', kind: 'boolean', help: 'Only the number' } as const,
        { name: 'output', short: 'o', kind: 'text', help: 'yaml or json' } as const,
      ],
      run: async (args: Parameters<typeof versionText>[1]) => {
        output.out(versionText(VERSION, args));
        return 0;
      },
    },
  },
};
// Flags alone mean: serve. That is how images are started.
const words = process.argv.slice(2);
const [first] = words;
const asked =
  first === undefined || (first.startsWith('-') && first !== '--help' && first !== '-h') ? ['server', ...words] : words;
runProgram(program, asked, output).then(
  (code) => {
    process.exitCode = code;
  },
  (error: Error) => {
    output.err(`${error.stack ?? error.message}\n`);
    process.exitCode = 1;
  },
);
