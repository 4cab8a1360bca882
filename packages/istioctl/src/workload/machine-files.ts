import type { WorkloadGroupSpec } from '@istio-ts/api/networking/workload-entry';

/** What the files of a machine are made from. */
export interface MachineInputs {
  readonly group: { readonly name: string; readonly namespace: string; readonly spec: WorkloadGroupSpec };
  /** The settings of the mesh, for the machine's proxy. */
  readonly mesh: {
    readonly istioNamespace: string;
    readonly revision: string;
    readonly trustDomain: string;
    readonly clusterId: string;
    readonly meshId?: string;
    readonly network?: string;
    /** `defaultConfig` of the mesh configuration. */
    readonly proxyConfig: Readonly<Record<string, unknown>>;
  };
  readonly autoregister: boolean;
  readonly captureDns: boolean;
  readonly internalIp?: string;
  readonly externalIp?: string;
  /** Address by which the machine reaches the control plane; absent: not known. */
  readonly ingressIp?: string;
}

/** Name by which the machine knows istiod. */
export const istiodHost = (namespace: string, revision: string): string =>
  `istiod${revision === 'default' ? '' : `-${revision}`}.${namespace}.svc`;

// SSH and the proxy's own ports stay as they are: whoever configures the machine must still get in.
const excludedPorts = '22,15090,15021,15020';

/** A value as a shell reads it from an env file. */
const quoted = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`;

/** Variables of the machine's pilot-agent (istio-surface.md, Ports and environment variables). */
export function clusterEnv({ group, mesh, ...options }: MachineInputs): string {
  const { template, metadata } = group.spec;
  const labels = { ...metadata?.labels, ...template.labels };
  const service = labels['service.istio.io/canonical-name'] ?? labels['app.kubernetes.io/name'] ?? labels.app;
  const revision =
    labels['service.istio.io/canonical-revision'] ?? labels['app.kubernetes.io/version'] ?? labels.version;
  const ports = Object.values(template.ports ?? {});
  const network = template.network || mesh.network;
  const variables: Readonly<Record<string, string | undefined>> = {
    CANONICAL_SERVICE: service ?? group.name,
    CANONICAL_REVISION: revision ?? 'latest',
    ISTIO_INBOUND_PORTS: ports.length > 0 ? ports.join(',') : '*',
    ISTIO_LOCAL_EXCLUDE_PORTS: excludedPorts,
    ISTIO_METAJSON_LABELS: JSON.stringify({
      ...labels,
      'service.istio.io/canonical-name': service ?? group.name,
      'service.istio.io/canonical-revision': revision ?? 'latest',
    }),
    ISTIO_META_AUTO_REGISTER_GROUP: options.autoregister ? group.name : undefined,
    ISTIO_META_CLUSTER_ID: mesh.clusterId,
    ISTIO_META_DNS_CAPTURE: options.captureDns ? 'true' : undefined,
    ISTIO_META_MESH_ID: mesh.meshId,
    ISTIO_META_NETWORK: network,
    ISTIO_META_WORKLOAD_NAME: group.name,
    ISTIO_NAMESPACE: group.namespace,
    ISTIO_SERVICE: `${group.name}.${group.namespace}`,
    ISTIO_SERVICE_CIDR: '*',
    ISTIO_SVC_IP: options.internalIp ?? options.externalIp,
    POD_NAMESPACE: group.namespace,
    SERVICE_ACCOUNT: template.serviceAccount || 'default',
    TRUST_DOMAIN: mesh.trustDomain,
  };
  return Object.entries(variables)
    .filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== '')
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${name}=${quoted(value)}\n`)
    .join('');
}

/** The mesh configuration of the machine's proxy, to be written as YAML. */
export function machineMeshConfig({ group, mesh, captureDns, autoregister }: MachineInputs): object {
  const { proxyMetadata, ...rest } = mesh.proxyConfig as { readonly proxyMetadata?: Readonly<Record<string, string>> };
  const network = group.spec.template.network || mesh.network;
  return {
    defaultConfig: {
      ...rest,
      discoveryAddress: `${istiodHost(mesh.istioNamespace, mesh.revision)}:15012`,
      ...(mesh.meshId !== undefined && { meshId: mesh.meshId }),
      ...(group.spec.probe && { readinessProbe: group.spec.probe }),
      proxyMetadata: {
        ...proxyMetadata,
        ISTIO_META_CLUSTER_ID: mesh.clusterId,
        ISTIO_META_WORKLOAD_NAME: group.name,
        POD_NAMESPACE: group.namespace,
        SERVICE_ACCOUNT: group.spec.template.serviceAccount || 'default',
        TRUST_DOMAIN: mesh.trustDomain,
        ...(network && { ISTIO_META_NETWORK: network }),
        ...(captureDns && { ISTIO_META_DNS_CAPTURE: 'true' }),
        ...(autoregister && { ISTIO_META_AUTO_REGISTER_GROUP: group.name }),
      },
    },
  };
}

/** A line for `/etc/hosts`, by which the machine finds istiod; a remark where the address is not known. */
export function hostsFile({ mesh, ingressIp }: MachineInputs): string {
  const host = istiodHost(mesh.istioNamespace, mesh.revision);
  return ingressIp === undefined
    ? `# The address of the control plane is not known yet: write "ADDRESS ${host}" here.\n`
    : `${ingressIp} ${host}\n`;
}
