import type { Level } from './level.ts';

/** A sort of message: its code, level and name are those of Istio (istio.io, "Configuration Analysis Messages"); the wording is our own. */
export interface MessageType<Args> {
  readonly code: string;
  readonly level: Level;
  readonly text: (args: Args) => string;
}

const type = <Args>(code: string, level: Level, text: (args: Args) => string): MessageType<Args> => ({
  code,
  level,
  text,
});

const quoted = (text: string): string => JSON.stringify(text);
const listed = (items: readonly (string | number)[]): string => items.join(', ');
const plural = (items: readonly unknown[], one: string, many: string): string => (items.length === 1 ? one : many);

/** What is missing, in words for each sort of reference; other sorts are named as they are. */
function notFound({ reftype, refval }: { readonly reftype: string; readonly refval: string }): string {
  switch (reftype) {
    case 'selector':
      return `The selector ${refval} matches no pod.`;
    case 'host':
      return `There is no service ${quoted(refval)} that can be seen from here.`;
    case 'host:port':
      return `The service has no such port: ${quoted(refval)}.`;
    case 'host+subset in destinationrule':
      return `No DestinationRule defines this subset of the service: ${quoted(refval)}.`;
    case 'gateway':
      return `There is no gateway ${quoted(refval)}.`;
    case 'credentialName':
      return `There is no secret ${quoted(refval)} where the pods of the gateway look for it.`;
    default:
      return `This refers to the ${reftype} ${quoted(refval)}, which does not exist.`;
  }
}

/** Every message, by its name. Arguments are those that Istio's messages carry. */
export const messageTypes = {
  InternalError: type<{ detail: string }>(
    'IST0001',
    'Error',
    ({ detail }) => `The analysis itself failed here; that is a bug of istioctl, please report it: ${detail}`,
  ),
  Deprecated: type<{ detail: string }>('IST0002', 'Warning', ({ detail }) => `Deprecated: ${detail}`),
  ReferencedResourceNotFound: type<{ reftype: string; refval: string }>('IST0101', 'Error', notFound),
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
  SchemaValidationError: type<{ err: string }>('IST0106', 'Error', ({ err }) => `Invalid configuration: ${err}`),
  MisplacedAnnotation: type<{ annotation: string; kind: string }>(
    'IST0107',
    'Warning',
    ({ annotation, kind }) => `The annotation ${annotation} has no effect on a ${kind}; it belongs on another kind.`,
  ),
  UnknownAnnotation: type<{ annotation: string }>(
    'IST0108',
    'Warning',
    ({ annotation }) => `Istio knows no annotation ${annotation}. Is it misspelt?`,
  ),
  ConflictingMeshGatewayVirtualServiceHosts: type<{ virtualServices: string; host: string }>(
    'IST0109',
    'Error',
    ({ virtualServices, host }) =>
      `Several VirtualServices apply to the mesh gateway and claim the host ${host}: ${virtualServices}. Only one of them takes effect; merge them, or restrict them with exportTo.`,
  ),
  ConflictingSidecarWorkloadSelectors: type<{
    conflictingSidecars: readonly string[];
    namespace: string;
    workloadPod: string;
  }>(
    'IST0110',
    'Error',
    ({ conflictingSidecars, namespace, workloadPod }) =>
      `Several Sidecars of namespace ${namespace} select the pod ${workloadPod}: ${listed(conflictingSidecars)}. Which one applies is undefined; make their selectors disjoint.`,
  ),
  MultipleSidecarsWithoutWorkloadSelectors: type<{ conflictingSidecars: readonly string[]; namespace: string }>(
    'IST0111',
    'Error',
    ({ conflictingSidecars, namespace }) =>
      `Namespace ${namespace} has several Sidecars without a workload selector: ${listed(conflictingSidecars)}. Which one is the default is undefined; keep one.`,
  ),
  VirtualServiceDestinationPortSelectorRequired: type<{ destHost: string; destPorts: readonly number[] }>(
    'IST0112',
    'Error',
    ({ destHost, destPorts }) =>
      `The service ${destHost} has several ports (${listed(destPorts)}), so this destination must name one with port.number.`,
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
  InvalidAnnotation: type<{ annotation: string; problem: string }>(
    'IST0125',
    'Warning',
    ({ annotation, problem }) => `The value of the annotation ${annotation} is not valid: ${problem}`,
  ),
  UnknownMeshNetworksServiceRegistry: type<{ serviceregistry: string; network: string }>(
    'IST0126',
    'Error',
    ({ serviceregistry, network }) =>
      `The network ${network} of the mesh networks refers to the registry ${quoted(serviceregistry)}, which is none of the known clusters.`,
  ),
  NoMatchingWorkloadsFound: type<{ labels: string }>(
    'IST0127',
    'Warning',
    ({ labels }) => `No workload carries the labels ${labels}, so this has no effect.`,
  ),
  NoServerCertificateVerificationDestinationLevel: type<{
    destinationrule: string;
    namespace: string;
    mode: string;
    host: string;
  }>(
    'IST0128',
    'Warning',
    ({ destinationrule, namespace, mode, host }) =>
      `The DestinationRule ${namespace}/${destinationrule} uses TLS mode ${mode} to ${host} without caCertificates: the server's certificate is checked against the system's authorities at best, and by older proxies not at all. Name the authorities that you expect.`,
  ),
  NoServerCertificateVerificationPortLevel: type<{
    destinationrule: string;
    namespace: string;
    mode: string;
    host: string;
    port: string;
  }>(
    'IST0129',
    'Warning',
    ({ destinationrule, namespace, mode, host, port }) =>
      `The DestinationRule ${namespace}/${destinationrule} uses TLS mode ${mode} to port ${port} of ${host} without caCertificates: the server's certificate is checked against the system's authorities at best, and by older proxies not at all. Name the authorities that you expect.`,
  ),
  VirtualServiceUnreachableRule: type<{ ruleno: string; reason: string }>(
    'IST0130',
    'Warning',
    ({ ruleno, reason }) => `The rule ${ruleno} never takes effect: ${reason}.`,
  ),
  VirtualServiceIneffectiveMatch: type<{ ruleno: string; matchno: string; dupno: string }>(
    'IST0131',
    'Info',
    ({ ruleno, matchno, dupno }) =>
      `The match ${matchno} of the rule ${ruleno} never takes effect: the rule ${dupno} has the same condition and comes first.`,
  ),
  VirtualServiceHostNotFoundInGateway: type<{ host: readonly string[]; virtualservice: string; gateway: string }>(
    'IST0132',
    'Warning',
    ({ host, virtualservice, gateway }) =>
      `The gateway ${gateway} does not serve the ${plural(host, 'host', 'hosts')} ${listed(host)} of the VirtualService ${virtualservice}.`,
  ),
  SchemaWarning: type<{ err: string }>('IST0133', 'Warning', ({ err }) => `Questionable configuration: ${err}`),
  ServiceEntryAddressesRequired: type<Record<string, never>>(
    'IST0134',
    'Warning',
    () =>
      'A TCP port without addresses captures all traffic to that port whatever its destination. Set addresses, or enable DNS address allocation.',
  ),
  DeprecatedAnnotation: type<{ annotation: string; extra: string }>(
    'IST0135',
    'Info',
    ({ annotation, extra }) =>
      `The annotation ${annotation} is deprecated and may stop working in a later release.${extra === '' ? '' : ` ${extra.trim()}`}`,
  ),
  AlphaAnnotation: type<{ annotation: string }>(
    'IST0136',
    'Info',
    ({ annotation }) => `The annotation ${annotation} belongs to a feature of alpha quality: not for production.`,
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
  GatewayDuplicateCertificate: type<{ gateways: readonly string[] }>(
    'IST0138',
    'Warning',
    ({ gateways }) =>
      `The gateways ${listed(gateways)} serve the same certificate on the same workloads. Browsers reuse one HTTP/2 connection for all hosts of a certificate and will get 404 from the wrong gateway; merge the gateways or use certificates without a common wildcard.`,
  ),
  InvalidWebhook: type<{ error: string }>('IST0139', 'Error', ({ error }) => `The webhook does not work: ${error}`),
  IngressRouteRulesNotAffected: type<{ virtualservicesubset: string; virtualservice: string }>(
    'IST0140',
    'Warning',
    ({ virtualservicesubset, virtualservice }) =>
      `${virtualservice} sends a gateway's traffic to a host that ${virtualservicesubset} splits into subsets for the mesh only. Traffic from the gateway does not follow those rules; add the gateway to ${virtualservicesubset}.`,
  ),
  InsufficientPermissions: type<{ resource: string; error: string }>(
    'IST0141',
    'Error',
    ({ resource, error }) => `${resource} could not be read, so what depends on them was not checked: ${error}`,
  ),
  UnsupportedKubernetesVersion: type<{ version: string; minimumVersion: string }>(
    'IST0142',
    'Error',
    ({ version, minimumVersion }) =>
      `Kubernetes ${version} is older than ${minimumVersion}, the oldest version that this release supports.`,
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
  ConflictingGateways: type<{ gateway: string; selector: string; portnumber: string; hosts: string }>(
    'IST0145',
    'Error',
    ({ gateway, selector, portnumber, hosts }) =>
      `The gateway ${gateway} claims the same hosts (${hosts}) on port ${portnumber} of the workloads ${selector}. With TLS only one of the gateways takes effect; with plain HTTP their routes are mixed.`,
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
  JwtClaimBasedRoutingWithoutRequestAuthN: type<{ key: string; gateway: string; pod: string }>(
    'IST0149',
    'Error',
    ({ key, gateway, pod }) =>
      `The match on ${key} needs verified tokens, but no RequestAuthentication applies to the pod ${pod} of the gateway ${gateway}: requests with any token are refused this route.`,
  ),
  ExternalNameServiceTypeInvalidPortName: type<Record<string, never>>(
    'IST0150',
    'Warning',
    () =>
      'This port of an ExternalName service is taken for TCP, by its name or for want of one, and so captures traffic to that port whatever its destination. Name it after its real protocol (http-..., tls-...).',
  ),
  EnvoyFilterUsesRelativeOperation: type<Record<string, never>>(
    'IST0151',
    'Warning',
    () =>
      'This patch places its value relative to something that other EnvoyFilters or a later version may move, and it sets no priority. Use INSERT_FIRST or ADD, or set a priority.',
  ),
  EnvoyFilterUsesReplaceOperationIncorrectly: type<Record<string, never>>(
    'IST0152',
    'Error',
    () => 'The operation REPLACE works for HTTP_FILTER and NETWORK_FILTER only; elsewhere it is ignored. Use MERGE.',
  ),
  EnvoyFilterUsesAddOperationIncorrectly: type<Record<string, never>>(
    'IST0153',
    'Error',
    () => 'The operation ADD is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE. Use MERGE or INSERT_FIRST.',
  ),
  EnvoyFilterUsesRemoveOperationIncorrectly: type<Record<string, never>>(
    'IST0154',
    'Error',
    () => 'The operation REMOVE is ignored for ROUTE_CONFIGURATION and HTTP_ROUTE.',
  ),
  EnvoyFilterUsesRelativeOperationWithProxyVersion: type<Record<string, never>>(
    'IST0155',
    'Warning',
    () =>
      'This patch places its value relative to something and is bound to a proxy version. It will be missing from proxies of the next version; use INSERT_FIRST or ADD, or set a priority.',
  ),
  UnsupportedGatewayAPIVersion: type<{ version: string; minimumVersion: string }>(
    'IST0156',
    'Error',
    ({ version, minimumVersion }) =>
      `The installed Gateway API ${version} is older than ${minimumVersion}, the oldest version that works. Update its CustomResourceDefinitions.`,
  ),
  InvalidTelemetryProvider: type<{ name: string; namespace: string }>(
    'IST0157',
    'Warning',
    ({ name, namespace }) =>
      `The Telemetry ${namespace}/${name} names no provider and the mesh has no default provider, so it has no effect.`,
  ),
  PodsIstioProxyImageMismatchInNamespace: type<{ podNames: readonly string[] }>(
    'IST0158',
    'Warning',
    ({ podNames }) =>
      `The proxies of these pods run another image than a new pod would get: ${listed(podNames)}. Restart them to update.`,
  ),
  ConflictingTelemetryWorkloadSelectors: type<{
    conflictingTelemetries: readonly string[];
    namespace: string;
    workloadPod: string;
  }>(
    'IST0159',
    'Error',
    ({ conflictingTelemetries, namespace, workloadPod }) =>
      `Several Telemetries of namespace ${namespace} select the pod ${workloadPod}: ${listed(conflictingTelemetries)}. Only the oldest applies; make their selectors disjoint.`,
  ),
  MultipleTelemetriesWithoutWorkloadSelectors: type<{ conflictingTelemetries: readonly string[]; namespace: string }>(
    'IST0160',
    'Error',
    ({ conflictingTelemetries, namespace }) =>
      `Namespace ${namespace} has several Telemetries without a selector: ${listed(conflictingTelemetries)}. Only the oldest applies; merge them.`,
  ),
  InvalidGatewayCredential: type<{ gatewayName: string; gatewayNamespace: string }>(
    'IST0161',
    'Error',
    ({ gatewayName, gatewayNamespace }) =>
      `The secret that the gateway ${gatewayNamespace}/${gatewayName} names as its credential holds no usable certificate and key, so clients cannot connect.`,
  ),
  GatewayPortNotDefinedOnService: type<{ port: number; selector: string }>(
    'IST0162',
    'Warning',
    ({ port, selector }) =>
      `No service in front of the workloads ${selector} sends traffic to port ${port}: nobody outside reaches it.`,
  ),
  InvalidExternalControlPlaneConfig: type<{ hostname: string; webhook: string; msg: string }>(
    'IST0163',
    'Warning',
    ({ hostname, webhook, msg }) =>
      `The webhook ${webhook} calls the external control plane at ${quoted(hostname)}, which does not work${msg === '' ? '.' : `: ${msg}`}`,
  ),
  ExternalControlPlaneAddressIsNotAHostname: type<{ hostname: string; webhook: string }>(
    'IST0164',
    'Info',
    ({ hostname, webhook }) =>
      `The webhook ${webhook} calls the external control plane by its address ${hostname}; a host name survives a change of the address.`,
  ),
  ReferencedInternalGateway: type<{ virtualservice: string; gateway: string }>(
    'IST0165',
    'Warning',
    ({ virtualservice, gateway }) =>
      `The VirtualService ${virtualservice} refers to the gateway ${gateway}, which is generated from the Gateway API. Such a gateway takes its routes from HTTPRoutes; this reference may break.`,
  ),
  IneffectiveSelector: type<{ gateway: string }>(
    'IST0166',
    'Warning',
    ({ gateway }) =>
      `The selector has no effect on the pods of the gateway ${gateway}, which is one of the Gateway API. Use targetRefs.`,
  ),
  IneffectivePolicy: type<{ reason: string }>(
    'IST0167',
    'Warning',
    ({ reason }) => `The policy has no effect: ${reason}.`,
  ),
  UnknownUpgradeCompatibility: type<{ field: string; release: string; info: string; compatVersion: string }>(
    'IST0168',
    'Warning',
    ({ field, release, info, compatVersion }) =>
      `The meaning of ${field} changes in release ${release}: ${info} Whether it matters here cannot be told; --set compatibilityVersion=${compatVersion} keeps the old behaviour.`,
  ),
  UpdateIncompatibility: type<{ field: string; release: string; info: string; compatVersion: string }>(
    'IST0169',
    'Warning',
    ({ field, release, info, compatVersion }) =>
      `The meaning of ${field} changes in release ${release}: ${info} --set compatibilityVersion=${compatVersion} keeps the old behaviour.`,
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
  NegativeConditionStatus: type<{ conditionType: string; reason: string; message: string }>(
    'IST0171',
    'Warning',
    ({ conditionType, reason, message }) =>
      `The condition ${conditionType} says that something is wrong${reason === '' ? '' : ` (${reason})`}: ${message}`,
  ),
  FutureUnsupportedGatewayAPIVersion: type<{ version: string; minimumVersion: string }>(
    'IST0172',
    'Warning',
    ({ version, minimumVersion }) =>
      `The installed Gateway API ${version} will not work with the next release, which needs ${minimumVersion}. Update its CustomResourceDefinitions in time.`,
  ),
  DestinationRuleSubsetNotSelectPods: type<{ subset: string }>(
    'IST0173',
    'Error',
    ({ subset }) => `No pod of the service carries the labels of the subset ${subset}: traffic to it fails with 503.`,
  ),
  UnknownDestinationRuleHost: type<{ host: string }>(
    'IST0174',
    'Warning',
    ({ host }) => `There is no service ${quoted(host)}, so the rule has no effect.`,
  ),
  JwksUriFetchUnrestricted: type<{ count: number; names: string }>(
    'IST0175',
    'Warning',
    ({ count, names }) =>
      `${count} RequestAuthentication${count === 1 ? '' : 's'} (${names}) ${count === 1 ? 'lets' : 'let'} istiod fetch keys from a URL of the author's choice, and no list of blocked addresses restricts it.`,
  ),
  GatewayAPICRDVersionBelowMinimum: type<{ crd: string; installedVersion: string; minimumVersion: string }>(
    'IST0176',
    'Warning',
    ({ crd, installedVersion, minimumVersion }) =>
      `The CustomResourceDefinition ${crd} has version ${installedVersion}; at least ${minimumVersion} is needed, so its objects are ignored.`,
  ),
  ConflictingServiceEntryProtocol: type<{ serviceEntryNames: string; host: string; port: number; protocols: string }>(
    'IST0177',
    'Warning',
    ({ serviceEntryNames, host, port, protocols }) =>
      `The ServiceEntries ${serviceEntryNames} give port ${port} of ${host} different protocols (${protocols}). Only one of them takes effect.`,
  ),
  /** Not one of Istio's: theirs have codes below 9000. */
  VirtualServiceClaimsForeignHost: type<{ host: string; owner: string }>(
    'IST9001',
    'Warning',
    ({ host, owner }) =>
      `This routes what other namespaces send to ${host}, a service of namespace ${owner}. If that is not wanted, restrict it with exportTo: ["."]; ISTIO_TS_FORBID_FOREIGN_HOSTS=true of istiod does so for all.`,
  ),
  ServiceEntryClaimsForeignHost: type<{ host: string; owner: string }>(
    'IST9002',
    'Warning',
    ({ host, owner }) =>
      `${host} is a service of Kubernetes in namespace ${owner}. Proxies of other namespaces keep to that one; only those of this namespace take the ServiceEntry for it.`,
  ),
  PolicyNeverRight: type<{ meanwhile: string }>(
    'IST9003',
    'Error',
    ({ meanwhile }) =>
      `The policy is wrong. Where istiod has had no right version of it, something stricter is in force instead: ${meanwhile}.`,
  ),
  TelemetryWithoutEffect: type<{ problem: string }>(
    'IST9010',
    'Warning',
    ({ problem }) => `Nothing comes of this part of the telemetry: ${problem}.`,
  ),
} as const;

export type MessageName = keyof typeof messageTypes;
/** What a message of this name is built from. */
export type MessageArgs<N extends MessageName> = Parameters<(typeof messageTypes)[N]['text']>[0];

/** Where a code is explained. */
export const documentationUrl = (code: string): string =>
  `https://istio.io/latest/docs/reference/config/analysis/${code.toLowerCase()}/`;

/** The name of a code (`IST0101`), in any case; undefined for an unknown one. */
export function messageNameOf(code: string): MessageName | undefined {
  const names = Object.keys(messageTypes) as MessageName[];
  return names.find((name) => messageTypes[name].code === code.toUpperCase());
}
