import { type ParsedArguments, UsageError } from './arguments.ts';

/** What `version` prints, with the flags `--short` and `--output` (json or yaml). Raises UsageError for another output. */
export function versionText(version: string, args: ParsedArguments): string {
  if (args.boolean('short')) return `${version}\n`;
  const output = args.text('output');
  const info = { version, revision: '', golang_version: '', status: 'Clean', tag: version };
  switch (output) {
    case 'json':
      return `${JSON.stringify({ clientVersion: info }, null, 2)}\n`;
    case 'yaml':
      return `clientVersion:\n${Object.entries(info)
        .map(([key, value]) => `  ${key}: "${value}"\n`)
        .join('')}`;
    case '':
      return `version.BuildInfo{Version:"${version}", GitRevision:"", GolangVersion:"", BuildStatus:"Clean", GitTag:"${version}"}\n`;
    default:
      throw new UsageError(`--output must be yaml or json, not "${output}"`);
  }
}
