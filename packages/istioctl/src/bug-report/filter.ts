import type { KubeObject } from '@istio-ts/kube';
import { CliError, usageExitCode } from '../cli/failure.ts';
import { fitsPattern } from '../cli/wildcard.ts';

/**
 * One `--include` or `--exclude`: what a pod must be like. Each part is a list of patterns of which one must match; an empty list matches all. In
 * patterns `*` stands for any text.
 */
export interface PodFilter {
  readonly namespaces: readonly string[];
  readonly deployments: readonly string[];
  readonly pods: readonly string[];
  /** `KEY=VALUE` patterns. */
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly containers: readonly string[];
}

/** A container of a pod, as filters see it. */
export interface ContainerFacts {
  readonly namespace: string;
  readonly deployment: string;
  readonly pod: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly container: string;
}

/** Namespaces of Kubernetes itself, which are left out unless they are asked for. */
export const defaultExcludes = ['kube-system', 'kube-public', 'kube-node-lease', 'local-path-storage'] as const;

const parts = ['namespaces', 'deployments', 'pods', 'labels', 'annotations', 'containers'] as const;

/** Reads `NAMESPACES/DEPLOYMENTS/PODS/LABELS/ANNOTATIONS/CONTAINERS`, each a list with commas; later parts may be left out. Raises CliError. */
export function parseFilter(text: string, flag: string): PodFilter {
  const words = joinKeys(text.split('/'));
  if (words.length > parts.length)
    throw new CliError(
      `${flag} "${text}" has ${words.length} parts: at most ${parts.join('/')} are possible (keys of labels may contain "/" where "=" follows)`,
      usageExitCode,
    );
  const lists = words.map((word, index) =>
    word
      .split(',')
      .map((entry) => entry.trim())
      // All containers by name are more than none by name: applications' too.
      .filter((entry) => entry !== '' && (entry !== '*' || parts[index] === 'containers')),
  );
  const filter = Object.fromEntries(parts.map((part, index) => [part, lists[index] ?? []])) as unknown as PodFilter;
  for (const entry of [...filter.labels, ...filter.annotations])
    if (!entry.includes('='))
      throw new CliError(`${flag} "${text}": "${entry}" is not of the form KEY=VALUE`, usageExitCode);
  return filter;
}

/** Puts the prefix of a key, a domain without "=", back before its name. */
function joinKeys(words: readonly string[]): readonly string[] {
  const joined: string[] = [];
  for (const word of words) {
    const before = joined.at(-1);
    const lastEntry = before?.split(',').at(-1) ?? '';
    // Labels come fourth and annotations fifth; a domain has a dot and no equals sign.
    if (
      before !== undefined &&
      joined.length >= 4 &&
      lastEntry.includes('.') &&
      !lastEntry.includes('=') &&
      word.includes('=')
    )
      joined[joined.length - 1] = `${before}/${word}`;
    else joined.push(word);
  }
  return joined;
}

const anyFits = (list: readonly string[], text: string): boolean =>
  list.length === 0 || list.some((pattern) => fitsPattern(text, pattern));

const pairFits = (list: readonly string[], pairs: Readonly<Record<string, string>>): boolean =>
  list.length === 0 ||
  list.some((pattern) => Object.entries(pairs).some(([key, value]) => fitsPattern(`${key}=${value}`, pattern)));

/** Whether a container is one that the filter names. */
export function matches(filter: PodFilter, facts: ContainerFacts): boolean {
  return (
    anyFits(filter.namespaces, facts.namespace) &&
    anyFits(filter.deployments, facts.deployment) &&
    anyFits(filter.pods, facts.pod) &&
    pairFits(filter.labels, facts.labels) &&
    pairFits(filter.annotations, facts.annotations) &&
    anyFits(filter.containers, facts.container)
  );
}

/** Whether a container belongs into the report: one of the includes names it (or there are none), and none of the excludes does. */
export function selects(
  filters: { readonly include: readonly PodFilter[]; readonly exclude: readonly PodFilter[] },
  facts: ContainerFacts,
): boolean {
  const included = filters.include.length === 0 || filters.include.some((filter) => matches(filter, facts));
  return included && !filters.exclude.some((filter) => matches(filter, facts));
}

/** The Deployment (or other workload) that a pod was made for, from the names of its owners; its own name where it has none. */
export function deploymentOf(pod: KubeObject): string {
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller) ?? pod.metadata.ownerReferences?.[0];
  if (!owner) return pod.metadata.name ?? '';
  // A ReplicaSet of a Deployment is named after it and the hash of its template.
  const hash = pod.metadata.labels?.['pod-template-hash'];
  return owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(`-${hash}`)
    ? owner.name.slice(0, -hash.length - 1)
    : owner.name;
}
