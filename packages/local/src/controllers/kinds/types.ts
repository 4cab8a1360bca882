import type { ResourceType } from '@istio-ts/kube';

const core = (kind: string, resource: string, namespaced = true): ResourceType => ({
  group: '',
  version: 'v1',
  kind,
  resource,
  namespaced,
});
const grouped = (group: string, version: string, kind: string, resource: string, namespaced = true): ResourceType => ({
  group,
  version,
  kind,
  resource,
  namespaced,
});

export const PODS = core('Pod', 'pods');
export const NODES = core('Node', 'nodes', false);
export const SERVICES = core('Service', 'services');
export const ENDPOINTS = core('Endpoints', 'endpoints');
export const NAMESPACES = core('Namespace', 'namespaces', false);
export const SERVICE_ACCOUNTS = core('ServiceAccount', 'serviceaccounts');
export const CONFIG_MAPS = core('ConfigMap', 'configmaps');
export const SECRETS = core('Secret', 'secrets');
export const CLUSTER_TRUST_BUNDLES = grouped(
  'certificates.k8s.io',
  'v1beta1',
  'ClusterTrustBundle',
  'clustertrustbundles',
  false,
);
export const EVENTS = core('Event', 'events');
export const PERSISTENT_VOLUME_CLAIMS = core('PersistentVolumeClaim', 'persistentvolumeclaims');
export const ENDPOINT_SLICES = grouped('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices');
export const DEPLOYMENTS = grouped('apps', 'v1', 'Deployment', 'deployments');
export const REPLICA_SETS = grouped('apps', 'v1', 'ReplicaSet', 'replicasets');
export const STATEFUL_SETS = grouped('apps', 'v1', 'StatefulSet', 'statefulsets');
export const DAEMON_SETS = grouped('apps', 'v1', 'DaemonSet', 'daemonsets');
export const CONTROLLER_REVISIONS = grouped('apps', 'v1', 'ControllerRevision', 'controllerrevisions');
export const JOBS = grouped('batch', 'v1', 'Job', 'jobs');
export const CRON_JOBS = grouped('batch', 'v1', 'CronJob', 'cronjobs');
export const HORIZONTAL_POD_AUTOSCALERS = grouped(
  'autoscaling',
  'v2',
  'HorizontalPodAutoscaler',
  'horizontalpodautoscalers',
);
export const POD_DISRUPTION_BUDGETS = grouped('policy', 'v1', 'PodDisruptionBudget', 'poddisruptionbudgets');
