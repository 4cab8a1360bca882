import { Option } from 'commander';
import { type CommandGroup, collect, collectList, experimentalCommand, revisionOption } from './program.ts';

/** analyze, validate and experimental precheck. */
export const analysisCommands: CommandGroup = (program, act) => {
  program
    .command('analyze')
    .argument('[files...]', 'manifests, folders with manifests, or - for standard input')
    .description('finds mistakes in the configuration of a cluster, of files, or of both together')
    .option('-A, --all-namespaces', 'analyse all namespaces', false)
    .option('--analyzer <name>', 'run only this analyzer; may be given several times', collect)
    .addOption(new Option('--color', 'colour levels; default on a terminal'))
    .addOption(new Option('--no-color').hideHelp())
    .option('--failure-threshold <level>', 'exit with 79 from this level on: Info, Warning, Error', 'Error')
    .option('--ignore-unknown', 'do not complain about documents that cannot be read', false)
    .option('-L, --list-analyzers', 'list the analyzers and end', false)
    .option('--meshConfigFile <file>', 'mesh configuration instead of that of the cluster')
    .option('-o, --output <format>', 'output format: log, json, yaml', 'log')
    .option('--output-threshold <level>', 'print messages from this level on: Info, Warning, Error', 'Info')
    .option('-R, --recursive', 'read folders with all folders in them (they always are)', false)
    .option(
      '--remote-contexts <context>',
      'context of another cluster of the mesh; may be given several times',
      collectList,
    )
    .addOption(new Option('-r, --revision <name>', 'control plane revision').default('default'))
    .option('-S, --suppress <rule>', 'hide messages: CODE=KIND NAME.NAMESPACE, * stands for any text', collect)
    .option('--timeout <duration>', 'how long it may take', '30s')
    .addOption(new Option('-k, --use-kube', 'read the cluster; --use-kube=false analyses files alone').default(true))
    .addOption(new Option('--no-use-kube').hideHelp())
    .option('-v, --verbose', 'say what is done', false)
    .addHelpText(
      'after',
      `
Examples:
  istioctl analyze                                    the current namespace of the cluster
  istioctl analyze -A                                 all namespaces
  istioctl analyze shop.yaml routes/                  as if these files were applied to the cluster
  istioctl analyze --use-kube=false shop.yaml         the files alone
  kustomize build . | istioctl analyze -              standard input
  istioctl analyze -A -S "IST0102=Namespace legacy-*" all but some messages

With -o log it ends with 79 when a message reaches the failure threshold, and with 65 when a file could not be read;
with -o json and -o yaml the messages are the answer, and it ends with 0.`,
    )
    .action(
      act(async (session, flags, files) => (await import('../commands/analyze.ts')).runAnalyze(session, flags, files)),
    );

  program
    .command('validate')
    .alias('v')
    .description('checks manifests without a cluster: schema, rules, labels, names of ports')
    .option(
      '-f, --filename <file>',
      'manifest, folder, or - for standard input; may be given several times',
      collectList,
    )
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl validate -f shop.yaml\n  istioctl validate -f routes/,gateways/\n  kubectl get services -o yaml | istioctl validate -f -',
    )
    .action(act(async (session, flags) => (await import('../commands/validate.ts')).runValidate(session, flags)));

  experimentalCommand(program)
    .command('precheck')
    .description('is the cluster ready for an installation or an upgrade?')
    .option('-f, --from-version <version>', 'version that runs now: say what changes with the upgrade')
    .option('-o, --output <format>', 'output format: log, json, yaml', 'log')
    .option('--output-threshold <level>', 'print messages from this level on: Info, Warning, Error', 'Warning')
    .addOption(revisionOption())
    .option('--skip-controlplane', 'do not check what only an installation of istiod needs')
    .addHelpText(
      'after',
      `
Examples:
  istioctl experimental precheck
  istioctl x precheck --from-version 1.29

It ends with 79 when something stands in the way.`,
    )
    .action(act(async (session, flags) => (await import('../commands/precheck.ts')).runPrecheck(session, flags)));
};
