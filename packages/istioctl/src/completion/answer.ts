import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { contextNames } from '@istio-ts/kube';
import { subcommand } from '../cli/command-line.ts';
import { isHidden } from '../cli/help-layout.ts';
import { createSession, type Session } from '../cli/session.ts';
import { chartsDir } from '../cli/spec-flags.ts';
import { clusterNames } from './cluster-names.ts';
import { type Candidate, type FlagsGiven, type Question, questionOf } from './question.ts';
import { type ClusterNames, sourceOf } from './values.ts';

/**
 * What the shell is to do: show `candidates` (each with the prefix of its word), or complete names of files or folders itself. `noSpace`: the user goes on
 * typing behind the word.
 */
export interface Answer {
  readonly kind: 'words' | 'files' | 'folders';
  readonly candidates: readonly Candidate[];
  readonly noSpace: boolean;
}

/** Longest time that a user waits at the prompt for names of the cluster. */
const clusterTimeMs = 1500;

/** Finds the words that may stand at the end of a command line; never fails, at worst there are none. */
export async function answerFor(program: Command, words: readonly string[], session: Session): Promise<Answer> {
  const question = questionOf(program, words);
  switch (question.kind) {
    case 'nothing':
      return wordsAnswer([], '', '');
    case 'words':
      return wordsAnswer(question.candidates, question.typed, question.prefix);
    case 'value':
      return valueAnswer(program, question, words, session);
  }
}

function wordsAnswer(candidates: readonly Candidate[], typed: string, prefix: string, noSpace = false): Answer {
  return {
    kind: 'words',
    candidates: candidates
      .filter(({ word }) => word.startsWith(typed))
      .map((candidate) => ({ ...candidate, word: prefix + candidate.word })),
    noSpace,
  };
}

async function valueAnswer(
  program: Command,
  { command, of, typed, prefix, flags }: Extract<Question, { kind: 'value' }>,
  words: readonly string[],
  session: Session,
): Promise<Answer> {
  const source = sourceOf(command, of);
  const answer = (found: readonly Candidate[], noSpace = false) => wordsAnswer(found, typed, prefix, noSpace);
  const plain = (found: readonly string[]) => answer(found.map((word) => ({ word })));
  switch (source.from) {
    case 'list':
      return plain(source.values);
    case 'files':
    case 'folders':
      return { kind: source.from, candidates: [], noSpace: false };
    case 'profiles':
      return plain(profileNames());
    case 'contexts':
      return plain(contexts(flags, session.env));
    case 'commands':
      return answer(commandsBehind(program, words.slice(1, -1)));
    case 'settings': {
      if (typed.startsWith('profile=')) return plain(profileNames().map((name) => `profile=${name}`));
      return answer(settings, true);
    }
    case 'cluster':
      return answer(await fromCluster(source.what, typed, flags, session));
    case 'unknown':
      return answer([]);
  }
}

const settings: readonly Candidate[] = [
  { word: 'profile=', description: 'the set of settings to start from' },
  { word: 'components.', description: 'parts of the mesh: on or off, and their Kubernetes settings' },
  { word: 'meshConfig.', description: 'settings of the whole mesh' },
  { word: 'values.', description: 'values of the Helm charts' },
  { word: 'hub=', description: 'registry of the images' },
  { word: 'tag=', description: 'tag of the images' },
  { word: 'revision=', description: 'revision of the control plane' },
];

function profileNames(): readonly string[] {
  try {
    return readdirSync(join(chartsDir(undefined), 'profiles'))
      .filter((file) => file.endsWith('.yaml'))
      .map((file) => file.slice(0, -'.yaml'.length))
      .sort();
  } catch {
    // Completion offers nothing rather than fail in the middle of a command line.
    return [];
  }
}

function contexts(flags: FlagsGiven, env: Session['env']): readonly string[] {
  try {
    const kubeconfig = flags.get('kubeconfig');
    return contextNames({ env, ...(kubeconfig !== undefined && { kubeconfig }) });
  } catch {
    // As above.
    return [];
  }
}

/** The commands that may follow a path, for `istioctl help proxy-config `. */
function commandsBehind(program: Command, path: readonly string[]): readonly Candidate[] {
  let command: Command | undefined = program;
  for (const word of path) command = command && subcommand(command, word);
  return (command?.commands ?? [])
    .filter((child) => !isHidden(child))
    .map((child) => ({ word: child.name(), description: child.description() }));
}

async function fromCluster(
  what: ClusterNames,
  typed: string,
  flags: FlagsGiven,
  session: Session,
): Promise<readonly Candidate[]> {
  const text = (flag: string) => {
    const value = flags.get(flag);
    return value === undefined ? {} : { [flag]: value };
  };
  const asked = createSession(
    {
      istioNamespace: flags.get('istioNamespace') ?? session.flags.istioNamespace,
      kubeclientTimeoutMs: clusterTimeMs,
      ...text('kubeconfig'),
      ...text('context'),
      ...text('namespace'),
      ...text('as'),
    },
    session,
  );
  try {
    const late = new Promise<readonly Candidate[]>((resolve) => setTimeout(resolve, clusterTimeMs, []).unref());
    const found = clusterNames(asked.client(), what, {
      namespace: asked.namespace(),
      istioNamespace: asked.flags.istioNamespace,
      typed,
    });
    return await Promise.race([found, late]);
  } catch {
    // Without a cluster there are no names; a prompt is no place for an error.
    return [];
  } finally {
    asked.close();
  }
}

/** The answer as the shells' scripts read it: a candidate a line, a tab before its description, last a line that begins with a colon. */
export function formatAnswer({ kind, candidates, noSpace }: Answer): string {
  const lines = candidates.map(({ word, description }) =>
    // A tab or a line end would end the candidate.
    description ? `${word}\t${description.replace(/\s+/g, ' ')}` : word,
  );
  return `${[...lines, `:${kind === 'words' && noSpace ? 'nospace' : kind}`].join('\n')}\n`;
}
