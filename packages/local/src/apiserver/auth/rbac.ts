import type { ObjectStore } from '../../store/object-store.ts';
import { asArray, asObject, asObjects, asString, type JsonObject } from '../json.ts';
import { isMaster, serviceAccountName, type User } from './user.ts';

/** What a request wants to do. */
export interface Attributes {
  readonly verb: string;
  readonly group: string;
  /** With subresource: `pods/log`. Empty for a path that is no resource. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  /** Set for requests that are not about resources. */
  readonly path: string;
}

export interface Decision {
  readonly allowed: boolean;
  readonly reason: string;
}

const has = (list: unknown, value: string) => {
  const values = asArray(list);
  return values.includes('*') || values.includes(value);
};

/** Whether one rule of a role allows a request. */
export function ruleAllows(rule: JsonObject, attributes: Attributes): boolean {
  if (!has(rule.verbs, attributes.verb)) return false;
  if (attributes.path !== '') {
    return asArray(rule.nonResourceURLs).some(
      (url) =>
        url === '*' ||
        url === attributes.path ||
        (typeof url === 'string' && url.endsWith('*') && attributes.path.startsWith(url.slice(0, -1))),
    );
  }
  if (!has(rule.apiGroups, attributes.group)) return false;
  const resources = asArray(rule.resources);
  const subresource = attributes.resource.includes('/') ? `*/${attributes.resource.split('/')[1]}` : undefined;
  const matches =
    resources.includes('*') ||
    resources.includes(attributes.resource) ||
    (subresource !== undefined && resources.includes(subresource));
  if (!matches) return false;
  const names = asArray(rule.resourceNames);
  return names.length === 0 || (attributes.name !== '' && names.includes(attributes.name));
}

function bindingCovers(binding: JsonObject, user: User, bindingNamespace: string): boolean {
  return asObjects(binding.subjects).some((subject) => {
    const name = asString(subject.name);
    switch (subject.kind) {
      case 'User':
        return name === user.name;
      case 'Group':
        return user.groups.includes(name);
      case 'ServiceAccount':
        return user.name === serviceAccountName(asString(subject.namespace) || bindingNamespace, name);
      default:
        return false;
    }
  });
}

const RBAC = 'rbac.authorization.k8s.io';

/** Role-based access control over the Roles, ClusterRoles and bindings in the store. */
export class Authorizer {
  readonly #store: ObjectStore;

  constructor(store: ObjectStore) {
    this.#store = store;
  }

  /** Rules that hold for a user: cluster-wide ones, and those of a namespace if one is given. */
  rules(user: User, namespace: string): JsonObject[] {
    const found: JsonObject[] = [];
    const collect = (binding: JsonObject, bindingNamespace: string) => {
      if (!bindingCovers(binding, user, bindingNamespace)) return;
      const role = asObject(binding.roleRef);
      const name = asString(role.name);
      const object =
        role.kind === 'Role'
          ? this.#store.get(`${RBAC}/roles`, bindingNamespace, name)
          : this.#store.get(`${RBAC}/clusterroles`, '', name);
      found.push(...asObjects(object?.rules));
    };
    for (const binding of this.#store.list(`${RBAC}/clusterrolebindings`)) collect(binding, '');
    if (namespace !== '')
      for (const binding of this.#store.list(`${RBAC}/rolebindings`, namespace)) collect(binding, namespace);
    return found;
  }

  check(user: User, attributes: Attributes): Decision {
    if (isMaster(user)) return { allowed: true, reason: '' };
    if (this.rules(user, attributes.namespace).some((rule) => ruleAllows(rule, attributes)))
      return { allowed: true, reason: 'RBAC: allowed' };
    return { allowed: false, reason: '' };
  }
}

/** The refusal in Kubernetes' words. */
export function refusal(user: User, attributes: Attributes): string {
  const who = `User ${JSON.stringify(user.name)} cannot ${attributes.verb}`;
  if (attributes.path !== '') return `${who} path ${JSON.stringify(attributes.path)}`;
  const scope =
    attributes.namespace === '' ? ' at the cluster scope' : ` in the namespace ${JSON.stringify(attributes.namespace)}`;
  return `${who} resource ${JSON.stringify(attributes.resource)} in API group ${JSON.stringify(attributes.group)}${scope}`;
}
