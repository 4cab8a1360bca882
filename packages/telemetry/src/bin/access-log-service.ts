import { runProgram } from '@istio-ts/command-line/program';
import type { AccessLogRecord } from '../access-log-service/entries.ts';
import { startAccessLogService } from '../access-log-service/server.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

/** Prints an entry as one line of JSON; a promise while whoever reads the output is slow. */
function print(record: AccessLogRecord): Promise<void> | undefined {
  if (process.stdout.write(`${JSON.stringify(record)}\n`)) return undefined;
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}

const program = {
  name: 'access-log-service',
  description: 'Receives the access logs that proxies send by gRPC (envoy.service.accesslog.v3) and prints them.',
  commonFlags: [],
  commands: {
    server: {
      usage: 'access-log-service server [flags]',
      description: 'Prints each entry as a line of JSON.',
      flags: async () => [
        { name: 'host', kind: 'text' as const, default: '::', help: 'Address to listen on' },
        { name: 'port', kind: 'integer' as const, default: '9000', help: 'Port of the gRPC server' },
      ],
      run: async (args: { text(name: string): string; integer(name: string): number }) => {
        const ended = Promise.withResolvers<number>();
        const service = await startAccessLogService({
          host: args.text('host'),
          port: args.integer('port'),
          receive: print,
          onError: (error) => output.err(`${error instanceof Error ? error.message : error}\n`),
        });
        output.err(`access-log-service listens on ${args.text('host')}:${service.port}\n`);
        const stop = (): void => void service.close().then(() => ended.resolve(0), ended.reject);
        process.once('SIGTERM', stop);
        process.once('SIGINT', stop);
        return ended.promise;
      },
    },
  },
};

// Whoever reads the lines may go away.
process.stdout.on('error', () => process.exit(0));
process.exit(await runProgram(program, process.argv.slice(2), output));
