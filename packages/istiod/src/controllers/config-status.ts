import type { FieldProblem } from '@istio-ts/api';
import { KubeApiError, type KubeClient, type KubeObject, type ResourceType } from '@istio-ts/kube';
import type { Logger } from '../log.ts';
import { type Condition, conditionOf, maxConditionMessage, withCondition } from './condition.ts';

const conditionType = 'Accepted';
/** The conditions that an object should have, or undefined when it has them already. An object that was never refused gets no condition at all. */
export function wantedConditions(
  object: KubeObject,
  problems: readonly FieldProblem[],
  now: Date,
): readonly Condition[] | undefined {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const existing = conditionOf(object, conditionType);
  if (errors.length === 0 && !existing) return undefined;
  const wanted: Condition =
    errors.length === 0
      ? { type: conditionType, status: 'True', reason: 'Valid', message: 'the configuration is in force' }
      : {
          type: conditionType,
          status: 'False',
          reason: 'Invalid',
          message:
            `ignored; the last valid configuration stays in force: ${errors.map(({ path, message }) => `${path}: ${message}`).join('; ')}`.slice(
              0,
              maxConditionMessage,
            ),
        };
  return withCondition(object, wanted, now);
}

/** Tells users in an object's status that it is ignored and why, and that it is in force again once it is mended. */
export function createConfigStatusWriter(
  client: KubeClient,
  now: () => Date,
  log: Logger,
): (type: ResourceType, object: KubeObject, problems: readonly FieldProblem[]) => void {
  return (type, object, problems) => {
    const conditions = wantedConditions(object, problems, now());
    if (!conditions) return;
    const { name = '', namespace } = object.metadata;
    client
      .patch(
        type,
        name,
        namespace,
        'merge',
        { status: { conditions } },
        { subresource: 'status', fieldManager: 'istiod' },
      )
      .catch((error: Error) => {
        if (!(error instanceof KubeApiError && (error.status === 404 || error.status === 409)))
          log.warn(`cannot write the status of ${type.kind} ${namespace}/${name}: ${error.message}`);
      });
  };
}
