import type { FieldProblem } from '@istio-ts/api';
import type { KubeClient, KubeObject, ResourceType } from '@istio-ts/kube';
import type { Logger } from '../log.ts';
import { type Condition, conditionOf, maxConditionMessage, withCondition } from './condition.ts';
import { updateStatus } from './update-status.ts';

const conditionType = 'Accepted';

/** What is wrong with an object. */
export interface StatusProblem extends FieldProblem {
  /** True when only the part at `path` has no effect. */
  readonly onlyPart?: boolean;
}

/** The conditions that an object should have, or undefined when it has them already. An object that was never refused gets no condition at all. */
export function wantedConditions(
  object: KubeObject,
  problems: readonly StatusProblem[],
  now: Date,
): readonly Condition[] | undefined {
  const errors = problems.filter(({ severity }) => severity === 'error');
  const existing = conditionOf(object, conditionType);
  if (errors.length === 0 && !existing) return undefined;
  return withCondition(object, errors.length === 0 ? inForce : refused(errors), now);
}

const inForce: Condition = {
  type: conditionType,
  status: 'True',
  reason: 'Valid',
  message: 'the configuration is in force',
};

function refused(errors: readonly StatusProblem[]): Condition {
  const onlyParts = errors.every(({ onlyPart }) => onlyPart === true);
  const what = onlyParts
    ? 'in force, but not with everything in it'
    : 'ignored; the last valid configuration stays in force';
  const list = errors.map(({ path, message }) => `${path}: ${message}`).join('; ');
  return {
    type: conditionType,
    status: 'False',
    reason: onlyParts ? 'PartlyInvalid' : 'Invalid',
    message: `${what}: ${list}`.slice(0, maxConditionMessage),
  };
}

/** An object of the cluster by its name. */
export interface ObjectName {
  readonly namespace: string | undefined;
  readonly name: string;
}

/** Runs `work` later; the result calls it off. */
export type Later = (work: () => void, ms: number) => () => void;

const laterOnClock: Later = (work, ms) => {
  const timer = setTimeout(work, ms);
  timer.unref();
  return () => clearTimeout(timer);
};

const firstRetryMs = 1000;
const longestRetryMs = 60_000;

/** Writes what became of objects into their status. */
export interface ConfigStatusWriter {
  /** `problems` is asked at the time of writing. */
  write(type: ResourceType, named: ObjectName, problems: () => readonly StatusProblem[]): void;
  close(): void;
}

/**
 * Tells users in an object's status that it is ignored and why, and that it is in force again once it is mended. What the API server does not take
 * (because it has just started and knows no roles yet, for example) is tried again, after longer and longer waits; people hear of it once.
 */
export function createConfigStatusWriter(
  client: KubeClient,
  now: () => Date,
  log: Logger,
  later: Later = laterOnClock,
  wanted: typeof wantedConditions = wantedConditions,
): ConfigStatusWriter {
  /** By object: calls off what waits to be written again. */
  const waiting = new Map<string, () => void>();
  let closed = false;

  const attempt = (
    type: ResourceType,
    named: ObjectName,
    problems: () => readonly StatusProblem[],
    failures: number,
  ): void => {
    const key = `${type.kind} ${named.namespace}/${named.name}`;
    waiting.get(key)?.();
    waiting.delete(key);
    updateStatus(client, type, named, (object) => {
      const conditions = wanted(object, problems(), now());
      return conditions && { conditions };
    }).catch((error: Error) => {
      const ms = Math.min(firstRetryMs * 2 ** failures, longestRetryMs);
      if (failures === 0) log.warn(`cannot write the status of ${key}, trying again: ${error.message}`);
      else log.debug(`cannot write the status of ${key} after ${failures + 1} attempts: ${error.message}`);
      // A newer write of the same object has its own attempts.
      if (closed || waiting.has(key)) return;
      waiting.set(
        key,
        later(() => attempt(type, named, problems, failures + 1), ms),
      );
    });
  };

  return {
    write: (type, named, problems) => attempt(type, named, problems, 0),
    close: () => {
      closed = true;
      for (const callOff of waiting.values()) callOff();
      waiting.clear();
    },
  };
}
