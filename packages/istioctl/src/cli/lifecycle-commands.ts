import { type Command, Option } from 'commander';
import { type InstallFlags, installOptions, withInstallFlags } from './operator-commands.ts';
import { type CommandGroup, experimentalCommand, revisionOption } from './program.ts';
import type { Session } from './session.ts';
import { chartsDir, manifestsOption } from './spec-flags.ts';
import { terminalUi } from './terminal-ui.ts';

interface TagFlags {
  readonly autoInjectNamespaces?: boolean;
  readonly manifests?: string;
  readonly overwrite?: boolean;
  readonly revision: string;
  readonly skipConfirmation?: boolean;
  readonly webhookName?: string;
}

const common = (session: Session, flags: { readonly skipConfirmation?: boolean }) => ({
  client: session.client,
  ui: terminalUi(session),
  istioNamespace: session.flags.istioNamespace,
  skipConfirmation: flags.skipConfirmation === true,
});

const target = (session: Session, flags: TagFlags, tag: string | undefined) => ({
  ...common(session, flags),
  chartsDir: chartsDir(flags.manifests),
  tag: tag ?? '',
  revision: flags.revision,
  overwrite: flags.overwrite === true,
  autoInjectNamespaces: flags.autoInjectNamespaces === true,
  ...(flags.webhookName !== undefined && { webhookName: flags.webhookName }),
});

const yes = ['-y, --skip-confirmation', 'do not ask'] as const;
const outputOption = () => new Option('-o, --output <format>', 'table, json or yaml').default('table');

/** upgrade, tag and revision: control planes beside and after each other. */
export const lifecycleCommands: CommandGroup = (program, act) => {
  const experimental = experimentalCommand(program);
  withInstallFlags(
    program
      .command('upgrade')
      .description('replace a control plane and its gateways by those of this version, in place'),
    'go on in spite of versions that do not follow each other, of mistakes in the settings, and over objects of Helm releases',
  )
    .addHelpText(
      'after',
      `
Without -f and --set the settings of the present installation are kept. To be able to go back, install the new version beside the old one instead:
istioctl install --revision NEW, then move namespaces over with istioctl tag set.

Examples:
  istioctl upgrade --dry-run
  istioctl upgrade -y
  istioctl upgrade --revision canary -f my-config.yaml`,
    )
    .action(
      act(async (session, flags: InstallFlags) =>
        (await import('../install/upgrade.ts')).runUpgrade(installOptions(session, flags)),
      ),
    );

  const load = () => import('../install/tag-commands.ts');
  const tagTarget = (command: Command) => {
    const revision = revisionOption().makeOptionMandatory();
    revision.description = 'the control plane revision that the tag stands for';
    return command
      .argument('<tag>')
      .addOption(revision)
      .option('--overwrite', 'move a tag that stands for another revision already')
      .option('--auto-inject-namespaces', 'for the tag "default": inject into all namespaces that do not say otherwise')
      .option('--webhook-name <name>', 'name of the webhook configuration instead of istio-revision-tag-TAG')
      .addOption(manifestsOption())
      .option(...yes);
  };
  const tags = (parent: Command) => {
    const tag = parent
      .command('tag')
      .description('names that stand for revisions: namespaces carry the tag, and the tag is moved');
    tagTarget(tag.command('set'))
      .description('make a tag, or move it to another revision')
      .addHelpText(
        'after',
        `
Examples:
  istioctl tag set prod --revision 1-30-0
  istioctl tag set prod --revision 1-31-0 --overwrite
  istioctl tag set default --revision 1-31-0 --overwrite      what namespaces with istio-injection=enabled use
  kubectl label namespace shop istio.io/rev=prod istio-injection-`,
      )
      .action(act(async (session, flags: TagFlags, name) => (await load()).runTagSet(target(session, flags, name))));
    tagTarget(tag.command('generate'))
      .description('print the objects of a tag instead of applying them')
      .addHelpText('after', '\nExamples:\n  istioctl tag generate prod --revision 1-30-0 | kubectl apply -f -')
      .action(
        act(async (session, flags: TagFlags, name) => (await load()).runTagGenerate(target(session, flags, name))),
      );
    tag
      .command('list')
      .alias('show')
      .description('tags, their revisions, and the namespaces that use them')
      .addOption(outputOption())
      .addHelpText('after', '\nExamples:\n  istioctl tag list\n  istioctl tag list -o json')
      .action(
        act(async (session, flags: { readonly output: string }) =>
          (await load()).runTagList({ ...common(session, {}), output: flags.output }),
        ),
      );
    tag
      .command('remove')
      .alias('delete')
      .argument('<tag>')
      .description('remove a tag; asks where namespaces use it')
      .option(...yes)
      .addHelpText('after', '\nExamples:\n  istioctl tag remove prod')
      .action(
        act(async (session, flags: { readonly skipConfirmation?: boolean }, name) =>
          (await load()).runTagRemove({ ...common(session, flags), tag: name ?? '' }),
        ),
      );
  };
  const revisions = (parent: Command) => {
    const loadRevisions = () => import('../install/revisions.ts');
    const revision = parent.command('revision').description('control planes that are installed side by side');
    revision
      .command('list')
      .description('revisions, their versions and tags, and how many proxies use them')
      .addOption(outputOption())
      .addOption(new Option('-v, --verbose').hideHelp())
      .addHelpText('after', '\nExamples:\n  istioctl x revision list\n  istioctl x revision list -o json')
      .action(
        act(async (session, flags: { readonly output: string }) =>
          (await loadRevisions()).runRevisionList({ ...common(session, {}), output: flags.output }),
        ),
      );
    revision
      .command('describe')
      .argument('<revision>')
      .description('everything about one, also by one of its tags')
      .addOption(outputOption())
      .addOption(new Option('-v, --verbose').hideHelp())
      .addHelpText(
        'after',
        '\nExamples:\n  istioctl x revision describe canary\n  istioctl x revision describe prod -o json',
      )
      .action(
        act(async (session, flags: { readonly output: string }, name) =>
          (await loadRevisions()).runRevisionDescribe({
            ...common(session, {}),
            output: flags.output,
            name: name ?? '',
          }),
        ),
      );
    return revision;
  };
  tags(program);
  revisions(program);
  // Where Istio 1.6 to 1.9 had them.
  tags(revisions(experimental));
};
