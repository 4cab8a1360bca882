import { asArray, asNumber, asObject, asObjects, asString, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { labels, orNone, selector, spec, status } from './cells.ts';
import { AGE, age, type Column, duration, NAME, number, text, wide } from './columns.ts';

const podTemplate = (object: ApiObject) => asObject(asObject(spec(object).template).spec);

const containerNames = (podSpec: JsonObject) =>
  asObjects(podSpec.containers)
    .map((item) => asString(item.name))
    .join(',');

const images = (podSpec: JsonObject) =>
  asObjects(podSpec.containers)
    .map((item) => asString(item.image))
    .join(',');

const WORKLOAD_WIDE: readonly Column[] = [
  wide('Containers', (object) => containerNames(podTemplate(object))),
  wide('Images', (object) => images(podTemplate(object))),
  wide('Selector', (object) => selector(spec(object).selector)),
];

const replicaColumns: readonly Column[] = [
  number('Desired', (object) => asNumber(spec(object).replicas)),
  number('Current', (object) => asNumber(status(object).replicas)),
  number('Ready', (object) => asNumber(status(object).readyReplicas)),
];

function jobStatus(object: ApiObject): string {
  const conditions = asObjects(status(object).conditions);
  for (const type of ['Complete', 'Failed', 'Suspended', 'FailureTarget', 'SuccessCriteriaMet']) {
    if (conditions.some((condition) => condition.type === type && condition.status === 'True')) return type;
  }
  return object.metadata.deletionTimestamp === undefined ? 'Running' : 'Terminating';
}

function jobDuration(object: ApiObject, now: number): string {
  const start = asString(status(object).startTime);
  if (start === '') return '';
  const end = asString(status(object).completionTime);
  return duration((end === '' ? now : Date.parse(end)) - Date.parse(start));
}

function scalerTargets(object: ApiObject): string {
  const current = asObjects(status(object).currentMetrics);
  const parts = asObjects(spec(object).metrics).map((metric, index) => {
    const resource = asObject(metric.resource);
    const target = asObject(resource.target);
    const now = asObject(asObject(current[index]?.resource).current);
    if (target.averageUtilization !== undefined) {
      const used = now.averageUtilization;
      return `${asString(resource.name)}: ${used === undefined ? '<unknown>' : `${String(used)}%`}/${String(target.averageUtilization)}%`;
    }
    return `${asString(resource.name) || asString(metric.type)}: ${asString(now.averageValue) || '<unknown>'}/${asString(target.averageValue) || asString(target.value)}`;
  });
  const percentage = spec(object).targetCPUUtilizationPercentage;
  if (parts.length === 0 && percentage !== undefined) {
    const used = status(object).currentCPUUtilizationPercentage;
    parts.push(`cpu: ${used === undefined ? '<unknown>' : `${String(used)}%`}/${String(percentage)}%`);
  }
  return orNone(parts.join(', '));
}

/** Columns of what makes pods, and of what decides how many there are. */
export const WORKLOAD_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  '/replicationcontrollers': [
    NAME,
    ...replicaColumns,
    AGE,
    ...WORKLOAD_WIDE.slice(0, 2),
    wide('Selector', (object) => labels(spec(object).selector)),
  ],
  'apps/deployments': [
    NAME,
    text('Ready', (object) => `${asNumber(status(object).readyReplicas)}/${asNumber(spec(object).replicas)}`),
    number('Up-to-date', (object) => asNumber(status(object).updatedReplicas)),
    number('Available', (object) => asNumber(status(object).availableReplicas)),
    AGE,
    ...WORKLOAD_WIDE,
  ],
  'apps/replicasets': [NAME, ...replicaColumns, AGE, ...WORKLOAD_WIDE],
  'apps/statefulsets': [
    NAME,
    text('Ready', (object) => `${asNumber(status(object).readyReplicas)}/${asNumber(spec(object).replicas)}`),
    AGE,
    ...WORKLOAD_WIDE.slice(0, 2),
  ],
  'apps/daemonsets': [
    NAME,
    number('Desired', (object) => asNumber(status(object).desiredNumberScheduled)),
    number('Current', (object) => asNumber(status(object).currentNumberScheduled)),
    number('Ready', (object) => asNumber(status(object).numberReady)),
    number('Up-to-date', (object) => asNumber(status(object).updatedNumberScheduled)),
    number('Available', (object) => asNumber(status(object).numberAvailable)),
    text('Node Selector', (object) => labels(podTemplate(object).nodeSelector)),
    AGE,
    ...WORKLOAD_WIDE,
  ],
  'apps/controllerrevisions': [
    NAME,
    text('Controller', (object) => {
      const owner = object.metadata.ownerReferences?.find((reference) => reference.controller === true);
      return owner === undefined
        ? '<none>'
        : `${owner.kind.toLowerCase()}.${owner.apiVersion.split('/')[0]}/${owner.name}`;
    }),
    number('Revision', (object) => asNumber(object.revision)),
    AGE,
  ],
  'batch/jobs': [
    NAME,
    text('Status', jobStatus),
    text(
      'Completions',
      (object) =>
        `${asNumber(status(object).succeeded)}/${asNumber(spec(object).completions, asNumber(spec(object).parallelism, 1))}`,
    ),
    text('Duration', jobDuration),
    AGE,
    ...WORKLOAD_WIDE,
  ],
  'batch/cronjobs': [
    NAME,
    text('Schedule', (object) => asString(spec(object).schedule)),
    text('Timezone', (object) => orNone(asString(spec(object).timeZone))),
    text('Suspend', (object) => (spec(object).suspend === true ? 'True' : 'False')),
    number('Active', (object) => asArray(status(object).active).length),
    text('Last Schedule', (object, now) =>
      status(object).lastScheduleTime === undefined ? '<none>' : age(status(object).lastScheduleTime, now),
    ),
    AGE,
  ],
  'autoscaling/horizontalpodautoscalers': [
    NAME,
    text('Reference', (object) => {
      const target = asObject(spec(object).scaleTargetRef);
      return `${asString(target.kind)}/${asString(target.name)}`;
    }),
    text('Targets', scalerTargets),
    text('MinPods', (object) => String(asNumber(spec(object).minReplicas, 1))),
    text('MaxPods', (object) => String(asNumber(spec(object).maxReplicas))),
    text('Replicas', (object) => String(asNumber(status(object).currentReplicas))),
    AGE,
  ],
  'policy/poddisruptionbudgets': [
    NAME,
    text('Min Available', (object) => String(spec(object).minAvailable ?? 'N/A')),
    text('Max Unavailable', (object) => String(spec(object).maxUnavailable ?? 'N/A')),
    number('Allowed Disruptions', (object) => asNumber(status(object).disruptionsAllowed)),
    AGE,
  ],
};
