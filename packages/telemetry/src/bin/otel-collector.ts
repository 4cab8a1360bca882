import { runProgram } from '@istio-ts/command-line/program';
import type { OtelRecord } from '../otel-logs/records.ts';
import { startOtelLogs } from '../otel-logs/server.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

/** Prints a record as one line: its body, and its attributes where it has any. */
function print({ body, attributes }: OtelRecord): void {
  const text = typeof body === 'string' ? body.trimEnd() : JSON.stringify(body);
  const labels = Object.keys(attributes).length > 0 ? ` ${JSON.stringify(attributes)}` : '';
  process.stdout.write(`${text}${labels}\n`);
}

const program = {
  name: 'otel-collector',
  description:
    'Stands in for the OpenTelemetry collector where its logs are to be seen: takes logs by OTLP over gRPC and prints them. Traces and metrics it does not take.',
  commonFlags: [],
  commands: {
    server: {
      usage: 'otel-collector server [flags]',
      description: 'Prints the body of each log record, and its attributes as JSON.',
      flags: async () => [
        { name: 'host', kind: 'text' as const, default: '::', help: 'Address to listen on' },
        { name: 'port', kind: 'integer' as const, default: '4317', help: 'Port of the gRPC server' },
        { name: 'config', kind: 'text' as const, default: '', help: "The collector's configuration file; not used" },
      ],
      run: async (args: { text(name: string): string; integer(name: string): number }) => {
        const ended = Promise.withResolvers<number>();
        const service = await startOtelLogs({
          host: args.text('host'),
          port: args.integer('port'),
          receive: print,
          onError: (error) => output.err(`${error instanceof Error ? error.message : error}\n`),
        });
        output.err(`otel-collector takes logs on ${args.text('host')}:${service.port} and prints them\n`);
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
