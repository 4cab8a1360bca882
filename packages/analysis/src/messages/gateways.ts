import { listed, plural, type } from './message-type.ts';

/** About gateways of both APIs and about Ingresses. */
export const GATEWAY_MESSAGES = {
  VirtualServiceHostNotFoundInGateway: type<{ host: readonly string[]; virtualservice: string; gateway: string }>(
    'IST0132',
    'Warning',
    ({ host, virtualservice, gateway }) =>
      `The gateway ${gateway} does not serve the ${plural(host, 'host', 'hosts')} ${listed(host)} of the VirtualService ${virtualservice}.`,
  ),
  GatewayDuplicateCertificate: type<{ gateways: readonly string[] }>(
    'IST0138',
    'Warning',
    ({ gateways }) =>
      `The gateways ${listed(gateways)} serve the same certificate on the same workloads. Browsers reuse one HTTP/2 connection for all hosts of a certificate and will get 404 from the wrong gateway; merge the gateways or use certificates without a common wildcard.`,
  ),
  IngressRouteRulesNotAffected: type<{ virtualservicesubset: string; virtualservice: string }>(
    'IST0140',
    'Warning',
    ({ virtualservicesubset, virtualservice }) =>
      `${virtualservice} sends a gateway's traffic to a host that ${virtualservicesubset} splits into subsets for the mesh only. Traffic from the gateway does not follow those rules; add the gateway to ${virtualservicesubset}.`,
  ),
  ConflictingGateways: type<{ gateway: string; selector: string; portnumber: string; hosts: string }>(
    'IST0145',
    'Error',
    ({ gateway, selector, portnumber, hosts }) =>
      `The gateway ${gateway} claims the same hosts (${hosts}) on port ${portnumber} of the workloads ${selector}. With TLS only one of the gateways takes effect; with plain HTTP their routes are mixed.`,
  ),
  UnsupportedGatewayAPIVersion: type<{ version: string; minimumVersion: string }>(
    'IST0156',
    'Error',
    ({ version, minimumVersion }) =>
      `The installed Gateway API ${version} is older than ${minimumVersion}, the oldest version that works. Update its CustomResourceDefinitions.`,
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
  ReferencedInternalGateway: type<{ virtualservice: string; gateway: string }>(
    'IST0165',
    'Warning',
    ({ virtualservice, gateway }) =>
      `The VirtualService ${virtualservice} refers to the gateway ${gateway}, which is generated from the Gateway API. Such a gateway takes its routes from HTTPRoutes; this reference may break.`,
  ),
  FutureUnsupportedGatewayAPIVersion: type<{ version: string; minimumVersion: string }>(
    'IST0172',
    'Warning',
    ({ version, minimumVersion }) =>
      `The installed Gateway API ${version} will not work with the next release, which needs ${minimumVersion}. Update its CustomResourceDefinitions in time.`,
  ),
  GatewayAPICRDVersionBelowMinimum: type<{ crd: string; installedVersion: string; minimumVersion: string }>(
    'IST0176',
    'Warning',
    ({ crd, installedVersion, minimumVersion }) =>
      `The CustomResourceDefinition ${crd} has version ${installedVersion}; at least ${minimumVersion} is needed, so its objects are ignored.`,
  ),
} as const;
