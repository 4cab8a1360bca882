import type { Command, Option } from 'commander';
import { isHidden, pathOf, shownDefault, usageOf } from '../cli/help-layout.ts';

/** Text between two marks that Markdown must not read. */
const cell = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replaceAll('<', '&lt;')
    .replace(/\s*\n\s*/g, ' ');
const code = (text: string): string => `\`${text.replaceAll('|', '\\|')}\``;

const visibleOptions = (command: Command): readonly Option[] =>
  command.options.filter(({ hidden }) => !hidden).sort((a, b) => a.name().localeCompare(b.name()));

const visibleCommands = (command: Command): readonly Command[] =>
  command.commands.filter((child) => !isHidden(child)).sort((a, b) => a.name().localeCompare(b.name()));

function flagTable(options: readonly Option[]): readonly string[] {
  if (options.length === 0) return [];
  return [
    '| flag | default | meaning |',
    '|---|---|---|',
    ...options.map((option) => {
      const fallback = shownDefault(option);
      return `| ${code(option.flags)} | ${fallback === undefined ? '' : code(fallback)} | ${cell(option.description)} |`;
    }),
    '',
  ];
}

/** What stands behind the flags in a command's help: examples and notes. */
function helpAfter(command: Command): string {
  const parts: string[] = [];
  // commander gives added text only while it prints help.
  command.configureOutput({ writeOut: (part) => parts.push(part) });
  command.outputHelp();
  const help = command.helpInformation();
  return parts.join('').slice(help.length).trim();
}

function section(command: Command): readonly string[] {
  const aliases = command.aliases();
  const after = helpAfter(command);
  const children = visibleCommands(command);
  return [
    `## ${pathOf(command)}`,
    '',
    `${cell(command.description())}${aliases.length > 0 ? ` (also ${aliases.map(code).join(', ')})` : ''}`,
    '',
    '```',
    usageOf(command),
    '```',
    '',
    ...(children.length > 0
      ? [
          ...children.map(
            (child) =>
              `- [${child.name()}](#${anchor(pathOf(child))}): ${cell(child.summary() || child.description())}`,
          ),
          '',
        ]
      : []),
    ...flagTable(visibleOptions(command)),
    ...(after === '' ? [] : ['```', after, '```', '']),
    ...children.flatMap(section),
  ];
}

const anchor = (heading: string): string => heading.toLowerCase().replaceAll(' ', '-');

/** All commands and flags of a program as one Markdown page. */
export function commandReference(program: Command): string {
  const commands = visibleCommands(program);
  return [
    `# ${program.name()}`,
    '',
    'Every command with its flags, out of the program itself: `npm run docs` writes this page. `istioctl COMMAND --help` says the same.',
    '',
    ...commands.map(
      (command) =>
        `- [${command.name()}](#${anchor(pathOf(command))}): ${cell(command.summary() || command.description())}`,
    ),
    '',
    '## Flags of every command',
    '',
    'They may stand before or behind the command. A switch can be given a value (`--dry-run=false`), a flag may be joined to its value (`-o=json`, `--output=json`).',
    '',
    ...flagTable(visibleOptions(program).filter(({ long }) => long !== '--client-version')),
    ...commands.flatMap(section),
  ]
    .join('\n')
    .replace(/\n{3,}/g, '\n\n')
    .trimEnd()
    .concat('\n');
}
