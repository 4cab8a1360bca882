// Reads what a service has before a wizard begins, and writes what the wizard made.
import type { ConfigDetail, ConfigList, Detail, MissingRight, ObjectName, Rights } from '../../src/api.ts';
import { type MeshObject, readObject, type WizardService, writeObject } from '../../src/wizards/object.ts';
import { getJson, RequestError, sendJson } from '../state/request.ts';

/** An object as the cluster has it, with the version that the change is based on. */
export interface Present {
  readonly object: MeshObject;
  readonly yaml: string;
  readonly resourceVersion: string;
}

export interface Situation {
  readonly service: WizardService;
  readonly present: readonly Present[];
  /** Kinds of which not everything may be read: what the service has of them is not known. */
  readonly unreadable: readonly string[];
  /** What the person would need to read or write, in sentences. */
  readonly missing: readonly MissingRight[];
}

/** Rights that are missing for objects of the mesh's kinds. */
export const missingFor = ({ missing }: Situation, kind: string, verb: string): readonly MissingRight[] =>
  missing.filter((right) => right.verb === verb && right.resource === `${kind.toLowerCase()}s`);

/** What keeps a wizard from knowing what the service has of the kinds that it changes; without knowing, it must not offer a start. */
export const unreadableOf = ({ unreadable }: Situation, kinds: readonly string[]): readonly string[] =>
  kinds.filter((kind) => unreadable.includes(kind));

const concerned = new Set(['VirtualService', 'DestinationRule', 'PeerAuthentication']);

/** Labels by which the service chooses its pods: from its facts, where the server tells them as `name=value` separated by commas. */
function selectorOf(detail: Detail): Readonly<Record<string, string>> {
  const fact = detail.facts.find(({ label }) => label.toLowerCase() === 'selector')?.value ?? '';
  const pairs = fact
    .split(/[,\s]+/)
    .map((pair) => pair.split('='))
    .filter((pair): pair is [string, string] => pair.length === 2 && pair[0] !== '');
  return Object.fromEntries(pairs);
}

export const objectAddress = ({ kind, namespace, name }: ObjectName): string =>
  `config/${kind}/${namespace === '' ? '-' : namespace}/${name}`;

/** Raises RequestError. */
export async function situationOf(detail: Detail, signal: AbortSignal): Promise<Situation> {
  const { namespace, name } = detail;
  const named = detail.config.filter(({ kind }) => concerned.has(kind));
  // Objects of the namespace count too: a rule that the service's page does not show yet must not be written a second time.
  const listed = await getJson<ConfigList>(
    `config?${new URLSearchParams({ namespaces: namespace, kinds: [...concerned].join(',') })}`,
    { signal },
  );
  const rights = await getJson<Rights>(
    `rights?${new URLSearchParams({ namespace, kinds: [...concerned].join(','), verbs: 'list,create,update' })}`,
    { signal },
  );
  const keys = new Map([...named, ...listed.items].map((object) => [objectAddress(object), object]));
  const present = await Promise.all(
    [...keys.keys()].map(async (address): Promise<Present | undefined> => {
      const { yaml, resourceVersion } = await getJson<ConfigDetail>(address, { signal });
      const object = readObject(yaml);
      return object && { object, yaml: writeObject(object), resourceVersion };
    }),
  );
  return {
    service: { namespace, name, versions: detail.versions, selector: selectorOf(detail) },
    present: present.filter((each) => each !== undefined),
    unreadable: listed.unreadable ?? [],
    missing: rights.missing,
  };
}

export interface Planned {
  readonly object: MeshObject;
  readonly name: ObjectName;
  readonly before: Present | undefined;
  readonly yaml: string;
}

/** What is to be written, without what stays as it is. */
export function planned(situation: Situation, objects: readonly MeshObject[]): readonly Planned[] {
  return objects
    .map((object) => {
      const { name, namespace } = object.metadata;
      const before = situation.present.find(
        (each) =>
          each.object.kind === object.kind &&
          each.object.metadata.name === name &&
          each.object.metadata.namespace === namespace,
      );
      return { object, name: { kind: object.kind, namespace, name }, before, yaml: writeObject(object) };
    })
    .filter(({ before, yaml }) => before?.yaml !== yaml);
}

/** A change of several objects that stopped at one of them. */
export class ApplyError extends Error {
  readonly done: readonly ObjectName[];
  readonly at: ObjectName;
  readonly conflict: boolean;
  constructor(done: readonly ObjectName[], at: ObjectName, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.done = done;
    this.at = at;
    this.conflict = cause instanceof RequestError && cause.status === 409;
  }
}

/** Writes the objects in their order (subsets before the routes that use them). Raises ApplyError. */
export async function applyAll(plan: readonly Planned[]): Promise<void> {
  const done: ObjectName[] = [];
  for (const { name, before, yaml } of plan) {
    try {
      if (before) await sendJson('PUT', objectAddress(name), { yaml, resourceVersion: before.resourceVersion });
      else await sendJson('POST', 'config', { yaml });
    } catch (error) {
      throw new ApplyError(done, name, error);
    }
    done.push(name);
  }
}
