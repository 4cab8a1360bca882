import { VERSION } from '@istio-ts/api/version';
import { runAgent } from '../agent.ts';
import { helperProgram } from '../certificates/helper-process.ts';
import { readSettings } from '../environment.ts';
import { readInputs } from '../inputs.ts';
import type { Logger } from '../log.ts';
import { unbuiltWarnings } from '../unbuilt-environment.ts';
import { UsageError } from './arguments.ts';
import type { FlagSpec, ParsedArguments } from './arguments.ts';

/** Flags of `pilot-agent proxy`; names and defaults are Istio's. */
export const PROXY_FLAGS: readonly FlagSpec[] = [
  { name: 'concurrency', kind: 'integer', help: 'Number of worker threads, 0 for one per CPU' },
  { name: 'domain', kind: 'text', help: 'DNS domain of the proxy, default NAMESPACE.svc.cluster.local' },
  { name: 'meshConfig', kind: 'text', default: './etc/istio/config/mesh', help: 'File with the mesh configuration' },
  { name: 'outlierLogPath', kind: 'text', help: 'File for outlier detection events' },
  { name: 'profiling', kind: 'boolean', default: 'true', help: 'Accepted for compatibility' },
  { name: 'proxyComponentLogLevel', kind: 'text', help: "Envoy's log levels by component" },
  { name: 'proxyLogLevel', kind: 'text', default: 'warning', help: "Envoy's log level" },
  { name: 'serviceCluster', kind: 'text', default: 'istio-proxy', help: 'Service cluster' },
  { name: 'stsPort', kind: 'integer', default: '0', help: 'Accepted for compatibility' },
  { name: 'templateFile', kind: 'text', help: 'Accepted for compatibility: the bootstrap is no template' },
  { name: 'tokenManagerPlugin', kind: 'text', help: 'Accepted for compatibility' },
];

const ROLES = ['sidecar', 'router', 'waypoint'] as const;

/** Runs the proxy; gives the exit code. */
export async function runProxy(args: ParsedArguments, log: Logger): Promise<number> {
  const [word = 'sidecar', ...rest] = args.positionals;
  const role = ROLES.find((candidate) => candidate === word);
  if (role === undefined || rest.length > 0)
    throw new UsageError(`proxy role must be one of ${ROLES.join(', ')}, not "${args.positionals.join(' ')}"`);
  const signals = listenForSignals();
  const settings = readSettings(
    {
      role,
      domain: args.text('domain') || undefined,
      serviceCluster: args.text('serviceCluster') || undefined,
      proxyLogLevel: args.text('proxyLogLevel'),
      proxyComponentLogLevel: args.text('proxyComponentLogLevel') || undefined,
      concurrency:
        args.given('concurrency') && args.integer('concurrency') >= 0 ? args.integer('concurrency') : undefined,
      outlierLogPath: args.text('outlierLogPath') || undefined,
      templateFile: args.text('templateFile') || undefined,
    },
    await readInputs(process.env, args.text('meshConfig')),
  );
  for (const warning of unbuiltWarnings(process.env)) log.warn(warning);
  const cpus = Number(process.env.ISTIO_CPU_LIMIT) || 0;
  return runAgent({ settings, version: VERSION, log, signals, cpus, helper: helperProgram(process.argv[1] ?? '') });
}

function listenForSignals(): { readonly first: Promise<string>; readonly second: Promise<string> } {
  let count = 0;
  let onFirst: (name: string) => void = () => undefined;
  let onSecond: (name: string) => void = () => undefined;
  const first = new Promise<string>((resolve) => {
    onFirst = resolve;
  });
  const second = new Promise<string>((resolve) => {
    onSecond = resolve;
  });
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => (count++ === 0 ? onFirst(name) : onSecond(name)));
  return { first, second };
}
