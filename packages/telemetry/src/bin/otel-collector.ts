import { readFileSync } from 'node:fs';
import { runProgram } from '@istio-ts/command-line/program';
import { CollectorConfigError, readCollectorConfig } from '../collector/config.ts';
import { startCollector } from '../collector/server.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

/** Writes a line; a promise while whoever reads the output is slow. */
function print(line: string): Promise<void> | undefined {
  if (process.stdout.write(`${line}\n`)) return undefined;
  return new Promise((resolve) => process.stdout.once('drain', resolve));
}

/** Without a configuration: takes all that comes by OTLP and prints it. */
const PRINT_ALL = `
receivers: {otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}, http: {endpoint: "0.0.0.0:4318"}}}}
exporters: {debug: {}}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [debug]}
    metrics: {receivers: [otlp], exporters: [debug]}
    logs: {receivers: [otlp], exporters: [debug]}
`;

const program = {
  name: 'otel-collector',
  description:
    "Stands in for the OpenTelemetry collector: takes traces, metrics and logs by OTLP and hands them on as a collector's configuration says, as far as that is built.",
  commonFlags: [],
  commands: {
    server: {
      usage: 'otel-collector server [flags]',
      description:
        'Receives OTLP by gRPC and HTTP; sends it on by OTLP, to Zipkin or Loki, shows metrics to Prometheus, or prints it. What the configuration asks for beside that is refused, with its place.',
      flags: async () => [
        {
          name: 'config',
          kind: 'text' as const,
          default: '',
          help: "The collector's configuration file; without one all is printed",
        },
      ],
      run: async (args: { text(name: string): string }) => {
        const ended = Promise.withResolvers<number>();
        const file = args.text('config').replace(/^file:/, '');
        let config: ReturnType<typeof readCollectorConfig>;
        try {
          config = readCollectorConfig(file === '' ? PRINT_ALL : readFileSync(file, 'utf8'), process.env);
        } catch (error) {
          if (!(error instanceof CollectorConfigError) && (error as NodeJS.ErrnoException).code === undefined)
            throw error;
          output.err(`otel-collector: ${file}: ${(error as Error).message}\n`);
          return 1;
        }
        const collector = await startCollector({
          config,
          print,
          now: Date.now,
          onError: (message) => output.err(`${message}\n`),
        });
        const pipelines = config.pipelines.map(
          ({ signal, exporters }) => `${signal} to ${exporters.map(({ name }) => name).join(' and ')}`,
        );
        output.err(
          `istio-ts in the place of the OpenTelemetry collector: OTLP by gRPC on ${collector.grpcPort ?? 'no port'}, by HTTP on ${collector.httpPort ?? 'no port'}; ${pipelines.join(', ')}\n`,
        );
        const stop = (): void => void collector.close().then(() => ended.resolve(0), ended.reject);
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
