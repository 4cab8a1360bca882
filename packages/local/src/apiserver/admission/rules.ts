import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asObject, asObjects, type JsonObject } from '../json.ts';
import type { AdmissionRequest } from '../operations/admission.ts';
import { matchesLabelSelector } from '../selectors.ts';

const has = (list: unknown, value: string): boolean => {
  const values = asArray(list);
  return values.includes('*') || values.includes(value);
};

function resourceMatches(list: unknown, resource: string, subresource: string): boolean {
  return asArray(list).some((item) => {
    const [wanted = '', wantedSub] = String(item).split('/');
    const matchesResource = wanted === '*' || wanted === resource;
    if (wantedSub === undefined) return matchesResource && subresource === '';
    return matchesResource && (wantedSub === '*' || wantedSub === subresource);
  });
}

/** The version of a rule that covers the request: the request's own one, or (matchPolicy Equivalent) another served version. */
export function matchRule(rule: JsonObject, request: AdmissionRequest, equivalent: boolean): string | undefined {
  const { definition, version, subresource, name } = request.target;
  if (!has(rule.operations, request.operation)) return undefined;
  if (!has(rule.apiGroups, definition.group)) return undefined;
  if (!resourceMatches(rule.resources, definition.resource, subresource)) return undefined;
  const scope = rule.scope ?? '*';
  if (scope === 'Namespaced' && !definition.namespaced) return undefined;
  if (scope === 'Cluster' && definition.namespaced) return undefined;
  const names = asArray(rule.resourceNames);
  if (names.length > 0 && !names.includes(name)) return undefined;
  if (has(rule.apiVersions, version)) return version;
  if (!equivalent) return undefined;
  return definition.versions.find((other) => has(rule.apiVersions, other));
}

/** Whether the labels of the request's namespace match; the namespace's own labels when the request is about a namespace. */
export function namespaceMatches(selector: unknown, request: AdmissionRequest, store: ObjectStore): boolean {
  const { definition, namespace, name } = request.target;
  if (Object.keys(asObject(selector)).length === 0) return true;
  const isNamespace = definition.kind === 'Namespace' && definition.group === '';
  if (!definition.namespaced && !isNamespace) return true;
  if (isNamespace && request.operation === 'CREATE')
    return matchesLabelSelector(asObject(request.object?.metadata.labels), selector);
  const found = store.get('/namespaces', '', isNamespace ? name : namespace);
  return matchesLabelSelector(asObject(found?.metadata.labels), selector);
}

/** Whether the object, or the one before an update, has matching labels. */
export function objectMatches(selector: unknown, request: AdmissionRequest): boolean {
  if (Object.keys(asObject(selector)).length === 0) return true;
  return [request.object, request.oldObject].some(
    (object) => object !== undefined && matchesLabelSelector(asObject(object.metadata.labels), selector),
  );
}

/** The version in which a webhook or policy with these rules wants the request, or undefined when it is not concerned. */
export function concerned(rules: unknown, request: AdmissionRequest, matchPolicy: unknown): string | undefined {
  for (const rule of asObjects(rules)) {
    const version = matchRule(rule, request, matchPolicy !== 'Exact');
    if (version !== undefined) return version;
  }
  return undefined;
}
