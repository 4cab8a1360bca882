import type { ObjectStore } from '../../store/object-store.ts';
import { evaluateCel, toCel } from '../cel/environment.ts';
import { asObjects, asString } from '../json.ts';
import type { AdmissionRequest } from '../operations/admission.ts';
import { reviewRequest } from './chain.ts';

/** Variables of admission expressions (Kubernetes documentation, "Matching requests: matchConditions"). */
export function admissionVariables(request: AdmissionRequest, store: ObjectStore): Record<string, unknown> {
  const namespace =
    request.target.namespace === '' ? undefined : store.get('/namespaces', '', request.target.namespace);
  return {
    object: toCel(request.object ?? null),
    oldObject: toCel(request.oldObject ?? null),
    request: toCel(reviewRequest(request, '')),
    namespaceObject: toCel(namespace ?? null),
    params: null,
  };
}

/** Whether all conditions are true. Throws when one cannot be evaluated and none is false. */
export function matchConditions(conditions: unknown, request: AdmissionRequest, store: ObjectStore): boolean {
  const list = asObjects(conditions);
  if (list.length === 0) return true;
  const variables = admissionVariables(request, store);
  let failure: Error | undefined;
  for (const condition of list) {
    try {
      if (evaluateCel(asString(condition.expression), variables) !== true) return false;
    } catch (error) {
      failure ??= new Error(
        `match condition ${JSON.stringify(asString(condition.name))}: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
  }
  if (failure !== undefined) throw failure;
  return true;
}
