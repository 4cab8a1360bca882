import type { ObjectStore } from '../../store/object-store.ts';
import { storageKey } from '../definitions.ts';
import { asArray, asObject, asObjects, asString, equal, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import type { Target } from '../operations/context.ts';
import { forbidden, notFound } from '../status.ts';
import { type Attributes, type Authorizer, ruleAllows } from './rbac.ts';
import { isMaster, type User } from './user.ts';

const RBAC = 'rbac.authorization.k8s.io';

/**
 * Whoever writes roles and bindings cannot give away more than they have (Kubernetes documentation, "Privilege escalation prevention and
 * bootstrapping"), unless the verbs `escalate` and `bind` say so.
 */
export class EscalationGuard {
  readonly #store: ObjectStore;
  readonly #authorizer: Authorizer;

  constructor(store: ObjectStore, authorizer: Authorizer) {
    this.#store = store;
    this.#authorizer = authorizer;
  }

  /** Throws 403 when `user` may not write `object` in place of `current`. */
  check(user: User, target: Target, object: ApiObject, current: ApiObject | undefined): void {
    if (target.definition.group !== RBAC || isMaster(user)) return;
    switch (storageKey(target.definition)) {
      case `${RBAC}/roles`:
      case `${RBAC}/clusterroles`:
        this.#checkRole(user, target, object, current);
        return;
      case `${RBAC}/rolebindings`:
      case `${RBAC}/clusterrolebindings`:
        this.#checkBinding(user, target, object, current);
        return;
      default:
    }
  }

  #checkRole(user: User, target: Target, object: ApiObject, current: ApiObject | undefined): void {
    const sameRules = equal(object.rules ?? [], current?.rules ?? []);
    const sameAggregation = equal(object.aggregationRule ?? null, current?.aggregationRule ?? null);
    if (sameRules && sameAggregation) return;
    const { definition } = target;
    const namespace = object.metadata.namespace ?? '';
    if (this.#may(user, 'escalate', definition.resource, namespace, object.metadata.name)) return;
    const everything: JsonObject[] = [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ];
    const wanted = sameAggregation ? asObjects(object.rules) : everything;
    this.#requireCovered(user, target, object.metadata.name, namespace, wanted);
  }

  #checkBinding(user: User, target: Target, object: ApiObject, current: ApiObject | undefined): void {
    const unchanged = equal(object.roleRef, current?.roleRef) && equal(object.subjects ?? [], current?.subjects ?? []);
    if (current !== undefined && unchanged) return;
    const namespace = object.metadata.namespace ?? '';
    const reference = asObject(object.roleRef);
    const name = asString(reference.name);
    const resource = reference.kind === 'Role' ? 'roles' : 'clusterroles';
    if (this.#may(user, 'bind', resource, namespace, name)) return;
    const role = this.#store.get(`${RBAC}/${resource}`, resource === 'roles' ? namespace : '', name);
    if (role === undefined) throw notFound({ group: RBAC, resource }, name);
    this.#requireCovered(user, target, object.metadata.name, namespace, asObjects(role.rules));
  }

  #may(user: User, verb: string, resource: string, namespace: string, name: string): boolean {
    return this.#authorizer.check(user, { verb, group: RBAC, resource, namespace, name, path: '' }).allowed;
  }

  #requireCovered(user: User, target: Target, name: string, namespace: string, wanted: readonly JsonObject[]): void {
    const own = this.#authorizer.rules(user, namespace);
    const missing = wanted.filter((rule) =>
      permissions(rule, namespace).some((permission) => !own.some((having) => ruleAllows(having, permission))),
    );
    if (missing.length === 0) return;
    const listed = missing.slice(0, 10).map((rule) => JSON.stringify(rule));
    throw forbidden(
      target.definition,
      name,
      `user ${JSON.stringify(user.name)} (groups=${JSON.stringify(user.groups)}) is attempting to grant RBAC permissions not currently held:\n${listed.join('\n')}`,
    );
  }
}

/** Every single permission that a rule gives; a `*` in it is a permission that only a `*` covers. */
function permissions(rule: JsonObject, namespace: string): Attributes[] {
  if (!isObject(rule)) return [];
  const strings = (value: unknown) => asArray(value).map(String);
  const names = strings(rule.resourceNames);
  return strings(rule.verbs).flatMap((verb) => [
    ...strings(rule.nonResourceURLs).map((path) => ({ verb, group: '', resource: '', namespace: '', name: '', path })),
    ...strings(rule.apiGroups).flatMap((group) =>
      strings(rule.resources).flatMap((resource) =>
        (names.length === 0 ? [''] : names).map((name) => ({ verb, group, resource, namespace, name, path: '' })),
      ),
    ),
  ]);
}
