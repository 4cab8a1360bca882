import { parseArgs } from 'node:util';
import { builtIstiod } from '../../e2e/support/istiod-process.ts';

const HELP = `Many simulated sidecars on one istiod: time, CPU and memory until all have their configuration, and what one change costs.

Usage: npm run bench -- xds [flags]

  --sizes LIST         SERVICESxPROXIES, separated by commas (default 100x50,1000x200,1000x1000,5000x200)
  --quick              only 100x50 and 1000x200
  --clients LIST       who loads istiod, one after the other (default hosts):
                         hosts         own client, routes host by host, as sidecars of istio-ts take them
                         whole         own client, whole route configurations, as any other proxy takes them
                         xdsload       the load generator ../shared/bench/xdsload, delta xDS (whole routes)
                         xdsload-sotw  the same, state of the world
  --whole              adds whole to the clients
  --xdsload PROGRAM    the program, 'yes' to build it (needs Go) in a temporary folder; adds xdsload to the clients where they have none
  --changes LIST       of endpoint, virtualservice, destinationrule, service (default all)
  --hindered           measures the changes once more while one proxy acknowledges after 2 s and one reads nothing any more
  --reps N             measured repetitions of each change (default 10)
  --api-server KIND    local: that of the local cluster (default)
                       real: Kubernetes' own, with etcd; binaries in $KUBE_HOME/bin (../shared/kubernetes/build.sh)
  --kubeconfig FILE    an API server that runs already; what is seeded there stays, for the next run
  --unseed             with --kubeconfig: removes at the end what was seeded
  --program FILE       another pilot-discovery.mjs
  --profile FOLDER     writes istiod's CPU profiles there

With --api-server real and --kubeconfig the definitions of Istio's kinds are installed where they are missing. The machine should do
nothing else: every table says how busy it was.`;

const CLIENTS = ['hosts', 'whole', 'xdsload', 'xdsload-sotw'] as const;
export type Client = (typeof CLIENTS)[number];

export interface Options {
  readonly sizes: readonly { readonly services: number; readonly proxies: number }[];
  readonly clients: readonly Client[];
  /** The program of xdsload; undefined: build it. */
  readonly xdsload: string | undefined;
  readonly changes: readonly string[];
  readonly reps: number;
  readonly hindered: boolean;
  readonly apiServer: { readonly kind: 'local' | 'real' } | { readonly kind: 'running'; readonly kubeconfig: string };
  readonly unseed: boolean;
  readonly program: string;
  readonly profile: string | undefined;
}

/** A flag that cannot be used, or the help that was asked for. */
export class OptionsError extends Error {}

const CHANGES = ['endpoint', 'virtualservice', 'destinationrule', 'service'];

function listOf<T extends string>(flag: string, text: string, known: readonly T[]): readonly T[] {
  return text.split(',').map((word) => {
    const found = known.find((one) => one === word);
    if (found === undefined) throw new OptionsError(`--${flag}: '${word}' is none of ${known.join(', ')}`);
    return found;
  });
}

/** Reads the flags. Raises {@link OptionsError}; for `--help` with the help as its message. */
export function readOptions(words: readonly string[]): Options {
  let flags: ReturnType<typeof parse>;
  try {
    flags = parse(words);
  } catch (error) {
    throw new OptionsError(`${(error as Error).message}\nnpm run bench -- xds --help lists the flags`);
  }
  if (flags.help) throw new OptionsError(HELP);
  const sizes = (flags.sizes ?? (flags.quick ? '100x50,1000x200' : '100x50,1000x200,1000x1000,5000x200'))
    .split(',')
    .map((text) => {
      const [, services, proxies] = /^([1-9]\d*)x([1-9]\d*)$/.exec(text) ?? [];
      if (services === undefined) throw new OptionsError(`--sizes: '${text}' has not the form SERVICESxPROXIES`);
      return { services: Number(services), proxies: Number(proxies) };
    });
  const reps = Number(flags.reps);
  if (!Number.isInteger(reps) || reps < 1)
    throw new OptionsError(`--reps: '${flags.reps}' is no number from 1 upwards`);
  const kind = flags['api-server'];
  if (kind !== 'local' && kind !== 'real') throw new OptionsError(`--api-server: '${kind}' is neither local nor real`);
  const clients = new Set(listOf('clients', flags.clients, CLIENTS));
  if (flags.whole) clients.add('whole');
  if (flags.xdsload !== undefined && flags.xdsload !== 'no' && !clients.has('xdsload-sotw')) clients.add('xdsload');
  return {
    sizes,
    clients: CLIENTS.filter((one) => clients.has(one)),
    xdsload: flags.xdsload === 'yes' || flags.xdsload === 'no' ? undefined : flags.xdsload,
    changes: flags.changes === undefined ? CHANGES : listOf('changes', flags.changes, CHANGES),
    reps,
    hindered: flags.hindered,
    apiServer: flags.kubeconfig === undefined ? { kind } : { kind: 'running', kubeconfig: flags.kubeconfig },
    unseed: flags.unseed,
    program: flags.program,
    profile: flags.profile,
  };
}

function parse(words: readonly string[]) {
  return parseArgs({
    args: [...words],
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      quick: { type: 'boolean', default: false },
      sizes: { type: 'string' },
      clients: { type: 'string', default: 'hosts' },
      whole: { type: 'boolean', default: false },
      xdsload: { type: 'string' },
      reps: { type: 'string', default: '10' },
      hindered: { type: 'boolean', default: false },
      changes: { type: 'string' },
      program: { type: 'string', default: builtIstiod },
      profile: { type: 'string' },
      'api-server': { type: 'string', default: 'local' },
      kubeconfig: { type: 'string' },
      unseed: { type: 'boolean', default: false },
    },
  }).values;
}
