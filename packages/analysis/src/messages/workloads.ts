import { listed, quoted, type } from './message-type.ts';

/** About pods, the services before them, and injection. */
export const WORKLOAD_MESSAGES = {
  NamespaceNotInjected: type<{ namespace: string; namespace2: string }>(
    'IST0102',
    'Info',
    ({ namespace, namespace2 }) =>
      `Pods of this namespace get no sidecar. If they should, run: kubectl label namespace ${namespace} istio-injection=enabled; if not, label ${namespace2} with istio-injection=disabled to say so.`,
  ),
  PodMissingProxy: type<{ podName: string }>(
    'IST0103',
    'Warning',
    ({ podName }) =>
      `Pod ${podName} has no sidecar although injection is on for it. It was probably created before; recreate it, for example with kubectl rollout restart.`,
  ),
  DeploymentAssociatedToMultipleServices: type<{ deployment: string; port: number; services: readonly string[] }>(
    'IST0116',
    'Warning',
    ({ deployment, port, services }) =>
      `The services ${listed(services)} use different protocols for port ${port} of the deployment ${deployment}. Its sidecar can treat the port only one way.`,
  ),
  PortNameIsNotUnderNamingConvention: type<{ portName: string; port: number; targetPort: string }>(
    'IST0118',
    'Info',
    ({ portName, port, targetPort }) =>
      `The port ${portName === '' ? 'without a name' : quoted(portName)} (port ${port}, targetPort ${targetPort}) does not say which protocol it speaks. Name it PROTOCOL or PROTOCOL-SUFFIX (http, http-api, grpc, tcp-db, ...) or set appProtocol; until then the protocol is detected.`,
  ),
  NamespaceMultipleInjectionLabels: type<{ labels: readonly string[] }>(
    'IST0123',
    'Warning',
    ({ labels }) =>
      `The namespace carries several labels that decide about injection: ${listed(labels)}. Keep one; istio-injection wins over istio.io/rev.`,
  ),
  DeploymentConflictingPorts: type<{
    deployment: string;
    services: readonly string[];
    targetPort: string;
    ports: readonly number[];
  }>(
    'IST0137',
    'Warning',
    ({ deployment, services, targetPort, ports }) =>
      `The services ${listed(services)} send different ports (${listed(ports)}) to the same targetPort ${targetPort} of the deployment ${deployment}.`,
  ),
  LocalhostListener: type<{ port: string }>(
    'IST0143',
    'Error',
    ({ port }) =>
      `The application listens for port ${port} on localhost only; other pods cannot reach it there. Let it listen on all addresses, or on the pod's.`,
  ),
  InvalidApplicationUID: type<Record<string, never>>(
    'IST0144',
    'Warning',
    () =>
      "The user ID 1337 is the sidecar's: traffic of an application that runs as it bypasses the mesh. Use another ID.",
  ),
  ImageAutoWithoutInjectionWarning: type<{ resourceType: string; resourceName: string }>(
    'IST0146',
    'Warning',
    ({ resourceType, resourceName }) =>
      `${resourceType} ${resourceName} uses the image "auto", but whether its pods get injected depends on where they are created. Without injection the pods cannot start.`,
  ),
  ImageAutoWithoutInjectionError: type<{ resourceType: string; resourceName: string }>(
    'IST0147',
    'Error',
    ({ resourceType, resourceName }) =>
      `${resourceType} ${resourceName} uses the image "auto", which only injection replaces, and its pods are not injected: they cannot start.`,
  ),
  NamespaceInjectionEnabledByDefault: type<Record<string, never>>(
    'IST0148',
    'Info',
    () =>
      'Pods of this namespace get sidecars without any label, because enableNamespacesByDefault is set. Say so with istio-injection=enabled, or refuse with istio-injection=disabled.',
  ),
  ExternalNameServiceTypeInvalidPortName: type<Record<string, never>>(
    'IST0150',
    'Warning',
    () =>
      'This port of an ExternalName service is taken for TCP, by its name or for want of one, and so captures traffic to that port whatever its destination. Name it after its real protocol (http-..., tls-...).',
  ),
  PodsIstioProxyImageMismatchInNamespace: type<{ podNames: readonly string[] }>(
    'IST0158',
    'Warning',
    ({ podNames }) =>
      `The proxies of these pods run another image than a new pod would get: ${listed(podNames)}. Restart them to update.`,
  ),
  MultiClusterInconsistentService: type<{
    serviceName: string;
    namespace: string;
    clusters: readonly string[];
    error: string;
  }>(
    'IST0170',
    'Warning',
    ({ serviceName, namespace, clusters, error }) =>
      `The service ${namespace}/${serviceName} is not the same in the clusters ${listed(clusters)}: ${error}`,
  ),
} as const;
