import { runProgram } from '@istio-ts/command-line/program';
import { startMetricService } from '../metric-service/server.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

const program = {
  name: 'metric-service',
  description:
    'Receives the metrics that proxies send by gRPC (envoy.service.metrics.v3) and gives them to Prometheus.',
  commonFlags: [],
  commands: {
    server: {
      usage: 'metric-service server [flags]',
      description: 'Serves the metrics of all proxies on /metrics.',
      flags: async () => [
        { name: 'host', kind: 'text' as const, default: '::', help: 'Address to listen on' },
        { name: 'port', kind: 'integer' as const, default: '9000', help: 'Port of the gRPC server' },
        { name: 'http-port', kind: 'integer' as const, default: '9091', help: 'Port of /metrics' },
        {
          name: 'max-megabytes',
          kind: 'integer' as const,
          default: '256',
          help: 'What the metrics of all proxies may take together',
        },
        { name: 'max-nodes', kind: 'integer' as const, default: '5000', help: 'Proxies at a time' },
      ],
      run: async (args: { text(name: string): string; integer(name: string): number }) => {
        const ended = Promise.withResolvers<number>();
        const service = await startMetricService({
          host: args.text('host'),
          port: args.integer('port'),
          httpPort: args.integer('http-port'),
          maxBytes: args.integer('max-megabytes') * 1024 * 1024,
          maxNodes: args.integer('max-nodes'),
          now: Date.now,
          onError: (error) => output.err(`${error instanceof Error ? error.message : error}\n`),
        });
        output.err(`metric-service listens on ${args.text('host')}:${service.port}, /metrics on ${service.httpPort}\n`);
        const stop = (): void => void service.close().then(() => ended.resolve(0), ended.reject);
        process.once('SIGTERM', stop);
        process.once('SIGINT', stop);
        return ended.promise;
      },
    },
  },
};

process.exit(await runProgram(program, process.argv.slice(2), output));
