import { Option } from 'commander';
import { parentCommand, type CommandGroup } from './program.ts';
import { chartsDir, collect, manifestsOption, type SpecFlags, specOf, withSpec } from './spec-flags.ts';
import { terminalUi } from './terminal-ui.ts';

interface GenerateFlags extends SpecFlags {
  readonly output?: string;
  readonly force?: boolean;
  readonly component: readonly string[];
  readonly clusterSpecific?: boolean;
}

/** manifest generate, diff, translate and versions; profile list, dump and diff. */
export const manifestCommands: CommandGroup = (program, act) => {
  const profiles = () => import('../install/profiles.ts');
  const manifest = parentCommand(program, 'manifest', 'the objects that an installation consists of');
  withSpec(manifest.command('generate'))
    .description('print the objects; needs no cluster')
    .option('-o, --output <folder>', 'write files into a folder instead')
    .option('--component <name>', 'only this part, for example Pilot; may be given several times', collect, [])
    .option('--cluster-specific', 'ask the current cluster for its version and platform')
    .option('--force', 'go on in spite of mistakes in the settings')
    .addOption(new Option('--dry-run').hideHelp())
    .addHelpText(
      'after',
      `
Examples:
  istioctl manifest generate --set profile=demo > istio.yaml
  istioctl manifest generate -f my-config.yaml | kubectl delete --ignore-not-found=true -f -
  istioctl manifest generate --component IngressGateways -o manifests`,
    )
    .action(
      act(async (session, flags: GenerateFlags) =>
        (await import('../install/generate.ts')).runManifestGenerate({
          ...specOf(session, flags),
          force: flags.force === true,
          components: flags.component,
          clusterSpecific: flags.clusterSpecific === true,
          ...(flags.output !== undefined && { output: flags.output }),
        }),
      ),
    );
  manifest
    .command('diff')
    .argument('<a>', 'file or folder ("-" is standard input)')
    .argument('<b>', 'file or folder')
    .description('objects that differ between two manifests; ends with 1 when any does')
    .option('-r, --directory', 'compare folders')
    .option('-v, --verbose', 'say also which objects are the same')
    .option('--select <list>', 'only these objects: KIND:NAMESPACE:NAME with * for any, separated by commas', '::')
    .option('--ignore <list>', 'not these objects; the same form')
    .option('--rename <list>', 'OLD->NEW, both in the same form: compare as if it had the new name')
    .addHelpText(
      'after',
      `
Examples:
  istioctl manifest diff before.yaml after.yaml
  istioctl manifest diff -r before/ after/ --ignore 'ConfigMap:*:*'
  istioctl manifest diff a.yaml b.yaml --select 'Deployment:istio-system:*,Service:*:istiod'
  istioctl manifest diff a.yaml b.yaml --rename 'Service:*:istiod->Service:*:istiod-canary'`,
    )
    .action(
      act(
        async (
          session,
          flags: { directory?: boolean; verbose?: boolean; select: string; ignore?: string; rename?: string },
          a,
          b,
        ) =>
          (await import('../install/manifest-diff.ts')).runManifestDiff({
            ui: terminalUi(session),
            paths: [a ?? '', b ?? ''],
            directory: flags.directory === true,
            verbose: flags.verbose === true,
            select: flags.select,
            ignore: flags.ignore ?? '',
            rename: flags.rename ?? '',
          }),
      ),
    );
  withSpec(manifest.command('translate'))
    .description('turn settings into Helm values and the commands that install the same with helm')
    .option('-o, --output <folder>', 'where to write; a new folder for temporary files when not given')
    .option('--force', 'go on in spite of mistakes in the settings')
    .addHelpText(
      'after',
      `
Examples:
  istioctl manifest translate -f my-config.yaml
  istioctl manifest translate --set profile=demo -o helm/`,
    )
    .action(
      act(async (session, flags: SpecFlags & { output?: string; force?: boolean }) =>
        (await import('../install/translate.ts')).runManifestTranslate({
          ...specOf(session, flags),
          force: flags.force === true,
          ...(flags.output !== undefined && { output: flags.output }),
        }),
      ),
    );
  manifest
    .command('versions')
    .description('the version of Istio that this istioctl installs, and those that it can upgrade')
    .option('-o, --output <format>', 'short, yaml or json', 'short')
    .action(
      act(async (session, flags: { output: string }) =>
        (await import('../install/manifest-versions.ts')).runManifestVersions({
          ui: terminalUi(session),
          output: flags.output,
        }),
      ),
    );

  const profile = parentCommand(program, 'profile', 'the sets of settings that come with istioctl');
  profile
    .command('list')
    .description('their names')
    .addOption(manifestsOption())
    .option('-o, --output <format>', 'short, yaml or json', 'short')
    .action(
      act(async (session, flags: { manifests?: string; output: string }) =>
        (await profiles()).runProfileList({
          ui: terminalUi(session),
          chartsDir: chartsDir(flags.manifests),
          output: flags.output,
        }),
      ),
    );
  profile
    .command('dump')
    .argument('[profile]')
    .description('all settings of one')
    .option('-f, --filename <file>', 'an IstioOperator instead of a profile', collect, [])
    .option(
      '-p, --config-path <path>',
      'only what stands below this path, for example components.pilot or components.ingressGateways[0].k8s',
    )
    .option('-o, --output <format>', 'yaml, json or flags', 'yaml')
    .addOption(manifestsOption())
    .addHelpText(
      'after',
      `
Examples:
  istioctl profile dump demo
  istioctl profile dump -p components.pilot default
  istioctl profile dump -o flags demo`,
    )
    .action(
      act(
        async (
          session,
          flags: {
            readonly filename: readonly string[];
            readonly manifests?: string;
            readonly configPath?: string;
            readonly output: string;
          },
          name,
        ) =>
          (await profiles()).runProfileDump({
            ui: terminalUi(session),
            chartsDir: chartsDir(flags.manifests),
            files: flags.filename,
            output: flags.output,
            ...(name !== undefined && { name }),
            ...(flags.configPath !== undefined && { configPath: flags.configPath }),
          }),
      ),
    );
  profile
    .command('diff')
    .argument('<a>', 'profile, or file with an IstioOperator')
    .argument('<b>', 'profile, or file with an IstioOperator')
    .description('settings that differ between two; ends with 1 when any does')
    .option('-p, --config-path <path>', 'only what stands below this path')
    .option('-o, --output <format>', 'short, yaml or json', 'short')
    .addOption(manifestsOption())
    .addHelpText(
      'after',
      '\nExamples:\n  istioctl profile diff default demo\n  istioctl profile diff demo my-config.yaml',
    )
    .action(
      act(async (session, flags: { manifests?: string; output: string; configPath?: string }, a, b) =>
        (await profiles()).runProfileDiff({
          ui: terminalUi(session),
          chartsDir: chartsDir(flags.manifests),
          names: [a ?? '', b ?? ''],
          output: flags.output,
          ...(flags.configPath !== undefined && { configPath: flags.configPath }),
        }),
      ),
    );
};
