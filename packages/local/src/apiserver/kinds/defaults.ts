import { asArray, asObject, asObjects, asString, ensureObject, isObject, type JsonObject } from '../json.ts';
import type { ApiObject } from '../object.ts';

/** Sets a field that is absent. */
function set(object: JsonObject, field: string, value: unknown): void {
  if (object[field] === undefined || object[field] === null) object[field] = value;
}

function probe(value: unknown): void {
  if (!isObject(value)) return;
  set(value, 'timeoutSeconds', 1);
  set(value, 'periodSeconds', 10);
  set(value, 'successThreshold', 1);
  set(value, 'failureThreshold', 3);
  handler(value);
}

function handler(value: unknown): void {
  if (!isObject(value)) return;
  const http = value.httpGet;
  if (isObject(http)) {
    set(http, 'path', '/');
    set(http, 'scheme', 'HTTP');
  }
  const grpc = value.grpc;
  if (isObject(grpc)) set(grpc, 'service', '');
}

/** `latest` and no tag at all are pulled always (Kubernetes documentation, "Images"). */
function pullPolicy(image: string): string {
  const last = image.slice(image.lastIndexOf('/') + 1);
  if (last.includes('@')) return 'IfNotPresent';
  const tag = last.includes(':') ? last.slice(last.indexOf(':') + 1) : 'latest';
  return tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function container(value: JsonObject, hostNetwork: boolean): void {
  set(value, 'imagePullPolicy', pullPolicy(asString(value.image)));
  set(value, 'terminationMessagePath', '/dev/termination-log');
  set(value, 'terminationMessagePolicy', 'File');
  set(value, 'resources', {});
  for (const port of asObjects(value.ports)) {
    set(port, 'protocol', 'TCP');
    if (hostNetwork) set(port, 'hostPort', port.containerPort);
  }
  for (const env of asObjects(value.env)) {
    const field = asObject(env.valueFrom).fieldRef;
    if (isObject(field)) set(field, 'apiVersion', 'v1');
  }
  for (const field of ['livenessProbe', 'readinessProbe', 'startupProbe']) probe(value[field]);
  const lifecycle = asObject(value.lifecycle);
  handler(lifecycle.postStart);
  handler(lifecycle.preStop);
  const resources = asObject(value.resources);
  const limits = resources.limits;
  if (isObject(limits)) {
    const requests = ensureObject(resources, 'requests');
    for (const key of Object.keys(limits)) set(requests, key, limits[key]);
  }
}

function downwardItems(items: unknown): void {
  for (const item of asObjects(items)) {
    const field = item.fieldRef;
    if (isObject(field)) set(field, 'apiVersion', 'v1');
  }
}

function volume(value: JsonObject): void {
  if (Object.keys(value).length === 1) value.emptyDir = {};
  for (const kind of ['configMap', 'secret', 'projected', 'downwardAPI']) {
    const source = value[kind];
    if (isObject(source)) set(source, 'defaultMode', 420);
  }
  downwardItems(asObject(value.downwardAPI).items);
  for (const source of asObjects(asObject(value.projected).sources)) {
    const token = source.serviceAccountToken;
    if (isObject(token)) set(token, 'expirationSeconds', 3600);
    downwardItems(asObject(source.downwardAPI).items);
  }
  const host = value.hostPath;
  if (isObject(host)) set(host, 'type', '');
}

export function podSpecDefaults(spec: JsonObject): void {
  set(spec, 'restartPolicy', 'Always');
  set(spec, 'terminationGracePeriodSeconds', 30);
  set(spec, 'dnsPolicy', 'ClusterFirst');
  set(spec, 'securityContext', {});
  set(spec, 'schedulerName', 'default-scheduler');
  if (spec.serviceAccountName === undefined && typeof spec.serviceAccount === 'string')
    spec.serviceAccountName = spec.serviceAccount;
  if (typeof spec.serviceAccountName === 'string' && spec.serviceAccountName !== '')
    spec.serviceAccount = spec.serviceAccountName;
  const hostNetwork = spec.hostNetwork === true;
  for (const field of ['initContainers', 'containers', 'ephemeralContainers']) {
    for (const item of asObjects(spec[field])) container(item, hostNetwork);
  }
  for (const item of asObjects(spec.volumes)) volume(item);
  for (const item of asObjects(spec.topologySpreadConstraints)) set(item, 'whenUnsatisfiable', 'DoNotSchedule');
}

function template(spec: JsonObject): void {
  const value = spec.template;
  if (!isObject(value)) return;
  const metadata = ensureObject(value, 'metadata');
  set(metadata, 'creationTimestamp', null);
  podSpecDefaults(ensureObject(value, 'spec'));
}

function pod(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  podSpecDefaults(spec);
  set(spec, 'enableServiceLinks', true);
}

function service(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'type', 'ClusterIP');
  set(spec, 'sessionAffinity', 'None');
  if (spec.sessionAffinity === 'ClientIP') {
    const config = ensureObject(spec, 'sessionAffinityConfig');
    set(ensureObject(config, 'clientIP'), 'timeoutSeconds', 10_800);
  }
  for (const port of asObjects(spec.ports)) {
    set(port, 'protocol', 'TCP');
    if (spec.type !== 'ExternalName') set(port, 'targetPort', port.port);
  }
  if (spec.type === 'NodePort' || spec.type === 'LoadBalancer') {
    set(spec, 'externalTrafficPolicy', 'Cluster');
    if (spec.type === 'LoadBalancer') set(spec, 'allocateLoadBalancerNodePorts', true);
  }
  if (spec.type !== 'ExternalName') {
    set(spec, 'internalTrafficPolicy', 'Cluster');
    set(spec, 'ipFamilies', ['IPv4']);
    set(spec, 'ipFamilyPolicy', 'SingleStack');
  }
  set(object, 'status', { loadBalancer: {} });
}

function deployment(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'replicas', 1);
  set(spec, 'revisionHistoryLimit', 10);
  set(spec, 'progressDeadlineSeconds', 600);
  const strategy = ensureObject(spec, 'strategy');
  set(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    set(rolling, 'maxUnavailable', '25%');
    set(rolling, 'maxSurge', '25%');
  }
  template(spec);
}

function daemonSet(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'revisionHistoryLimit', 10);
  const strategy = ensureObject(spec, 'updateStrategy');
  set(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') {
    const rolling = ensureObject(strategy, 'rollingUpdate');
    set(rolling, 'maxUnavailable', 1);
    set(rolling, 'maxSurge', 0);
  }
  template(spec);
}

function statefulSet(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'replicas', 1);
  set(spec, 'revisionHistoryLimit', 10);
  set(spec, 'podManagementPolicy', 'OrderedReady');
  set(spec, 'persistentVolumeClaimRetentionPolicy', { whenDeleted: 'Retain', whenScaled: 'Retain' });
  const strategy = ensureObject(spec, 'updateStrategy');
  set(strategy, 'type', 'RollingUpdate');
  if (strategy.type === 'RollingUpdate') set(ensureObject(strategy, 'rollingUpdate'), 'partition', 0);
  for (const claim of asObjects(spec.volumeClaimTemplates)) {
    set(claim, 'apiVersion', 'v1');
    set(claim, 'kind', 'PersistentVolumeClaim');
    set(ensureObject(claim, 'spec'), 'volumeMode', 'Filesystem');
  }
  template(spec);
}

function replicaSet(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'replicas', 1);
  template(spec);
}

function jobSpec(spec: JsonObject): void {
  set(spec, 'completions', spec.parallelism === undefined ? 1 : undefined);
  set(spec, 'parallelism', 1);
  set(spec, 'backoffLimit', 6);
  set(spec, 'completionMode', 'NonIndexed');
  set(spec, 'suspend', false);
  set(spec, 'manualSelector', false);
  set(spec, 'podReplacementPolicy', 'TerminatingOrFailed');
  if (spec.completions === undefined) delete spec.completions;
  template(spec);
}

function cronJob(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'concurrencyPolicy', 'Allow');
  set(spec, 'suspend', false);
  set(spec, 'successfulJobsHistoryLimit', 3);
  set(spec, 'failedJobsHistoryLimit', 1);
  const job = ensureObject(spec, 'jobTemplate');
  set(ensureObject(job, 'metadata'), 'creationTimestamp', null);
  template(ensureObject(job, 'spec'));
}

function webhooks(object: JsonObject): void {
  for (const webhook of asObjects(object.webhooks)) {
    set(webhook, 'failurePolicy', 'Fail');
    set(webhook, 'matchPolicy', 'Equivalent');
    set(webhook, 'namespaceSelector', {});
    set(webhook, 'objectSelector', {});
    set(webhook, 'timeoutSeconds', 10);
    if (object.kind === 'MutatingWebhookConfiguration') set(webhook, 'reinvocationPolicy', 'Never');
    const reference = asObject(webhook.clientConfig).service;
    if (isObject(reference)) set(reference, 'port', 443);
    for (const rule of asObjects(webhook.rules)) set(rule, 'scope', '*');
  }
}

function definition(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'conversion', { strategy: 'None' });
  const names = ensureObject(spec, 'names');
  const kind = asString(names.kind);
  set(names, 'singular', kind.toLowerCase());
  set(names, 'listKind', `${kind}List`);
}

function roleSubjects(object: JsonObject): void {
  const reference = object.roleRef;
  if (isObject(reference)) set(reference, 'apiGroup', 'rbac.authorization.k8s.io');
  for (const subject of asObjects(object.subjects)) {
    if (subject.kind === 'User' || subject.kind === 'Group') set(subject, 'apiGroup', 'rbac.authorization.k8s.io');
  }
}

function policySpec(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  if (!Array.isArray(spec.policyTypes)) {
    spec.policyTypes = asArray(spec.egress).length > 0 ? ['Ingress', 'Egress'] : ['Ingress'];
  }
  for (const rule of [...asObjects(spec.ingress), ...asObjects(spec.egress)]) {
    for (const port of asObjects(rule.ports)) set(port, 'protocol', 'TCP');
  }
}

function scaler(object: JsonObject): void {
  const spec = ensureObject(object, 'spec');
  set(spec, 'minReplicas', 1);
  if (object.apiVersion === 'autoscaling/v2' && asArray(spec.metrics).length === 0) {
    spec.metrics = [
      { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
    ];
  }
}

const DEFAULTS: Readonly<Record<string, (object: JsonObject) => void>> = {
  '/pods': pod,
  '/services': service,
  '/secrets': (object) => set(object, 'type', 'Opaque'),
  '/podtemplates': template,
  '/namespaces': (object) => {
    const metadata = ensureObject(object, 'metadata');
    if (metadata.name !== undefined) ensureObject(metadata, 'labels')['kubernetes.io/metadata.name'] = metadata.name;
    set(ensureObject(object, 'status'), 'phase', 'Active');
  },
  '/replicationcontrollers': (object) => {
    const spec = ensureObject(object, 'spec');
    set(spec, 'replicas', 1);
    template(spec);
    set(spec, 'selector', asObject(asObject(spec.template).metadata).labels);
  },
  '/persistentvolumeclaims': (object) => {
    set(ensureObject(object, 'spec'), 'volumeMode', 'Filesystem');
    set(ensureObject(object, 'status'), 'phase', 'Pending');
  },
  '/persistentvolumes': (object) => {
    const spec = ensureObject(object, 'spec');
    set(spec, 'persistentVolumeReclaimPolicy', 'Retain');
    set(spec, 'volumeMode', 'Filesystem');
    set(ensureObject(object, 'status'), 'phase', 'Available');
  },
  '/endpoints': (object) => {
    for (const subset of asObjects(object.subsets))
      for (const port of asObjects(subset.ports)) set(port, 'protocol', 'TCP');
  },
  'apps/deployments': deployment,
  'apps/daemonsets': daemonSet,
  'apps/statefulsets': statefulSet,
  'apps/replicasets': replicaSet,
  'batch/jobs': (object) => jobSpec(ensureObject(object, 'spec')),
  'batch/cronjobs': cronJob,
  'autoscaling/horizontalpodautoscalers': scaler,
  'admissionregistration.k8s.io/mutatingwebhookconfigurations': webhooks,
  'admissionregistration.k8s.io/validatingwebhookconfigurations': webhooks,
  'admissionregistration.k8s.io/validatingadmissionpolicies': (object) => {
    const spec = ensureObject(object, 'spec');
    set(spec, 'failurePolicy', 'Fail');
    const match = ensureObject(spec, 'matchConstraints');
    set(match, 'matchPolicy', 'Equivalent');
    set(match, 'namespaceSelector', {});
    set(match, 'objectSelector', {});
    for (const rule of asObjects(match.resourceRules)) set(rule, 'scope', '*');
  },
  'apiextensions.k8s.io/customresourcedefinitions': definition,
  'networking.k8s.io/networkpolicies': policySpec,
  'rbac.authorization.k8s.io/rolebindings': roleSubjects,
  'rbac.authorization.k8s.io/clusterrolebindings': roleSubjects,
  'scheduling.k8s.io/priorityclasses': (object) => set(object, 'preemptionPolicy', 'PreemptLowerPriority'),
  'storage.k8s.io/storageclasses': (object) => {
    set(object, 'reclaimPolicy', 'Delete');
    set(object, 'volumeBindingMode', 'Immediate');
  },
  'discovery.k8s.io/endpointslices': (object) => {
    for (const port of asObjects(object.ports)) {
      set(port, 'name', '');
      set(port, 'protocol', 'TCP');
    }
  },
};

/** Gives a built-in object the defaults of its kind (Kubernetes API reference, "default" of each field). Changes the object. */
export function applyBuiltinDefaults(key: string, object: ApiObject): void {
  DEFAULTS[key]?.(object);
}
