import type { Command } from 'commander';
import { subcommand } from './command-line.ts';
import { CliError, usageExitCode } from './failure.ts';
import { pathOf } from './help-layout.ts';
import { type CommandGroup, experimentalCommand, parentCommand } from './program.ts';

/** help, options, and the settings of istioctl itself. */
export const generalCommands: CommandGroup = (program, act) => {
  program
    .command('options')
    .description('the flags that every command takes')
    .action(
      act(async (session) => {
        const help = program.createHelp();
        const rows = help
          .visibleOptions(program)
          .filter(({ long }) => long !== '--client-version')
          .map((option) => [help.optionTerm(option), help.optionDescription(option)] as const);
        const width = Math.max(...rows.map(([term]) => term.length)) + 2;
        session.out('Every command takes these flags, before or after its name:\n\n');
        for (const [term, description] of rows) session.out(`  ${term.padEnd(width)}${description}\n`);
        session.out(
          '\nDefaults of some flags can be set once: see istioctl experimental config list.\nWhatever is not given comes from KUBECONFIG and its current context.\n',
        );
        return 0;
      }),
    );

  program
    .command('help')
    .argument('[command...]', 'the words of a command')
    .description('what a command does and takes')
    .addHelpText('after', '\nExamples:\n  istioctl help proxy-config routes')
    .action(
      act(async (session, _flags, ...args) => {
        const words = (args as unknown as readonly [readonly string[]])[0];
        session.out(commandOf(program, words).helpInformation());
        return 0;
      }),
    );

  const config = parentCommand(
    experimentalCommand(program),
    'config',
    'defaults that you have set for flags of istioctl',
  );
  config
    .command('list')
    .description('each flag whose default can be set, its value, and where that comes from')
    .option('-o, --output <format>', 'table, json or yaml', 'table')
    .addHelpText(
      'after',
      `
Defaults stand in ~/.istioctl/config.yaml (or the file that ISTIOCONFIG names), one a line, or in the environment, which wins:
  istioNamespace: mesh-system
  export ISTIOCTL_ISTIONAMESPACE=mesh-system

Examples:
  istioctl experimental config list`,
    )
    .action(
      act(async (session, flags: { readonly output: string }) =>
        (await import('../commands/config-list.ts')).runConfigList(session, flags),
      ),
    );
};

/** Finds a command by its words; raises CliError that names the first word which is none. */
function commandOf(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words) {
    const child = subcommand(command, word);
    if (!child)
      throw new CliError(
        `there is no command "${word}" in ${pathOf(command)}: see ${pathOf(command)} --help`,
        usageExitCode,
      );
    command = child;
  }
  return command;
}
