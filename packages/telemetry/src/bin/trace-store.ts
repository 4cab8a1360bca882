import { VERSION } from '@istio-ts/api/version';
import type { ParsedArguments } from '@istio-ts/command-line/arguments';
import { runProgram } from '@istio-ts/command-line/program';
import { startTraceServer } from '../traces/server.ts';
import { DEFAULT_LIMITS } from '../traces/store.ts';

const output = {
  out: (text: string) => void process.stdout.write(text),
  err: (text: string) => void process.stderr.write(text),
};

const ports = (written: string): readonly number[] =>
  written
    .split(',')
    .filter((port) => port !== '')
    .map(Number);

const MIB = 1024 * 1024;

const program = {
  name: 'trace-store',
  description:
    "Keeps the mesh's traces in memory: receives Zipkin, OTLP, Jaeger, SkyWalking and Datadog, answers Jaeger's and Zipkin's query APIs.",
  commonFlags: [],
  commands: {
    server: {
      usage: 'trace-store server [flags]',
      description: 'Receives spans and answers queries.',
      flags: async () => [
        { name: 'host', kind: 'text' as const, default: '::', help: 'Address to listen on' },
        {
          name: 'http-ports',
          kind: 'text' as const,
          default: '9411,16686,4318,14268,14269,8126',
          help: 'Ports that answer HTTP: spans of every protocol, queries and health, each on all of them',
        },
        {
          name: 'grpc-ports',
          kind: 'text' as const,
          default: '4317,11800,14250,16685',
          help: "Ports that speak gRPC: spans and Jaeger's query API, each on all of them",
        },
        {
          name: 'base-path',
          kind: 'text' as const,
          default: process.env.QUERY_BASE_PATH ?? '/jaeger',
          help: "Path of Jaeger's query API, as in the environment variable QUERY_BASE_PATH",
        },
        {
          name: 'max-traces',
          kind: 'integer' as const,
          default: process.env.MEMORY_MAX_TRACES ?? String(DEFAULT_LIMITS.maxTraces),
          help: 'Most traces that are kept, as in the environment variable MEMORY_MAX_TRACES',
        },
        { name: 'max-spans', kind: 'integer' as const, default: String(DEFAULT_LIMITS.maxSpans), help: 'Most spans' },
        {
          name: 'max-mebibytes',
          kind: 'integer' as const,
          default: String(DEFAULT_LIMITS.maxBytes / MIB),
          help: 'Most memory that spans take, estimated',
        },
        {
          name: 'max-age-minutes',
          kind: 'integer' as const,
          default: String(DEFAULT_LIMITS.maxAgeMs / 60_000),
          help: 'A trace is forgotten when it has had no new span for so long',
        },
      ],
      run: async (args: ParsedArguments) => {
        const ended = Promise.withResolvers<number>();
        const server = await startTraceServer({
          host: args.text('host'),
          httpPorts: ports(args.text('http-ports')),
          grpcPorts: ports(args.text('grpc-ports')),
          basePath: args.text('base-path'),
          version: VERSION,
          limits: {
            ...DEFAULT_LIMITS,
            maxTraces: args.integer('max-traces'),
            maxSpans: args.integer('max-spans'),
            maxBytes: args.integer('max-mebibytes') * MIB,
            maxAgeMs: args.integer('max-age-minutes') * 60_000,
          },
          onError: (error) => output.err(`${error instanceof Error ? (error.stack ?? error.message) : error}\n`),
        });
        output.err(`trace-store listens: HTTP ${server.httpPorts.join(', ')}; gRPC ${server.grpcPorts.join(', ')}\n`);
        const stop = (): void => void server.close().then(() => ended.resolve(0), ended.reject);
        process.once('SIGTERM', stop);
        process.once('SIGINT', stop);
        return ended.promise;
      },
    },
  },
};

process.exit(await runProgram(program, process.argv.slice(2), output));
