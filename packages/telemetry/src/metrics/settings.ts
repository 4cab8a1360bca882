import { type FlagSpec, type ParsedArguments, UsageError } from '@istio-ts/command-line/arguments';
import { durationMs } from './promql/literals.ts';

const text = (name: string, preset: string, help: string): FlagSpec => ({
  name,
  kind: 'text',
  help,
  ...(preset !== '' && { default: preset }),
});

/** The flags of Prometheus that mean something here, so that its command line works as it is, and a few of our own. */
export const storeFlags: readonly FlagSpec[] = [
  text('config.file', 'prometheus.yml', 'Configuration file of Prometheus'),
  text(
    'web.listen-address',
    '127.0.0.1:9090',
    'Address to listen on; nobody else than this machine reaches the default',
  ),
  text('web.external-url', '', 'URL under which others reach the store; its path becomes the prefix of all paths'),
  text('web.route-prefix', '', 'Prefix of all paths'),
  { name: 'web.enable-lifecycle', kind: 'boolean', help: 'Reads the configuration anew on POST /-/reload' },
  text('storage.tsdb.retention.time', '6h', 'How long samples are kept, if there is room'),
  text('storage.tsdb.path', '', 'Taken for the sake of Prometheus’ command line: samples are kept in memory'),
  text('query.lookback-delta', '5m', 'How long a sample counts after its time'),
  text('query.timeout', '2m', 'How long a query may take'),
  {
    name: 'query.max-samples',
    kind: 'integer',
    default: '50000000',
    help: 'How many samples a query may read and produce',
  },
  { name: 'memory.max-series', kind: 'integer', default: '200000', help: 'How many series are kept; more are refused' },
  {
    name: 'memory.max-megabytes',
    kind: 'integer',
    default: '256',
    help: 'How much memory series and samples may take; the oldest go first',
  },
  text('kubeconfig', '', 'Cluster to find targets in, outside of a pod'),
  text('log.level', 'info', 'Taken for the sake of Prometheus’ command line'),
  text('log.format', 'logfmt', 'Taken for the sake of Prometheus’ command line'),
  text('web.console.libraries', '', 'Taken for the sake of Prometheus’ command line'),
  text('web.console.templates', '', 'Taken for the sake of Prometheus’ command line'),
];

export interface StoreSettings {
  readonly configFile: string;
  readonly host: string;
  readonly port: number;
  readonly prefix: string;
  readonly lifecycle: boolean;
  /** Milliseconds. */
  readonly retention: number;
  readonly lookback: number;
  readonly timeout: number;
  readonly maxSamples: number;
  readonly maxSeries: number;
  readonly maxBytes: number;
  readonly kubeconfig: string | undefined;
  readonly flags: Readonly<Record<string, string>>;
}

/** Raises UsageError. */
export function readSettings(args: ParsedArguments): StoreSettings {
  const duration = (name: string): number => {
    const value = durationMs(args.text(name));
    if (value === undefined || value <= 0)
      throw new UsageError(`--${name}: ${JSON.stringify(args.text(name))} is not a duration`);
    return value;
  };
  const positive = (name: string): number => {
    const value = args.integer(name);
    if (value < 1) throw new UsageError(`--${name}: it has to be at least 1`);
    return value;
  };
  const address = /^(.*):(\d{1,5})$/.exec(args.text('web.listen-address'));
  if (!address || Number(address[2]) > 65_535)
    throw new UsageError(`--web.listen-address: ${JSON.stringify(args.text('web.listen-address'))} is not HOST:PORT`);
  const external = args.text('web.external-url');
  const externalPath = external === '' ? '' : URL.parse(external)?.pathname;
  if (externalPath === undefined) throw new UsageError(`--web.external-url: ${JSON.stringify(external)} is not a URL`);
  const prefix = (args.text('web.route-prefix') || externalPath).replace(/\/+$/, '');
  return {
    configFile: args.text('config.file'),
    host: (address[1] ?? '').replace(/^\[(.*)\]$/, '$1') || '::',
    port: Number(address[2]),
    prefix: prefix === '' || prefix.startsWith('/') ? prefix : `/${prefix}`,
    lifecycle: args.boolean('web.enable-lifecycle'),
    retention: duration('storage.tsdb.retention.time'),
    lookback: duration('query.lookback-delta'),
    timeout: duration('query.timeout'),
    maxSamples: positive('query.max-samples'),
    maxSeries: positive('memory.max-series'),
    maxBytes: positive('memory.max-megabytes') << 20,
    kubeconfig: args.text('kubeconfig') || undefined,
    flags: Object.fromEntries(storeFlags.map(({ name }) => [name, args.text(name)])),
  };
}
