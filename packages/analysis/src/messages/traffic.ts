import { listed, quoted, type } from './message-type.ts';

/** About VirtualServices, DestinationRules, ServiceEntries, Sidecars and EnvoyFilters. */
export const TRAFFIC_MESSAGES = {
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
  ServiceEntryAddressesRequired: type<Record<string, never>>(
    'IST0134',
    'Warning',
    () =>
      'A TCP port without addresses captures all traffic to that port whatever its destination. Set addresses, or enable DNS address allocation.',
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
} as const;
