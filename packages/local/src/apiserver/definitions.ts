import type { Schema } from './schema/schema.ts';

/** A column of a table answer (CRD `additionalPrinterColumns` form). */
export interface PrinterColumn {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly description?: string;
  readonly priority?: number;
  readonly jsonPath: string;
}

/** One served version of a custom resource. */
export interface CustomVersion {
  readonly name: string;
  readonly schema: Schema | undefined;
  readonly columns: readonly PrinterColumn[];
  readonly status: boolean;
  readonly scale: ScalePaths | undefined;
  readonly deprecationWarning: string | undefined;
}

export interface ScalePaths {
  readonly specReplicasPath: string;
  readonly statusReplicasPath: string;
  readonly labelSelectorPath?: string;
}

/** A resource that the server serves: a built-in one, or one of a CustomResourceDefinition (`custom` present). */
export interface ResourceDefinition {
  readonly group: string;
  /** Served versions, the preferred one first. */
  readonly versions: readonly string[];
  readonly storageVersion: string;
  readonly resource: string;
  readonly singular: string;
  readonly kind: string;
  readonly listKind: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly subresources: readonly string[];
  readonly verbs: readonly string[];
  /** Reviews and the like: only `create`, never stored. */
  readonly virtual: boolean;
  readonly custom?: ReadonlyMap<string, CustomVersion>;
}

export const ALL_VERBS = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch'];

interface Row {
  readonly group: string;
  readonly versions?: string;
  readonly resource: string;
  readonly kind: string;
  readonly cluster?: boolean;
  readonly short?: string;
  readonly categories?: string;
  readonly sub?: string;
  readonly virtual?: boolean;
  readonly singular?: string;
}

const ROWS: readonly Row[] = [
  { group: '', resource: 'bindings', kind: 'Binding', virtual: true },
  {
    group: '',
    resource: 'componentstatuses',
    kind: 'ComponentStatus',
    cluster: true,
    short: 'cs',
    singular: 'componentstatus',
  },
  { group: '', resource: 'configmaps', kind: 'ConfigMap', short: 'cm' },
  { group: '', resource: 'endpoints', kind: 'Endpoints', short: 'ep', singular: 'endpoints' },
  { group: '', resource: 'events', kind: 'Event', short: 'ev' },
  { group: '', resource: 'limitranges', kind: 'LimitRange', short: 'limits' },
  { group: '', resource: 'namespaces', kind: 'Namespace', cluster: true, short: 'ns', sub: 'finalize status' },
  { group: '', resource: 'nodes', kind: 'Node', cluster: true, short: 'no', sub: 'proxy status' },
  { group: '', resource: 'persistentvolumeclaims', kind: 'PersistentVolumeClaim', short: 'pvc', sub: 'status' },
  { group: '', resource: 'persistentvolumes', kind: 'PersistentVolume', cluster: true, short: 'pv', sub: 'status' },
  {
    group: '',
    resource: 'pods',
    kind: 'Pod',
    short: 'po',
    categories: 'all',
    sub: 'attach binding ephemeralcontainers eviction exec log portforward proxy resize status',
  },
  { group: '', resource: 'podtemplates', kind: 'PodTemplate' },
  {
    group: '',
    resource: 'replicationcontrollers',
    kind: 'ReplicationController',
    short: 'rc',
    categories: 'all',
    sub: 'scale status',
  },
  { group: '', resource: 'resourcequotas', kind: 'ResourceQuota', short: 'quota', sub: 'status' },
  { group: '', resource: 'secrets', kind: 'Secret' },
  { group: '', resource: 'serviceaccounts', kind: 'ServiceAccount', short: 'sa', sub: 'token' },
  { group: '', resource: 'services', kind: 'Service', short: 'svc', categories: 'all', sub: 'proxy status' },
  {
    group: 'apiregistration.k8s.io',
    resource: 'apiservices',
    kind: 'APIService',
    cluster: true,
    categories: 'api-extensions',
    sub: 'status',
  },
  { group: 'apps', resource: 'controllerrevisions', kind: 'ControllerRevision' },
  { group: 'apps', resource: 'daemonsets', kind: 'DaemonSet', short: 'ds', categories: 'all', sub: 'status' },
  {
    group: 'apps',
    resource: 'deployments',
    kind: 'Deployment',
    short: 'deploy',
    categories: 'all',
    sub: 'scale status',
  },
  { group: 'apps', resource: 'replicasets', kind: 'ReplicaSet', short: 'rs', categories: 'all', sub: 'scale status' },
  {
    group: 'apps',
    resource: 'statefulsets',
    kind: 'StatefulSet',
    short: 'sts',
    categories: 'all',
    sub: 'scale status',
  },
  {
    group: 'events.k8s.io',
    resource: 'events',
    kind: 'Event',
    short: 'ev',
  },
  {
    group: 'authentication.k8s.io',
    resource: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    cluster: true,
    virtual: true,
  },
  { group: 'authentication.k8s.io', resource: 'tokenreviews', kind: 'TokenReview', cluster: true, virtual: true },
  {
    group: 'authorization.k8s.io',
    resource: 'localsubjectaccessreviews',
    kind: 'LocalSubjectAccessReview',
    virtual: true,
  },
  {
    group: 'authorization.k8s.io',
    resource: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
    cluster: true,
    virtual: true,
  },
  {
    group: 'authorization.k8s.io',
    resource: 'selfsubjectrulesreviews',
    kind: 'SelfSubjectRulesReview',
    cluster: true,
    virtual: true,
  },
  {
    group: 'authorization.k8s.io',
    resource: 'subjectaccessreviews',
    kind: 'SubjectAccessReview',
    cluster: true,
    virtual: true,
  },
  {
    group: 'autoscaling',
    versions: 'v2 v1',
    resource: 'horizontalpodautoscalers',
    kind: 'HorizontalPodAutoscaler',
    short: 'hpa',
    categories: 'all',
    sub: 'status',
  },
  { group: 'batch', resource: 'cronjobs', kind: 'CronJob', short: 'cj', categories: 'all', sub: 'status' },
  { group: 'batch', resource: 'jobs', kind: 'Job', categories: 'all', sub: 'status' },
  {
    group: 'certificates.k8s.io',
    resource: 'certificatesigningrequests',
    kind: 'CertificateSigningRequest',
    cluster: true,
    short: 'csr',
    sub: 'approval status',
  },
  {
    group: 'certificates.k8s.io',
    versions: 'v1beta1 v1alpha1',
    resource: 'clustertrustbundles',
    kind: 'ClusterTrustBundle',
    cluster: true,
  },
  {
    group: 'networking.k8s.io',
    resource: 'ingressclasses',
    kind: 'IngressClass',
    cluster: true,
    singular: 'ingressclass',
  },
  {
    group: 'networking.k8s.io',
    resource: 'ingresses',
    kind: 'Ingress',
    short: 'ing',
    sub: 'status',
    singular: 'ingress',
  },
  {
    group: 'networking.k8s.io',
    resource: 'networkpolicies',
    kind: 'NetworkPolicy',
    short: 'netpol',
    singular: 'networkpolicy',
  },
  { group: 'policy', resource: 'poddisruptionbudgets', kind: 'PodDisruptionBudget', short: 'pdb', sub: 'status' },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterrolebindings', kind: 'ClusterRoleBinding', cluster: true },
  { group: 'rbac.authorization.k8s.io', resource: 'clusterroles', kind: 'ClusterRole', cluster: true },
  { group: 'rbac.authorization.k8s.io', resource: 'rolebindings', kind: 'RoleBinding' },
  { group: 'rbac.authorization.k8s.io', resource: 'roles', kind: 'Role' },
  { group: 'storage.k8s.io', resource: 'csidrivers', kind: 'CSIDriver', cluster: true },
  { group: 'storage.k8s.io', resource: 'csinodes', kind: 'CSINode', cluster: true },
  {
    group: 'storage.k8s.io',
    resource: 'csistoragecapacities',
    kind: 'CSIStorageCapacity',
    singular: 'csistoragecapacity',
  },
  {
    group: 'storage.k8s.io',
    resource: 'storageclasses',
    kind: 'StorageClass',
    cluster: true,
    short: 'sc',
    singular: 'storageclass',
  },
  { group: 'storage.k8s.io', resource: 'volumeattachments', kind: 'VolumeAttachment', cluster: true, sub: 'status' },
  {
    group: 'admissionregistration.k8s.io',
    resource: 'mutatingwebhookconfigurations',
    kind: 'MutatingWebhookConfiguration',
    cluster: true,
    categories: 'api-extensions',
  },
  {
    group: 'admissionregistration.k8s.io',
    resource: 'validatingadmissionpolicies',
    kind: 'ValidatingAdmissionPolicy',
    cluster: true,
    categories: 'api-extensions',
    sub: 'status',
    singular: 'validatingadmissionpolicy',
  },
  {
    group: 'admissionregistration.k8s.io',
    resource: 'validatingadmissionpolicybindings',
    kind: 'ValidatingAdmissionPolicyBinding',
    cluster: true,
    categories: 'api-extensions',
  },
  {
    group: 'admissionregistration.k8s.io',
    resource: 'validatingwebhookconfigurations',
    kind: 'ValidatingWebhookConfiguration',
    cluster: true,
    categories: 'api-extensions',
  },
  {
    group: 'apiextensions.k8s.io',
    resource: 'customresourcedefinitions',
    kind: 'CustomResourceDefinition',
    cluster: true,
    short: 'crd crds',
    categories: 'api-extensions',
    sub: 'status',
  },
  {
    group: 'scheduling.k8s.io',
    resource: 'priorityclasses',
    kind: 'PriorityClass',
    cluster: true,
    short: 'pc',
    singular: 'priorityclass',
  },
  { group: 'coordination.k8s.io', resource: 'leases', kind: 'Lease' },
  { group: 'node.k8s.io', resource: 'runtimeclasses', kind: 'RuntimeClass', cluster: true, singular: 'runtimeclass' },
  { group: 'discovery.k8s.io', resource: 'endpointslices', kind: 'EndpointSlice' },
];

function words(text: string | undefined): string[] {
  return text === undefined ? [] : text.split(' ');
}

function definition(row: Row): ResourceDefinition {
  const versions = words(row.versions ?? 'v1');
  return {
    group: row.group,
    versions,
    storageVersion: versions[0] ?? 'v1',
    resource: row.resource,
    singular: row.singular ?? row.resource.replace(/s$/, ''),
    kind: row.kind,
    listKind: `${row.kind}List`,
    namespaced: row.cluster !== true,
    shortNames: words(row.short),
    categories: words(row.categories),
    subresources: words(row.sub),
    verbs: row.virtual === true ? ['create'] : ALL_VERBS,
    virtual: row.virtual === true,
  };
}

/** The kinds that every Kubernetes server has, in the order in which discovery lists them. */
export const BUILTIN_DEFINITIONS: readonly ResourceDefinition[] = ROWS.map(definition);

/** Key of the place in the store, the same for all versions of a resource. Events of both groups are one set of objects. */
export function storageKey(definition: { readonly group: string; readonly resource: string }): string {
  if (definition.group === 'events.k8s.io' && definition.resource === 'events') return '/events';
  return `${definition.group}/${definition.resource}`;
}
