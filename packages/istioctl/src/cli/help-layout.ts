import type { Command, Help, HelpConfiguration, Option } from 'commander';

/** The commands by what one wants to do, in the order of a mesh's life. */
const groups: Readonly<Record<string, readonly string[]>> = {
  'Install and upgrade:': [
    'install',
    'upgrade',
    'uninstall',
    'verify-install',
    'manifest',
    'profile',
    'tag',
    'revision',
    'operator',
    'kube-inject',
  ],
  'See what the mesh does:': ['version', 'proxy-status', 'proxy-config', 'dashboard', 'admin'],
  'Find what is wrong:': ['analyze', 'validate', 'authz', 'bug-report', 'experimental'],
  'Clusters together:': ['create-remote-secret', 'remote-clusters'],
  'Ambient:': ['waypoint', 'ztunnel-config'],
  'On this machine:': ['local'],
  'About istioctl:': ['completion', 'options', 'help'],
};

/** Puts the top commands under headings; one that stands in no group comes last. */
export function groupCommands(program: Command): void {
  for (const [heading, names] of Object.entries(groups))
    for (const name of names) program.commands.find((command) => command.name() === name)?.helpGroup(heading);
}

const order = new Map(
  Object.values(groups)
    .flat()
    .map((name, index) => [name, index]),
);

/** How help looks: what it is, how it is called, what it takes; subcommands in the order above, else by name; flags by name. */
export const helpLayout: HelpConfiguration = {
  helpWidth: Math.min(Math.max(process.stdout.columns ?? 100, 60), 120),
  sortOptions: true,
  visibleCommands(command) {
    const visible = command.commands.filter((child) => !isHidden(child));
    return command.parent
      ? [...visible].sort((a, b) => a.name().localeCompare(b.name()))
      : [...visible].sort((a, b) => (order.get(a.name()) ?? order.size) - (order.get(b.name()) ?? order.size));
  },
  subcommandTerm: (command) => [command.name(), ...command.aliases()].join(', '),
  subcommandDescription: (command) => command.summary() || command.description(),
  optionDescription: (option) => {
    const value = shownDefault(option);
    const choices = option.argChoices ? `one of ${option.argChoices.join(', ')}` : '';
    return [option.description, choices && `(${choices})`, value !== undefined && `(default ${value})`]
      .filter(Boolean)
      .join(' ');
  },
  formatHelp,
};

/** The default of a flag as help and documents show it; undefined where there is none worth a word. */
export function shownDefault(option: Option): string | undefined {
  const { defaultValue, defaultValueDescription } = option;
  if (defaultValueDescription !== undefined) return defaultValueDescription;
  if (defaultValue === undefined || defaultValue === false || defaultValue === '') return undefined;
  return Array.isArray(defaultValue) ? defaultValue.join(',') || undefined : String(defaultValue);
}

/** The words by which a command is called: `istioctl proxy-config routes`. */
export const pathOf = (command: Command): string =>
  command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name();

/** How a command is called: `istioctl proxy-config routes [pod] [flags]`. */
export const usageOf = (command: Command): string =>
  [
    pathOf(command),
    ...(command.commands.length > 0 ? [hasAction(command) ? '[COMMAND]' : 'COMMAND'] : []),
    ...command.registeredArguments.map((argument) => {
      const name = `${argument.name()}${argument.variadic ? '...' : ''}`;
      return argument.required ? `<${name}>` : `[${name}]`;
    }),
    '[flags]',
  ].join(' ');

function formatHelp(command: Command, help: Help): string {
  const commands = help.visibleCommands(command);
  const options = help.visibleOptions(command);
  const args = help.visibleArguments(command);
  const width = Math.max(
    ...[
      ...commands.map((child) => help.subcommandTerm(child)),
      ...options.map((option) => help.optionTerm(option)),
      ...args.map((argument) => help.argumentTerm(argument)),
    ].map((term) => term.length),
  );
  const section = (title: string, rows: readonly (readonly [string, string])[]): readonly string[] =>
    rows.length === 0 ? [] : [title, ...rows.map(([term, about]) => help.formatItem(term, width, about, help)), ''];
  const headings = [...new Set(commands.map((child) => child.helpGroup() || 'Commands:'))];
  const description = command.description();
  const aliases = command.aliases();
  return [
    help.boxWrap(`${description.charAt(0).toUpperCase()}${description.slice(1)}`, help.helpWidth ?? 100),
    '',
    `Usage: ${usageOf(command)}`,
    ...(aliases.length > 0 ? [`Aliases: ${aliases.join(', ')}`] : []),
    '',
    ...headings.flatMap((heading) =>
      section(
        heading,
        commands
          .filter((child) => (child.helpGroup() || 'Commands:') === heading)
          .map((child) => [help.subcommandTerm(child), help.subcommandDescription(child)]),
      ),
    ),
    ...section(
      'Arguments:',
      args.map((argument) => [help.argumentTerm(argument), help.argumentDescription(argument)]),
    ),
    ...section(
      'Flags:',
      options.map((option) => [help.optionTerm(option), help.optionDescription(option)]),
    ),
    ...(command.parent ? ['Flags of every command: istioctl options'] : []),
    '',
  ]
    .join('\n')
    .replace(/\n+$/, '\n');
}

/** commander keeps this to itself: commands declared with `{ hidden: true }`. */
export function isHidden(command: Command): boolean {
  return (command as unknown as { readonly _hidden?: boolean })._hidden === true;
}

/** commander keeps this to itself too: whether a command does something beside having subcommands. */
export function hasAction(command: Command): boolean {
  return (command as unknown as { readonly _actionHandler?: unknown })._actionHandler != null;
}
