import type { ObjectStore } from '../../store/object-store.ts';
import { evaluateCel, toCel } from '../cel/environment.ts';
import { asArray, asObject, asObjects, asString, type JsonObject } from '../json.ts';
import type { AdmissionRequest } from '../operations/admission.ts';
import { ApiError } from '../status.ts';
import { admissionVariables, matchConditions } from './conditions.ts';
import { concerned, namespaceMatches, objectMatches } from './rules.ts';

const POLICIES = 'admissionregistration.k8s.io/validatingadmissionpolicies';
const BINDINGS = 'admissionregistration.k8s.io/validatingadmissionpolicybindings';

function covers(match: JsonObject, request: AdmissionRequest, store: ObjectStore, field: string): boolean {
  if (field in match && concerned(match[field], request, match.matchPolicy) === undefined) return false;
  if (concerned(match.excludeResourceRules, request, match.matchPolicy) !== undefined) return false;
  return namespaceMatches(match.namespaceSelector, request, store) && objectMatches(match.objectSelector, request);
}

/** ValidatingAdmissionPolicies with their bindings. Throws 422 (or what the validation's `reason` says) for a denied request. */
export function validateByPolicies(request: AdmissionRequest, store: ObjectStore): void {
  if (store.count(BINDINGS) === 0 || request.target.definition.group === 'admissionregistration.k8s.io') return;
  for (const binding of store.list(BINDINGS)) {
    const bindingSpec = asObject(binding.spec);
    const policy = store.get(POLICIES, '', asString(bindingSpec.policyName));
    if (policy === undefined) continue;
    const spec = asObject(policy.spec);
    if (!covers(asObject(spec.matchConstraints), request, store, 'resourceRules')) continue;
    if (!covers(asObject(bindingSpec.matchResources), request, store, 'resourceRules')) continue;
    const problem = violated(spec, bindingSpec, request, store);
    if (problem === undefined) continue;
    const actions = asArray(bindingSpec.validationActions);
    const text = `ValidatingAdmissionPolicy '${policy.metadata.name}' with binding '${binding.metadata.name}' denied request: ${problem.message}`;
    if (actions.includes('Warn'))
      request.context.warnings.push(`Validation failed for ${text.replace(' denied request', '')}`);
    if (actions.includes('Deny')) {
      const { definition, name } = request.target;
      const codes: Readonly<Record<string, number>> = {
        Unauthorized: 401,
        Forbidden: 403,
        RequestEntityTooLarge: 413,
        Invalid: 422,
      };
      const group = definition.group === '' ? '' : `.${definition.group}`;
      throw new ApiError(
        codes[problem.reason] ?? 422,
        problem.reason,
        `${definition.resource}${group} ${JSON.stringify(name)} is forbidden: ${text}`,
      );
    }
  }
}

function violated(
  spec: JsonObject,
  binding: JsonObject,
  request: AdmissionRequest,
  store: ObjectStore,
): { readonly message: string; readonly reason: string } | undefined {
  const ignore = spec.failurePolicy === 'Ignore';
  try {
    if (!matchConditions(spec.matchConditions, request, store)) return undefined;
    const variables: Record<string, unknown> = {
      ...admissionVariables(request, store),
      params: parameters(spec, binding, request, store),
    };
    const own: JsonObject = {};
    for (const variable of asObjects(spec.variables)) {
      own[asString(variable.name)] = evaluateCel(asString(variable.expression), { ...variables, variables: own });
    }
    variables.variables = own;
    for (const validation of asObjects(spec.validations)) {
      const expression = asString(validation.expression);
      if (evaluateCel(expression, variables) === true) continue;
      const reason = asString(validation.reason) || 'Invalid';
      const dynamic = asString(validation.messageExpression);
      const computed = dynamic === '' ? undefined : evaluateCel(dynamic, variables);
      const message =
        typeof computed === 'string' && computed !== ''
          ? computed
          : asString(validation.message) || `failed expression: ${expression}`;
      return { message, reason };
    }
    return undefined;
  } catch (error) {
    if (ignore) return undefined;
    return {
      message: `expression resulted in error: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
      reason: 'Invalid',
    };
  }
}

function parameters(spec: JsonObject, binding: JsonObject, request: AdmissionRequest, store: ObjectStore): unknown {
  const kind = asObject(spec.paramKind);
  const reference = asObject(binding.paramRef);
  const name = asString(reference.name);
  if (kind.kind === undefined || name === '') return null;
  const group = asString(kind.apiVersion).includes('/') ? (asString(kind.apiVersion).split('/')[0] ?? '') : '';
  for (const key of store.keys()) {
    if (!key.startsWith(`${group}/`)) continue;
    const namespace = asString(reference.namespace) || request.target.namespace;
    const found = store.get(key, namespace, name) ?? store.get(key, '', name);
    if (found?.kind === kind.kind) return toCel(found);
  }
  if (reference.parameterNotFoundAction === 'Deny')
    throw new Error(`params object ${JSON.stringify(name)} was not found`);
  return null;
}
