import type { CommandGroup } from './program.ts';

const shells = {
  bash: '  source <(istioctl completion bash)                                # in this shell\n  istioctl completion bash > /etc/bash_completion.d/istioctl        # in every new one',
  zsh: '  source <(istioctl completion zsh)                                 # in this shell\n  istioctl completion zsh > /usr/local/share/zsh/site-functions/_istioctl # in every new one (needs compinit)',
  fish: '  istioctl completion fish | source                                 # in this shell\n  istioctl completion fish > ~/.config/fish/completions/istioctl.fish # in every new one',
  powershell: '  istioctl completion powershell | Out-String | Invoke-Expression    # in this shell',
} as const;

/** completion, and the hidden command by which the shells ask. */
export const completionCommands: CommandGroup = (program, act) => {
  const completion = program.command('completion').description('completion of commands, flags and values for a shell');
  for (const [shell, usage] of Object.entries(shells) as [keyof typeof shells, string][]) {
    completion
      .command(shell)
      .description(`print the completion script for ${shell}`)
      .option('--no-descriptions', 'only the words, without what they mean')
      .addHelpText('after', `\nExamples:\n${usage}`)
      .action(
        act(async (session, flags: { readonly descriptions: boolean }) => {
          const { completionScript } = await import('@istio-ts/command-line/completion-scripts');
          session.out(completionScript(shell, program.name(), flags.descriptions));
          return 0;
        }),
      );
  }
  program
    .command('__complete', { hidden: true })
    .argument('[words...]')
    .helpOption(false)
    .action(
      act(async (session, _flags, ...args) => {
        const { answerFor, formatAnswer } = await import('../completion/answer.ts');
        const words = (args as unknown as readonly [readonly string[]])[0];
        session.out(formatAnswer(await answerFor(program, words, session)));
        return 0;
      }),
    );
};
