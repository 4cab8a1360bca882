import { asArray, asObject, asObjects, asString } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { spec, status } from './cells.ts';
import { AGE, type Column, duration, NAME, number, text, wide } from './columns.ts';

function subjects(kind: string): Column['cell'] {
  return (object) =>
    asObjects(object.subjects)
      .filter((subject) => subject.kind === kind)
      .map((subject) =>
        kind === 'ServiceAccount' ? `${asString(subject.namespace)}/${asString(subject.name)}` : asString(subject.name),
      )
      .join(', ');
}

const ROLE = text(
  'Role',
  (object) => `${asString(asObject(object.roleRef).kind)}/${asString(asObject(object.roleRef).name)}`,
);

const BINDING: readonly Column[] = [
  NAME,
  ROLE,
  AGE,
  wide('Users', subjects('User')),
  wide('Groups', subjects('Group')),
  wide('ServiceAccounts', subjects('ServiceAccount')),
];

const ROLE_ONLY: readonly Column[] = [NAME, text('Created At', (object) => object.metadata.creationTimestamp)];

const WEBHOOKS: readonly Column[] = [NAME, number('Webhooks', (object) => asArray(object.webhooks).length), AGE];

function requestCondition(object: ApiObject): string {
  const conditions = asObjects(status(object).conditions).map((condition) => asString(condition.type));
  const words = conditions.length === 0 ? ['Pending'] : conditions;
  if (asString(status(object).certificate) !== '') words.push('Issued');
  return words.join(',');
}

/** Columns of who may do what, of what has a say in it, and of certificates; also of the kinds that others define. */
export const ACCESS_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  'rbac.authorization.k8s.io/roles': ROLE_ONLY,
  'rbac.authorization.k8s.io/clusterroles': ROLE_ONLY,
  'rbac.authorization.k8s.io/rolebindings': BINDING,
  'rbac.authorization.k8s.io/clusterrolebindings': BINDING,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': WEBHOOKS,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': WEBHOOKS,
  'admissionregistration.k8s.io/validatingadmissionpolicies': [
    NAME,
    number('Validations', (object) => asArray(spec(object).validations).length),
    text('ParamKind', (object) => {
      const kind = asObject(spec(object).paramKind);
      return kind.kind === undefined ? '<unset>' : `${asString(kind.apiVersion)}/${asString(kind.kind)}`;
    }),
    AGE,
  ],
  'admissionregistration.k8s.io/validatingadmissionpolicybindings': [
    NAME,
    text('PolicyName', (object) => asString(spec(object).policyName)),
    text('ParamRef', (object) => asString(asObject(spec(object).paramRef).name) || '<unset>'),
    AGE,
  ],
  'apiextensions.k8s.io/customresourcedefinitions': ROLE_ONLY,
  'certificates.k8s.io/certificatesigningrequests': [
    NAME,
    AGE,
    text('SignerName', (object) => asString(spec(object).signerName)),
    text('Requestor', (object) => asString(spec(object).username)),
    text('RequestedDuration', (object) => {
      const seconds = spec(object).expirationSeconds;
      return typeof seconds === 'number' ? duration(seconds * 1000) : '<none>';
    }),
    text('Condition', requestCondition),
  ],
  'certificates.k8s.io/clustertrustbundles': [
    NAME,
    text('SignerName', (object) => asString(spec(object).signerName)),
    AGE,
  ],
};
