import type { ResourceType } from '@istio-ts/kube/object';

const type = (group: string, version: string, resource: string, kind: string, namespaced = true): ResourceType => ({ group, version, resource, kind, namespaced });

/** Where the API server serves the Kubernetes kinds that this project reads or writes. */
export const kubernetesTypes = {
  Pod: type('', 'v1', 'pods', 'Pod'),
  Service: type('', 'v1', 'services', 'Service'),
  Endpoints: type('', 'v1', 'endpoints', 'Endpoints'),
  Node: type('', 'v1', 'nodes', 'Node', false),
  Namespace: type('', 'v1', 'namespaces', 'Namespace', false),
  Secret: type('', 'v1', 'secrets', 'Secret'),
  ConfigMap: type('', 'v1', 'configmaps', 'ConfigMap'),
  ServiceAccount: type('', 'v1', 'serviceaccounts', 'ServiceAccount'),
  Event: type('', 'v1', 'events', 'Event'),
  PersistentVolumeClaim: type('', 'v1', 'persistentvolumeclaims', 'PersistentVolumeClaim'),
  EndpointSlice: type('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice'),
  Deployment: type('apps', 'v1', 'deployments', 'Deployment'),
  ReplicaSet: type('apps', 'v1', 'replicasets', 'ReplicaSet'),
  StatefulSet: type('apps', 'v1', 'statefulsets', 'StatefulSet'),
  DaemonSet: type('apps', 'v1', 'daemonsets', 'DaemonSet'),
  Job: type('batch', 'v1', 'jobs', 'Job'),
  CronJob: type('batch', 'v1', 'cronjobs', 'CronJob'),
  HorizontalPodAutoscaler: type('autoscaling', 'v2', 'horizontalpodautoscalers', 'HorizontalPodAutoscaler'),
  PodDisruptionBudget: type('policy', 'v1', 'poddisruptionbudgets', 'PodDisruptionBudget'),
  Ingress: type('networking.k8s.io', 'v1', 'ingresses', 'Ingress'),
  IngressClass: type('networking.k8s.io', 'v1', 'ingressclasses', 'IngressClass', false),
  Role: type('rbac.authorization.k8s.io', 'v1', 'roles', 'Role'),
  RoleBinding: type('rbac.authorization.k8s.io', 'v1', 'rolebindings', 'RoleBinding'),
  ClusterRole: type('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false),
  ClusterRoleBinding: type('rbac.authorization.k8s.io', 'v1', 'clusterrolebindings', 'ClusterRoleBinding', false),
  MutatingWebhookConfiguration: type('admissionregistration.k8s.io', 'v1', 'mutatingwebhookconfigurations', 'MutatingWebhookConfiguration', false),
  ValidatingWebhookConfiguration: type('admissionregistration.k8s.io', 'v1', 'validatingwebhookconfigurations', 'ValidatingWebhookConfiguration', false),
  CustomResourceDefinition: type('apiextensions.k8s.io', 'v1', 'customresourcedefinitions', 'CustomResourceDefinition', false),
  Lease: type('coordination.k8s.io', 'v1', 'leases', 'Lease'),
  TokenReview: type('authentication.k8s.io', 'v1', 'tokenreviews', 'TokenReview', false),
  SubjectAccessReview: type('authorization.k8s.io', 'v1', 'subjectaccessreviews', 'SubjectAccessReview', false),
  SelfSubjectAccessReview: type('authorization.k8s.io', 'v1', 'selfsubjectaccessreviews', 'SelfSubjectAccessReview', false),
} as const;

/** Istio's kinds, each at the version that is stored (istio-surface.md, CRDs). */
export const istioTypes = {
  VirtualService: type('networking.istio.io', 'v1', 'virtualservices', 'VirtualService'),
  DestinationRule: type('networking.istio.io', 'v1', 'destinationrules', 'DestinationRule'),
  Gateway: type('networking.istio.io', 'v1', 'gateways', 'Gateway'),
  ServiceEntry: type('networking.istio.io', 'v1', 'serviceentries', 'ServiceEntry'),
  Sidecar: type('networking.istio.io', 'v1', 'sidecars', 'Sidecar'),
  WorkloadEntry: type('networking.istio.io', 'v1', 'workloadentries', 'WorkloadEntry'),
  WorkloadGroup: type('networking.istio.io', 'v1', 'workloadgroups', 'WorkloadGroup'),
  EnvoyFilter: type('networking.istio.io', 'v1alpha3', 'envoyfilters', 'EnvoyFilter'),
  ProxyConfig: type('networking.istio.io', 'v1beta1', 'proxyconfigs', 'ProxyConfig'),
  AuthorizationPolicy: type('security.istio.io', 'v1', 'authorizationpolicies', 'AuthorizationPolicy'),
  PeerAuthentication: type('security.istio.io', 'v1', 'peerauthentications', 'PeerAuthentication'),
  RequestAuthentication: type('security.istio.io', 'v1', 'requestauthentications', 'RequestAuthentication'),
  Telemetry: type('telemetry.istio.io', 'v1', 'telemetries', 'Telemetry'),
  WasmPlugin: type('extensions.istio.io', 'v1alpha1', 'wasmplugins', 'WasmPlugin'),
  TrafficExtension: type('extensions.istio.io', 'v1alpha1', 'trafficextensions', 'TrafficExtension'),
} as const;
