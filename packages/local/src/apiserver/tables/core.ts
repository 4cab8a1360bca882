import { asArray, asNumber, asObject, asObjects, asString, at } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { orNone, spec, status } from './cells.ts';
import { AGE, age, type Column, NAME, number, text, wide } from './columns.ts';
import { podReady, podRestarts, podStatus } from './pod-status.ts';

const size = (value: unknown): number => Object.keys(asObject(value)).length;

function nodeStatus(object: ApiObject): string {
  const ready = asObjects(status(object).conditions).find((condition) => condition.type === 'Ready');
  const words = [ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady'];
  if (spec(object).unschedulable === true) words.push('SchedulingDisabled');
  return words.join(',');
}

function nodeRoles(object: ApiObject): string {
  const prefix = 'node-role.kubernetes.io/';
  return orNone(
    Object.keys(object.metadata.labels ?? {})
      .filter((key) => key.startsWith(prefix))
      .map((key) => key.slice(prefix.length))
      .sort()
      .join(','),
  );
}

function nodeAddress(type: string): Column['cell'] {
  return (object) => orNone(asString(asObjects(status(object).addresses).find((item) => item.type === type)?.address));
}

function eventSource(object: ApiObject): string {
  const source = asObject(object.source ?? object.deprecatedSource);
  return [
    asString(source.component) || asString(object.reportingComponent ?? object.reportingController),
    asString(source.host),
  ]
    .filter((item) => item !== '')
    .join(', ');
}

function lastSeen(object: ApiObject, now: number): string {
  const last =
    object.lastTimestamp ??
    object.deprecatedLastTimestamp ??
    at(object, 'series', 'lastObservedTime') ??
    object.eventTime ??
    object.metadata.creationTimestamp;
  return age(last, now);
}

function involved(object: ApiObject): string {
  const reference = asObject(object.involvedObject ?? object.regarding);
  return `${asString(reference.kind).toLowerCase()}/${asString(reference.name)}`;
}

/** Columns of what every cluster has: pods, nodes, namespaces, configuration and events. */
export const CORE_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/pods': [
    NAME,
    text('Ready', podReady),
    text('Status', podStatus),
    text('Restarts', podRestarts),
    AGE,
    wide('IP', (object) => orNone(asString(status(object).podIP))),
    wide('Node', (object) => orNone(asString(spec(object).nodeName))),
    wide('Nominated Node', (object) => orNone(asString(status(object).nominatedNodeName))),
    wide('Readiness Gates', (object) => {
      const gates = asObjects(spec(object).readinessGates);
      if (gates.length === 0) return '<none>';
      const conditions = asObjects(status(object).conditions);
      const met = gates.filter((gate) =>
        conditions.some((condition) => condition.type === gate.conditionType && condition.status === 'True'),
      );
      return `${met.length}/${gates.length}`;
    }),
  ],
  '/nodes': [
    NAME,
    text('Status', nodeStatus),
    text('Roles', nodeRoles),
    AGE,
    text('Version', (object) => asString(asObject(status(object).nodeInfo).kubeletVersion)),
    wide('Internal-IP', nodeAddress('InternalIP')),
    wide('External-IP', nodeAddress('ExternalIP')),
    wide('OS-Image', (object) => asString(asObject(status(object).nodeInfo).osImage) || '<unknown>'),
    wide('Kernel-Version', (object) => asString(asObject(status(object).nodeInfo).kernelVersion) || '<unknown>'),
    wide(
      'Container-Runtime',
      (object) => asString(asObject(status(object).nodeInfo).containerRuntimeVersion) || '<unknown>',
    ),
  ],
  '/namespaces': [NAME, text('Status', (object) => asString(status(object).phase)), AGE],
  '/configmaps': [NAME, number('Data', (object) => size(object.data) + size(object.binaryData)), AGE],
  '/secrets': [
    NAME,
    text('Type', (object) => asString(object.type)),
    number('Data', (object) => size(object.data)),
    AGE,
  ],
  '/serviceaccounts': [NAME, number('Secrets', (object) => asArray(object.secrets).length), AGE],
  '/events': [
    text('Last Seen', lastSeen),
    text('Type', (object) => asString(object.type)),
    text('Reason', (object) => asString(object.reason)),
    text('Object', involved),
    wide('Subobject', (object) => asString(asObject(object.involvedObject ?? object.regarding).fieldPath)),
    wide('Source', eventSource),
    text('Message', (object) => asString(object.message ?? object.note).trim()),
    wide('First Seen', (object, now) =>
      age(
        object.firstTimestamp ??
          object.deprecatedFirstTimestamp ??
          object.eventTime ??
          object.metadata.creationTimestamp,
        now,
      ),
    ),
    wide('Count', (object) => String(asNumber(object.count ?? object.deprecatedCount, 1))),
    { ...NAME, priority: 1 },
  ],
  'coordination.k8s.io/leases': [NAME, text('Holder', (object) => asString(spec(object).holderIdentity)), AGE],
  'scheduling.k8s.io/priorityclasses': [
    NAME,
    number('Value', (object) => asNumber(object.value)),
    { name: 'Global-Default', type: 'boolean', cell: (object) => object.globalDefault === true },
    AGE,
    text('PreemptionPolicy', (object) => asString(object.preemptionPolicy)),
  ],
  'node.k8s.io/runtimeclasses': [NAME, text('Handler', (object) => asString(object.handler)), AGE],
};
