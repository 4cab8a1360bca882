/** A label that Istio knows. */
export interface KnownLabel {
  readonly name: string;
  /** How settled it is; `None` where Istio's reference does not say. */
  readonly status: 'Alpha' | 'Beta' | 'Stable' | 'None';
  /** Kinds it is for; `Any` for all. */
  readonly on: readonly string[];
  readonly deprecated: boolean;
}

const row = (name: string, status: KnownLabel['status'], on: readonly string[], deprecated = false): KnownLabel => ({
  name,
  status,
  on,
  deprecated,
});

/** All labels of Istio's reference (istio.io, "Resource Labels"). */
export const knownLabels: readonly KnownLabel[] = [
  row('security.istio.io/tlsMode', 'Alpha', ['Pod'], true),
  row('service.istio.io/canonical-name', 'Alpha', ['Pod']),
  row('networking.istio.io/gatewayPort', 'Alpha', ['Service']),
  row('service.istio.io/canonical-revision', 'Alpha', ['Pod']),
  row('service.istio.io/workload-name', 'Alpha', ['Pod', 'WorkloadEntry']),
  row('istio.io/rev', 'Beta', ['Namespace', 'Gateway', 'Pod']),
  row('istio.io/tag', 'Alpha', ['MutatingWebhookConfiguration']),
  row('operator.istio.io/component', 'Alpha', ['Any']),
  row('operator.istio.io/managed', 'Alpha', ['Any']),
  row('operator.istio.io/version', 'Alpha', ['Any']),
  row('topology.istio.io/subzone', 'Beta', ['Node']),
  row('topology.istio.io/network', 'Beta', ['Namespace', 'Pod', 'Service']),
  row('topology.istio.io/cluster', 'Alpha', ['Pod']),
  row('topology.istio.io/locality', 'Alpha', ['Pod']),
  row('sidecar.istio.io/inject', 'Beta', ['Pod']),
  row('gateway.istio.io/managed', 'Stable', ['ServiceAccount', 'Deployment', 'Service']),
  row('gateway.networking.k8s.io/gateway-name', 'Stable', [
    'ServiceAccount',
    'Deployment',
    'Service',
    'PodDisruptionBudget',
    'HorizontalPodAutoscaler',
  ]),
  row('gateway.networking.k8s.io/gateway-class-name', 'Stable', [
    'ServiceAccount',
    'Deployment',
    'Service',
    'PodDisruptionBudget',
    'HorizontalPodAutoscaler',
  ]),
  row('istio.io/dataplane-mode', 'Stable', ['Pod', 'Namespace']),
  row('istio.io/use-waypoint', 'Stable', ['Pod', 'WorkloadEntry', 'Service', 'ServiceEntry', 'Namespace']),
  row('istio.io/use-waypoint-namespace', 'Beta', ['Pod', 'WorkloadEntry', 'Service', 'ServiceEntry', 'Namespace']),
  row('istio.io/use-waypoint-canary', 'Alpha', ['Service', 'ServiceEntry', 'Namespace']),
  row('istio.io/use-waypoint-canary-namespace', 'Alpha', ['Service', 'ServiceEntry', 'Namespace']),
  row('istio.io/ingress-use-waypoint', 'Beta', ['Service', 'ServiceEntry', 'Namespace']),
  row('istio.io/waypoint-for', 'Stable', ['GatewayClass', 'Gateway']),
  row('networking.istio.io/enable-autoallocate-ip', 'Beta', ['ServiceEntry']),
];

/** Names of the labels that this project reads or writes. */
export const labels = {
  tlsMode: 'security.istio.io/tlsMode',
  canonicalName: 'service.istio.io/canonical-name',
  gatewayPort: 'networking.istio.io/gatewayPort',
  canonicalRevision: 'service.istio.io/canonical-revision',
  workloadName: 'service.istio.io/workload-name',
  revision: 'istio.io/rev',
  revisionTag: 'istio.io/tag',
  operatorComponent: 'operator.istio.io/component',
  operatorManaged: 'operator.istio.io/managed',
  operatorVersion: 'operator.istio.io/version',
  subzone: 'topology.istio.io/subzone',
  network: 'topology.istio.io/network',
  cluster: 'topology.istio.io/cluster',
  locality: 'topology.istio.io/locality',
  sidecarInject: 'sidecar.istio.io/inject',
  gatewayManaged: 'gateway.istio.io/managed',
  gatewayName: 'gateway.networking.k8s.io/gateway-name',
  gatewayClassName: 'gateway.networking.k8s.io/gateway-class-name',
  dataplaneMode: 'istio.io/dataplane-mode',
  useWaypoint: 'istio.io/use-waypoint',
  useWaypointNamespace: 'istio.io/use-waypoint-namespace',
  useWaypointCanary: 'istio.io/use-waypoint-canary',
  useWaypointCanaryNamespace: 'istio.io/use-waypoint-canary-namespace',
  ingressUseWaypoint: 'istio.io/ingress-use-waypoint',
  waypointFor: 'istio.io/waypoint-for',
  enableAutoallocateIp: 'networking.istio.io/enable-autoallocate-ip',
  injection: 'istio-injection',
  canonicalNameFallback: 'app.kubernetes.io/name',
  app: 'app',
  versionLabel: 'version',
  region: 'topology.kubernetes.io/region',
  zone: 'topology.kubernetes.io/zone',
  namespaceName: 'kubernetes.io/metadata.name',
  configMapOwner: 'istio.io/config',
  owningResource: 'install.operator.istio.io/owning-resource',
} as const;
