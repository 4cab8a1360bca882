import type { FieldProblem } from '@istio-ts/api';
import type { KubeClient, KubeObject, ResourceType } from '@istio-ts/kube';
import type { Logger } from '../log.ts';
import { type Condition, conditionOf, maxConditionMessage, withCondition } from './condition.ts';
import { updateStatus } from './update-status.ts';

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

/** An object of the cluster by its name. */
export interface ObjectName {
  readonly namespace: string | undefined;
  readonly name: string;
}

/** Tells users in an object's status that it is ignored and why, and that it is in force again once it is mended. */
export function createConfigStatusWriter(
  client: KubeClient,
  now: () => Date,
  log: Logger,
): (type: ResourceType, named: ObjectName, problems: () => readonly FieldProblem[]) => void {
  return (type, named, problems) => {
    updateStatus(client, type, named, (object) => {
      const conditions = wantedConditions(object, problems(), now());
      return conditions && { conditions };
    }).catch((error: Error) =>
      log.warn(`cannot write the status of ${type.kind} ${named.namespace}/${named.name}: ${error.message}`),
    );
  };
}
