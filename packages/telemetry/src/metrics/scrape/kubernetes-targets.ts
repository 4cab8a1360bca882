import { isIPv6 } from 'node:net';
import type { ObjectMeta } from '@istio-ts/kube';
import type { EndpointsObject, NodeObject, PodContainer, PodObject, ServiceObject } from './kubernetes-objects.ts';

/** Labels of a target before relabelling, by Prometheus' documentation of `kubernetes_sd_config`. */
export type DiscoveredLabels = ReadonlyMap<string, string>;

const meta = '__meta_kubernetes_';
const sanitized = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_');
const withPort = (address: string, port: number): string => `${isIPv6(address) ? `[${address}]` : address}:${port}`;

function metadataLabels(kind: string, { labels = {}, annotations = {} }: ObjectMeta): [string, string][] {
  const of = (what: string, values: Readonly<Record<string, string>>): [string, string][] =>
    Object.entries(values).flatMap(([name, value]): [string, string][] => [
      [`${meta}${kind}_${what}_${sanitized(name)}`, value],
      [`${meta}${kind}_${what}present_${sanitized(name)}`, 'true'],
    ]);
  return [...of('label', labels), ...of('annotation', annotations)];
}

function podLabels(pod: PodObject): [string, string][] {
  const { metadata, spec, status } = pod;
  const controller = metadata.ownerReferences?.find((owner) => owner.controller);
  return [
    [`${meta}pod_name`, metadata.name ?? ''],
    [`${meta}pod_ip`, status?.podIP ?? ''],
    [`${meta}pod_ready`, status?.conditions?.find(({ type }) => type === 'Ready')?.status.toLowerCase() ?? 'unknown'],
    [`${meta}pod_phase`, status?.phase ?? ''],
    [`${meta}pod_node_name`, spec?.nodeName ?? ''],
    [`${meta}pod_host_ip`, status?.hostIP ?? ''],
    [`${meta}pod_uid`, metadata.uid ?? ''],
    [`${meta}pod_controller_kind`, controller?.kind ?? ''],
    [`${meta}pod_controller_name`, controller?.name ?? ''],
    ...metadataLabels('pod', metadata),
  ];
}

const containerLabels = (container: PodContainer, init: boolean): [string, string][] => [
  [`${meta}pod_container_name`, container.name],
  [`${meta}pod_container_image`, container.image ?? ''],
  [`${meta}pod_container_init`, String(init)],
];

/** A target for each port of each container; for a container without ports one without a port. */
export function podTargets(pod: PodObject): DiscoveredLabels[] {
  const ip = pod.status?.podIP;
  if (!ip) return [];
  const base: [string, string][] = [[`${meta}namespace`, pod.metadata.namespace ?? ''], ...podLabels(pod)];
  const containers = [
    ...(pod.spec?.containers ?? []).map((container) => [container, false] as const),
    ...(pod.spec?.initContainers ?? []).map((container) => [container, true] as const),
  ];
  return containers.flatMap(([container, init]) => {
    const common = [...base, ...containerLabels(container, init)];
    const ports = container.ports ?? [];
    if (ports.length === 0) return [new Map([...common, ['__address__', isIPv6(ip) ? `[${ip}]` : ip]])];
    return ports.map(
      ({ name = '', containerPort, protocol = 'TCP' }) =>
        new Map([
          ...common,
          ['__address__', withPort(ip, containerPort)],
          [`${meta}pod_container_port_name`, name],
          [`${meta}pod_container_port_number`, String(containerPort)],
          [`${meta}pod_container_port_protocol`, protocol],
        ]),
    );
  });
}

const serviceLabels = (service: ServiceObject): [string, string][] => [
  [`${meta}service_name`, service.metadata.name ?? ''],
  ...metadataLabels('service', service.metadata),
];

/** A target for each port of a service, by its name in the cluster. */
export function serviceTargets(service: ServiceObject): DiscoveredLabels[] {
  const { metadata, spec } = service;
  return (spec?.ports ?? []).map(
    ({ name = '', port, protocol = 'TCP' }) =>
      new Map([
        ['__address__', `${metadata.name}.${metadata.namespace}.svc:${port}`],
        [`${meta}namespace`, metadata.namespace ?? ''],
        ...serviceLabels(service),
        [`${meta}service_type`, spec?.type ?? ''],
        [`${meta}service_cluster_ip`, spec?.clusterIP ?? ''],
        [`${meta}service_external_name`, spec?.externalName ?? ''],
        [`${meta}service_port_name`, name],
        [`${meta}service_port_number`, String(port)],
        [`${meta}service_port_protocol`, protocol],
      ]),
  );
}

/** A target for each address and port behind a service, with the labels of its service and of its pod. */
export function endpointsTargets(
  endpoints: EndpointsObject,
  service: ServiceObject | undefined,
  podOf: (namespace: string, name: string) => PodObject | undefined,
): DiscoveredLabels[] {
  const namespace = endpoints.metadata.namespace ?? '';
  const base: [string, string][] = [
    [`${meta}namespace`, namespace],
    [`${meta}endpoints_name`, endpoints.metadata.name ?? ''],
    ...metadataLabels('endpoints', endpoints.metadata),
    ...(service ? serviceLabels(service) : []),
  ];
  return (endpoints.subsets ?? []).flatMap(({ addresses = [], notReadyAddresses = [], ports = [] }) =>
    ports.flatMap((port) =>
      [...addresses.map((a) => [a, true] as const), ...notReadyAddresses.map((a) => [a, false] as const)].map(
        ([{ ip, hostname = '', nodeName = '', targetRef }, ready]) => {
          const pod =
            targetRef?.kind === 'Pod' ? podOf(targetRef.namespace ?? namespace, targetRef.name ?? '') : undefined;
          const container = pod?.spec?.containers?.find(({ ports: own }) =>
            own?.some(({ containerPort }) => containerPort === port.port),
          );
          return new Map([
            ...base,
            ['__address__', withPort(ip, port.port)],
            [`${meta}endpoint_ready`, String(ready)],
            [`${meta}endpoint_port_name`, port.name ?? ''],
            [`${meta}endpoint_port_protocol`, port.protocol ?? 'TCP'],
            [`${meta}endpoint_hostname`, hostname],
            [`${meta}endpoint_node_name`, nodeName],
            [`${meta}endpoint_address_target_kind`, targetRef?.kind ?? ''],
            [`${meta}endpoint_address_target_name`, targetRef?.name ?? ''],
            ...(pod ? podLabels(pod) : []),
            ...(container ? containerLabels(container, false) : []),
          ]);
        },
      ),
    ),
  );
}

export function nodeTargets(node: NodeObject): DiscoveredLabels[] {
  const addresses = node.status?.addresses ?? [];
  const find = (type: string): string | undefined => addresses.find((entry) => entry.type === type)?.address;
  const address = find('InternalIP') ?? find('ExternalIP') ?? find('Hostname');
  if (address === undefined) return [];
  const port = node.status?.daemonEndpoints?.kubeletEndpoint?.Port || 10250;
  return [
    new Map([
      ['__address__', withPort(address, port)],
      ['instance', node.metadata.name ?? ''],
      [`${meta}node_name`, node.metadata.name ?? ''],
      ...addresses.map(({ type, address: value }) => [`${meta}node_address_${sanitized(type)}`, value] as const),
      ...metadataLabels('node', node.metadata),
    ]),
  ];
}
