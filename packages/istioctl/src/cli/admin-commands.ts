import { Option } from 'commander';
import { type CommandGroup, parentCommand, revisionOption } from './program.ts';

/** admin log: the log levels of istiod. */
export const adminCommands: CommandGroup = (program, act) => {
  const admin = parentCommand(program, 'admin', 'look after the control plane').aliases(['istiod']);
  admin
    .command('log')
    .alias('l')
    .argument('[pod]', 'an istiod pod: POD[.NAMESPACE] (default: all that run)')
    .description("show or set the levels of istiod's log")
    .option('-l, --selector <labels>', 'labels of the istiod pods', 'app=istiod')
    .option('--ctrlz_port <port>', 'port of ControlZ in the pod', '9876')
    .option(
      '--level <levels>',
      'SCOPE:LEVEL, or LEVEL for all scopes, several separated by commas: debug, info, warn, error, fatal, none',
    )
    .option('--stack-trace-level <levels>', 'up to which level lines carry the call stack, written as --level')
    .option('--reset', 'back to the defaults: info, no call stacks')
    .option('--log-reset', 'back to the default level, info')
    .option('--stack-trace-reset', 'back to no call stacks')
    .addOption(new Option('-o, --output <format>', 'output format: short, json, yaml').default('short'))
    .addOption(revisionOption())
    .addHelpText(
      'after',
      `
Examples:
  istioctl admin log
  istioctl admin log --level ads:debug,ca:debug
  istioctl admin log istiod-5c4b6cb6d9-x7t2j --stack-trace-level default:error
  istioctl admin log --reset`,
    )
    .action(
      act(async (session, flags, target) =>
        (await import('../commands/admin-log.ts')).runAdminLog(session, flags, target),
      ),
    );
};
