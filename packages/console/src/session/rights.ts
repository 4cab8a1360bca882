import type { ResourceType } from '@istio-ts/kube';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { MissingRight, ObjectName } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { inBatches } from '../sources/in-batches.ts';
import { may } from './access.ts';

/** Verbs of Kubernetes' roles that are asked about. */
export const verbs = ['get', 'list', 'create', 'update', 'patch', 'delete'] as const;
export type Verb = (typeof verbs)[number];

const resourceText = ({ group, resource }: Pick<ResourceType, 'group' | 'resource'>): string =>
  group === '' ? resource : `${resource} of ${group}`;

/** A right that is missing, in words. `namespace`: '' for the whole cluster. */
export function missingRight(
  verb: string,
  { group, resource, namespaced }: ResourceType,
  namespace: string,
): MissingRight {
  const where = !namespaced ? '' : namespace === '' ? ' in any namespace' : ` in namespace ${namespace}`;
  return {
    verb,
    group,
    resource,
    namespace,
    message: `You may not ${verb} ${resourceText({ group, resource })}${where}`,
  };
}

/** What of all this the user of a client may not do, in the order that it was asked in. */
export async function missingRights(
  client: KubeClient,
  types: readonly ResourceType[],
  asked: readonly Verb[],
  namespace: string,
): Promise<readonly MissingRight[]> {
  const questions = types.flatMap((type) => asked.map((verb) => ({ type, verb })));
  const allowed = await inBatches(questions, ({ type, verb }) =>
    may(client, { verb, group: type.group, resource: type.resource, namespace: type.namespaced ? namespace : '' }),
  );
  return questions
    .filter((_, at) => !allowed[at])
    .map(({ type, verb }) => missingRight(verb, type, type.namespaced ? namespace : ''));
}

/**
 * Does something with one object, and says which right was missing where the API server refuses it for that: it answers 403 for what an admission
 * webhook refuses too, so it is asked.
 */
export async function sayingRights<T>(
  client: KubeClient,
  verb: Verb,
  type: ResourceType,
  object: ObjectName,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 403) throw error;
    const missing = await missingRights(client, [type], [verb], object.namespace).catch(() => []);
    const [first] = missing;
    if (!first) throw error;
    throw new ApiFailure(403, `${first.message}: ${error.message}`, { object, missing });
  }
}
