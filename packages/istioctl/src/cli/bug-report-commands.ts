import { type Command, Option } from 'commander';
import { collect, collectList, type CommandGroup } from './program.ts';

/** bug-report: everything that helps to find out what is wrong with a mesh, in one archive. */
export const bugReportCommands: CommandGroup = (program, act) => {
  const report: Command = program
    .command('bug-report')
    .description('collect logs, configuration and state of the mesh into an archive')
    .option(
      '--critical-errs <pattern,...>',
      'lines of logs with this text are listed first; * stands for any text',
      collectList,
      [],
    )
    .option('--dir <folder>', 'keep the files in this folder too')
    .option('--dry-run', 'say what would be collected, write nothing')
    .option('--duration <duration>', 'logs of this long before the end, for example 2h')
    .option('--end-time <time>', 'logs until then, for example 2026-01-31T12:00:00Z (default: now)')
    .option(
      '--exclude <filter>',
      'pods to leave out; may be given several times (default: kube-system, kube-public, kube-node-lease, local-path-storage)',
      collect,
      [],
    )
    .option('-f, --filename <file>', 'file with settings in YAML; flags win over it')
    .option('--full-secrets', 'with the values of Secrets')
    .option('--ignore-errs <pattern,...>', 'lines of logs with this text are no errors', collectList, [])
    .option('--include <filter>', 'only these pods; may be given several times', collect, [])
    .addOption(
      new Option('--istio-namespace <name>', 'namespace of the control plane (as -i)')
        .default('istio-system')
        .argParser((value: string) => {
          // Another spelling of a flag that every command has.
          program.setOptionValueWithSource('istioNamespace', value, 'cli');
          return value;
        }),
    )
    .option('--output-dir <folder>', 'where bug-report.tar.gz is written (default: here)')
    .option('--proxy-admin-port <port>', "port of Envoy's admin interface", '15000')
    .addOption(new Option('--rq-concurrency <number>', 'how many requests at a time').default('0', '8'))
    .option('--skip-analyze', 'without istioctl analyze')
    .option('--skip-cluster-dump', "without Kubernetes' objects and events")
    .option('--skip-coredumps', 'without core dumps of Envoy')
    .option('--skip-netstat', 'without lists of connections')
    .option('--skip-proxy-debug', "without Envoy's configuration, certificates and statistics")
    .option('--start-time <time>', 'logs from then on')
    .addOption(new Option('--tail <lines>', 'only the last lines of each log').default('0', 'all'))
    .option('--timeout <duration>', 'how long it may take', '30m0s')
    .addHelpText(
      'after',
      `
A filter is NAMESPACES/DEPLOYMENTS/PODS/LABELS/ANNOTATIONS/CONTAINERS. Each part is a list with commas of which one must fit, or nothing; * stands for
any text, later parts may be left out. Pods belong into the report that one --include fits (or all) and no --exclude does. Logs are those of the proxies;
an --include with containers brings those of applications too. The control plane always belongs to it.
Values of Secrets, private keys and tokens are left out, names are not: look at the archive before you publish it.

Examples:
  istioctl bug-report                                              everything
  istioctl bug-report --include shop,stock --duration 1h           two namespaces, the last hour
  istioctl bug-report --include 'shop/cart*//version=v2//*'        proxies and applications of pods with a label
  istioctl bug-report --exclude '*/batch-*' --dry-run              what would be collected`,
    )
    .action(
      act(async (session, flags) =>
        (await import('../bug-report/run.ts')).runBugReport(
          session,
          flags,
          (flag) => report.getOptionValueSource(flag) === 'cli',
        ),
      ),
    );
  report
    .command('version')
    .description('version of istioctl')
    .option('-o, --output <format>', 'yaml or json')
    .option('-s, --short', 'print only the number')
    .action(
      act(async (session, flags: { readonly output?: string; readonly short?: boolean }) =>
        (await import('../commands/version.ts')).runVersion(session, {
          remote: false,
          ...(flags.short && { short: true }),
          ...(flags.output !== undefined && { output: flags.output }),
        }),
      ),
    );
};
