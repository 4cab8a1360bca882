import { type JsonObject, asArray, asObject, asObjects, clone } from './json.ts';
import { type ApiObject, apiVersionOf, groupOf } from './object.ts';
import type { ResourceDefinition } from './definitions.ts';

/** Event fields that are called otherwise in events.k8s.io/v1 than in core v1. */
const EVENT_FIELDS: readonly (readonly [core: string, events: string])[] = [
  ['involvedObject', 'regarding'],
  ['message', 'note'],
  ['source', 'deprecatedSource'],
  ['firstTimestamp', 'deprecatedFirstTimestamp'],
  ['lastTimestamp', 'deprecatedLastTimestamp'],
  ['count', 'deprecatedCount'],
  ['reportingComponent', 'reportingController'],
];

function renamed(object: ApiObject, from: 0 | 1, apiVersion: string): ApiObject {
  const result: JsonObject = {};
  const names = new Map(EVENT_FIELDS.map((pair) => [pair[from], pair[1 - from] ?? '']));
  for (const [key, value] of Object.entries(object)) result[names.get(key) ?? key] = value;
  return { ...result, apiVersion } as ApiObject;
}

function scalerToV1(object: ApiObject): ApiObject {
  const copy = clone(object);
  const spec = asObject(copy.spec);
  const cpu = asObjects(spec.metrics).find((metric) => asObject(metric.resource).name === 'cpu');
  const utilisation = asObject(asObject(cpu?.resource).target).averageUtilization;
  const { metrics: _m, behavior: _b, ...rest } = spec;
  copy.spec = { ...rest, ...(utilisation === undefined ? {} : { targetCPUUtilizationPercentage: utilisation }) };
  const { currentMetrics, conditions: _c, ...status } = asObject(copy.status);
  const current = asObjects(currentMetrics).find((metric) => asObject(metric.resource).name === 'cpu');
  const percentage = asObject(asObject(current?.resource).current).averageUtilization;
  if (copy.status !== undefined) {
    copy.status = {
      ...status,
      ...(percentage === undefined ? {} : { currentCPUUtilizationPercentage: percentage }),
    };
  }
  copy.apiVersion = 'autoscaling/v1';
  return copy;
}

function scalerToV2(object: ApiObject): ApiObject {
  const copy = clone(object);
  const { targetCPUUtilizationPercentage: percentage, ...spec } = asObject(copy.spec);
  if (percentage !== undefined && asArray(spec.metrics).length === 0) {
    spec.metrics = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: percentage } } },
    ];
  }
  copy.spec = spec;
  copy.apiVersion = 'autoscaling/v2';
  return copy;
}

/**
 * The object in another version of its resource. Custom resources have the same content in all versions (conversion strategy `None`).
 * Returns the object itself when it is in that version already.
 */
export function convert(object: ApiObject, definition: ResourceDefinition, version: string): ApiObject {
  const apiVersion = apiVersionOf(definition.group, version);
  if (object.apiVersion === apiVersion) return object;
  if (object.kind === 'Event' && definition.custom === undefined) {
    const from = groupOf(object.apiVersion) === '' ? 0 : 1;
    if ((from === 0) !== (definition.group === '')) return renamed(object, from, apiVersion);
  }
  if (object.kind === 'HorizontalPodAutoscaler' && definition.group === 'autoscaling') {
    return version === 'v1' ? scalerToV1(object) : scalerToV2(object);
  }
  return { ...object, apiVersion };
}

/** The version an object is stored in. Events are stored as core v1 whichever group they came through. */
export function toStorage(object: ApiObject, definition: ResourceDefinition): ApiObject {
  if (definition.group === 'events.k8s.io') return renamed(object, 1, 'v1');
  return convert(object, definition, definition.storageVersion);
}
