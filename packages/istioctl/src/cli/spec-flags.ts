import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import { embeddedManifests } from '../single-executable.ts';
import { CliError } from './failure.ts';
import { revisionOption } from './program.ts';
import type { Session } from './session.ts';
import { terminalUi } from './terminal-ui.ts';

/** For options that may be given several times. */
export const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];
/** For options that take several values in one word, separated by commas, or may be given several times. */
export const collectList = (value: string, previous: readonly string[]): readonly string[] => [
  ...previous,
  ...value.split(',').filter((part) => part !== ''),
];

/** The flags of commands that read the settings of an installation. */
export interface SpecFlags {
  readonly filename: readonly string[];
  readonly set: readonly string[];
  readonly manifests?: string;
  readonly revision?: string;
}

/** The folder with charts and profiles: given, or the one that came with istioctl. Raises CliError when there is none. */
export function chartsDir(given: string | undefined): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const candidates =
    given === undefined
      ? [
          join(here, '..', 'data', 'manifests'),
          join(here, '..', 'manifests'),
          join(here, '..', '..', '..', 'charts', 'manifests'),
        ]
      : [given, join(given, 'manifests')];
  const found =
    candidates.find((folder) => existsSync(join(folder, 'profiles'))) ??
    (given === undefined ? embeddedManifests() : undefined);
  if (!found)
    throw new CliError(
      given === undefined
        ? 'the charts that belong to istioctl are missing: build it again with npm run build'
        : `--manifests ${given}: there is no folder "profiles" in it`,
    );
  return found;
}

/** `-d`, for commands that read charts or profiles. */
export const manifestsOption = () =>
  new Option('-d, --manifests <folder>', 'folder with charts and profiles instead of those of istioctl');

/** Adds `-f`, `-s`, `-d` and `-r`. */
export const withSpec = (command: Command): Command =>
  command
    .option(
      '-f, --filename <file>',
      'file with an IstioOperator; may be given several times, later ones on top',
      collectList,
      [],
    )
    .option(
      '-s, --set <setting>',
      'PATH=VALUE, for example profile=demo, meshConfig.accessLogFile=/dev/stdout, values.pilot.replicaCount=2',
      collect,
      [],
    )
    .addOption(manifestsOption())
    .addOption(revisionOption());

/** What every command that reads settings hands on. */
export const specOf = (session: Session, flags: SpecFlags) => ({
  ui: terminalUi(session),
  client: session.client,
  chartsDir: chartsDir(flags.manifests),
  files: flags.filename,
  sets: flags.set,
  istioNamespace: session.flags.istioNamespace,
  ...(flags.revision !== undefined && { revision: flags.revision }),
});
