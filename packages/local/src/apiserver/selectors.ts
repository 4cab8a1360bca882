import {
  type LabelRequirement,
  type LabelsOfObject,
  labelSelectorMatches,
  readLabelSelector,
  requirementHolds,
} from '@istio-ts/kube';
import { at } from './json.ts';
import type { ApiObject } from './object.ts';
import { badRequest } from './status.ts';

const MAX_SELECTOR = 64 * 1024;

/** Parses the text form of a label selector (`a=b,c!=d,e in (x,y),f notin (z),g,!h`). Throws a 400 `ApiError`. */
export function parseLabelSelector(text: string): LabelRequirement[] {
  if (text.length > MAX_SELECTOR) throw badRequest('the label selector is too long');
  const requirements: LabelRequirement[] = [];
  let rest = text.trim();
  const pattern =
    /^(?:!\s*([^\s,=!()]+)|([^\s,=!()]+)\s+(in|notin)\s*\(([^)]*)\)|([^\s,=!()]+)\s*(==|=|!=)\s*([^\s,=!()]*)|([^\s,=!()]+))\s*(?:,\s*|$)/;
  while (rest !== '') {
    const match = pattern.exec(rest);
    if (match === null)
      throw badRequest(`unable to parse requirement: found '${rest.slice(0, 64)}', expected: a label selector`);
    const [whole, absent, setKey, setOperator, setValues, key, operator, value, present] = match;
    if (absent !== undefined) requirements.push({ key: absent, operator: 'DoesNotExist' });
    else if (setKey !== undefined) {
      const values = (setValues ?? '').split(',').map((item) => item.trim());
      requirements.push({ key: setKey, operator: setOperator === 'in' ? 'In' : 'NotIn', values });
    } else if (key !== undefined)
      requirements.push({ key, operator: operator === '!=' ? 'NotIn' : 'In', values: [value ?? ''] });
    else if (present !== undefined) requirements.push({ key: present, operator: 'Exists' });
    rest = rest.slice(whole.length);
  }
  return requirements;
}

export function matchesRequirements(labels: LabelsOfObject, requirements: readonly LabelRequirement[]): boolean {
  return requirements.every((requirement) => requirementHolds(requirement, labels));
}

/** Whether labels match a LabelSelector object (meta/v1). An absent selector matches nothing, an empty one everything. */
export function matchesLabelSelector(labels: Readonly<Record<string, unknown>>, selector: unknown): boolean {
  const read = readLabelSelector(selector);
  return read !== undefined && labelSelectorMatches(read, labels);
}

export interface FieldRequirement {
  readonly path: string;
  readonly equals: boolean;
  readonly value: string;
}

/** Fields that can be selected by, beside metadata.name and metadata.namespace (the same as on a real server). */
const SELECTABLE: Readonly<Record<string, readonly string[]>> = {
  '/pods': [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  '/nodes': ['spec.unschedulable'],
  '/namespaces': ['status.phase'],
  '/secrets': ['type'],
  '/services': ['spec.clusterIP', 'spec.type'],
  '/events': [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'regarding.kind',
    'regarding.namespace',
    'regarding.name',
    'regarding.uid',
    'reason',
    'reportingComponent',
    'source',
    'type',
  ],
  '/replicationcontrollers': ['status.replicas'],
  'apps/replicasets': ['status.replicas'],
  'batch/jobs': ['status.successful'],
  'certificates.k8s.io/certificatesigningrequests': ['spec.signerName'],
  'certificates.k8s.io/clustertrustbundles': ['spec.signerName'],
};

/** Parses `a.b=c,d!=e`. Throws a 400 `ApiError` for a field that the resource does not support. */
export function parseFieldSelector(text: string, key: string, selectable: readonly string[] = []): FieldRequirement[] {
  if (text.length > MAX_SELECTOR) throw badRequest('the field selector is too long');
  return text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const match = /^\s*([^=!]+?)\s*(==|=|!=)\s*(.*)$/.exec(part);
      const path = match?.[1] ?? '';
      if (match === null) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`);
      const known =
        path === 'metadata.name' || path === 'metadata.namespace' || (SELECTABLE[key] ?? selectable).includes(path);
      if (!known) throw badRequest(`field label not supported: ${path}`);
      return { path, equals: match[2] !== '!=', value: match[3] ?? '' };
    });
}

function fieldText(object: ApiObject, path: string): string {
  let parts = path.split('.');
  if (object.kind === 'Event') {
    if (parts[0] === 'regarding') parts = ['involvedObject', ...parts.slice(1)];
    if (path === 'source') parts = ['source', 'component'];
  }
  if (path === 'status.successful') parts = ['status', 'succeeded'];
  const value = at(object, ...parts);
  if (value === undefined || value === null)
    return path === 'spec.unschedulable' || path === 'spec.hostNetwork' ? 'false' : '';
  return String(value);
}

export function matchesFields(object: ApiObject, requirements: readonly FieldRequirement[]): boolean {
  return requirements.every(({ path, equals, value }) => (fieldText(object, path) === value) === equals);
}
