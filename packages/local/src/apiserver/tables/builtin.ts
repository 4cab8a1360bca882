import { asArray, asNumber, asObject, asObjects, asString, at, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';
import { AGE, age, type Column, duration, NAME } from './columns.ts';
import { podReady, podRestarts, podStatus } from './pod-status.ts';

type Cell = Column['cell'];

const text = (name: string, cell: Cell): Column => ({ name, type: 'string', cell });
const number = (name: string, cell: Cell): Column => ({ name, type: 'integer', cell });
const wide = (name: string, cell: Cell): Column => ({ name, type: 'string', priority: 1, cell });

const spec = (object: ApiObject): JsonObject => asObject(object.spec);
const status = (object: ApiObject): JsonObject => asObject(object.status);
const size = (value: unknown): number => Object.keys(asObject(value)).length;
const orNone = (value: string): string => (value === '' ? '<none>' : value);

function labels(map: unknown): string {
  return orNone(
    Object.entries(asObject(map))
      .map(([key, value]) => `${key}=${String(value)}`)
      .sort()
      .join(','),
  );
}

function selector(value: unknown): string {
  const object = asObject(value);
  const parts = Object.entries(asObject(object.matchLabels)).map(([key, item]) => `${key}=${String(item)}`);
  for (const expression of asObjects(object.matchExpressions)) {
    const key = asString(expression.key);
    const values = asArray(expression.values).join(',');
    switch (expression.operator) {
      case 'In':
        parts.push(`${key} in (${values})`);
        break;
      case 'NotIn':
        parts.push(`${key} notin (${values})`);
        break;
      case 'Exists':
        parts.push(key);
        break;
      default:
        parts.push(`!${key}`);
    }
  }
  return orNone(parts.sort().join(','));
}

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

function externalAddresses(object: ApiObject): string {
  const { type, externalIPs, externalName } = spec(object);
  const given = asArray(externalIPs).map(String);
  switch (type) {
    case 'ExternalName':
      return asString(externalName);
    case 'LoadBalancer': {
      const ingress = asObjects(asObject(status(object).loadBalancer).ingress).map(
        (item) => asString(item.ip) || asString(item.hostname),
      );
      const all = [...ingress, ...given];
      return all.length === 0 ? '<pending>' : all.join(',');
    }
    default:
      return orNone(given.join(','));
  }
}

function servicePorts(object: ApiObject): string {
  return orNone(
    asObjects(spec(object).ports)
      .map(
        (port) => `${String(port.port)}${port.nodePort ? `:${String(port.nodePort)}` : ''}/${asString(port.protocol)}`,
      )
      .join(','),
  );
}

function endpointAddresses(object: ApiObject): string {
  const all: string[] = [];
  for (const subset of asObjects(object.subsets)) {
    const addresses = asObjects(subset.addresses).map((item) => asString(item.ip));
    const ports = asObjects(subset.ports);
    if (ports.length === 0) all.push(...addresses);
    for (const port of ports) all.push(...addresses.map((address) => `${address}:${String(port.port)}`));
  }
  if (all.length === 0) return '<none>';
  return all.length > 3 ? `${all.slice(0, 3).join(',')} + ${all.length - 3} more...` : all.join(',');
}

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

function nodeAddress(type: string): Cell {
  return (object) => orNone(asString(asObjects(status(object).addresses).find((item) => item.type === type)?.address));
}

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

function ingressAddresses(object: ApiObject): string {
  return asObjects(asObject(status(object).loadBalancer).ingress)
    .map((item) => asString(item.ip) || asString(item.hostname))
    .join(',');
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

function requestCondition(object: ApiObject): string {
  const conditions = asObjects(status(object).conditions).map((condition) => asString(condition.type));
  const words = conditions.length === 0 ? ['Pending'] : conditions;
  if (asString(status(object).certificate) !== '') words.push('Issued');
  return words.join(',');
}

function subjects(kind: string): Cell {
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

const replicaColumns: readonly Column[] = [
  number('Desired', (object) => asNumber(spec(object).replicas)),
  number('Current', (object) => asNumber(status(object).replicas)),
  number('Ready', (object) => asNumber(status(object).readyReplicas)),
];

function unique(values: readonly string[]): string[] {
  return [...new Set(values)];
}

/** Columns of the built-in kinds by storage key, as kubectl users know them. */
export const BUILTIN_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
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
  '/services': [
    NAME,
    text('Type', (object) => asString(spec(object).type)),
    text('Cluster-IP', (object) => orNone(asString(spec(object).clusterIP)).replace('None', 'None')),
    text('External-IP', externalAddresses),
    text('Port(s)', servicePorts),
    AGE,
    wide('Selector', (object) => labels(spec(object).selector)),
  ],
  '/endpoints': [NAME, text('Endpoints', endpointAddresses), AGE],
  '/configmaps': [NAME, number('Data', (object) => size(object.data) + size(object.binaryData)), AGE],
  '/secrets': [
    NAME,
    text('Type', (object) => asString(object.type)),
    number('Data', (object) => size(object.data)),
    AGE,
  ],
  '/serviceaccounts': [NAME, number('Secrets', (object) => asArray(object.secrets).length), AGE],
  '/namespaces': [NAME, text('Status', (object) => asString(status(object).phase)), AGE],
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
  '/persistentvolumeclaims': [
    NAME,
    text('Status', (object) =>
      object.metadata.deletionTimestamp === undefined ? asString(status(object).phase) : 'Terminating',
    ),
    text('Volume', (object) => asString(spec(object).volumeName)),
    text('Capacity', (object) => asString(asObject(status(object).capacity).storage)),
    text('Access Modes', (object) => asArray(status(object).accessModes).map(shortMode).join(',')),
    text('StorageClass', (object) => asString(spec(object).storageClassName)),
    text('VolumeAttributesClass', (object) => asString(spec(object).volumeAttributesClassName) || '<unset>'),
    AGE,
    wide('VolumeMode', (object) => asString(spec(object).volumeMode)),
  ],
  '/persistentvolumes': [
    NAME,
    text('Capacity', (object) => asString(asObject(spec(object).capacity).storage)),
    text('Access Modes', (object) => asArray(spec(object).accessModes).map(shortMode).join(',')),
    text('Reclaim Policy', (object) => asString(spec(object).persistentVolumeReclaimPolicy)),
    text('Status', (object) => asString(status(object).phase)),
    text('Claim', (object) => {
      const claim = asObject(spec(object).claimRef);
      return claim.name === undefined ? '' : `${asString(claim.namespace)}/${asString(claim.name)}`;
    }),
    text('StorageClass', (object) => asString(spec(object).storageClassName)),
    text('Reason', (object) => asString(status(object).reason)),
    AGE,
  ],
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
  'networking.k8s.io/ingresses': [
    NAME,
    text('Class', (object) => orNone(asString(spec(object).ingressClassName))),
    text('Hosts', (object) => {
      const hosts = unique(
        asObjects(spec(object).rules)
          .map((rule) => asString(rule.host))
          .filter((host) => host !== ''),
      );
      return hosts.length === 0 ? '*' : hosts.join(',');
    }),
    text('Address', ingressAddresses),
    text('Ports', (object) => (asArray(spec(object).tls).length > 0 ? '80, 443' : '80')),
    AGE,
  ],
  'networking.k8s.io/ingressclasses': [
    NAME,
    text('Controller', (object) => asString(spec(object).controller)),
    text('Parameters', (object) => {
      const parameters = asObject(spec(object).parameters);
      return parameters.name === undefined ? '<none>' : `${asString(parameters.kind)}/${asString(parameters.name)}`;
    }),
    AGE,
  ],
  'networking.k8s.io/networkpolicies': [
    NAME,
    text('Pod-Selector', (object) => selector(spec(object).podSelector)),
    AGE,
  ],
  'discovery.k8s.io/endpointslices': [
    NAME,
    text('AddressType', (object) => asString(object.addressType)),
    text('Ports', (object) => {
      const ports = asObjects(object.ports).map((port) => String(port.port ?? '*'));
      return ports.length === 0
        ? '<unset>'
        : ports.length > 3
          ? `${ports.slice(0, 3).join(',')} + ${ports.length - 3} more...`
          : ports.join(',');
    }),
    text('Endpoints', (object) => {
      const addresses = asObjects(object.endpoints).flatMap((endpoint) => asArray(endpoint.addresses).map(String));
      if (addresses.length === 0) return '<unset>';
      return addresses.length > 3
        ? `${addresses.slice(0, 3).join(',')} + ${addresses.length - 3} more...`
        : addresses.join(',');
    }),
    AGE,
  ],
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
  'coordination.k8s.io/leases': [NAME, text('Holder', (object) => asString(spec(object).holderIdentity)), AGE],
  'scheduling.k8s.io/priorityclasses': [
    NAME,
    number('Value', (object) => asNumber(object.value)),
    { name: 'Global-Default', type: 'boolean', cell: (object) => object.globalDefault === true },
    AGE,
    text('PreemptionPolicy', (object) => asString(object.preemptionPolicy)),
  ],
  'storage.k8s.io/storageclasses': [
    {
      ...NAME,
      cell: (object) =>
        `${object.metadata.name}${object.metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true' ? ' (default)' : ''}`,
    },
    text('Provisioner', (object) => asString(object.provisioner)),
    text('ReclaimPolicy', (object) => asString(object.reclaimPolicy)),
    text('VolumeBindingMode', (object) => asString(object.volumeBindingMode)),
    { name: 'AllowVolumeExpansion', type: 'boolean', cell: (object) => object.allowVolumeExpansion === true },
    AGE,
  ],
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
  'node.k8s.io/runtimeclasses': [NAME, text('Handler', (object) => asString(object.handler)), AGE],
};

function shortMode(mode: unknown): string {
  const names: Readonly<Record<string, string>> = {
    ReadWriteOnce: 'RWO',
    ReadOnlyMany: 'ROX',
    ReadWriteMany: 'RWX',
    ReadWriteOncePod: 'RWOP',
  };
  return names[String(mode)] ?? String(mode);
}
