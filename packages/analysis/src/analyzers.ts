import type { Analyzer } from './analyzer.ts';
import { ambientPolicy } from './analyzers/ambient-policy.ts';
import { annotations } from './analyzers/annotations.ts';
import { applicationUid } from './analyzers/application-uid.ts';
import { authorizationPolicy } from './analyzers/authorization-policy.ts';
import { conditions } from './analyzers/conditions.ts';
import { envoyFilter } from './analyzers/envoy-filter.ts';
import { gatewayApiUntranslated } from './analyzers/gateway-api-untranslated.ts';
import { gatewayApiVersion } from './analyzers/gateway-api-version.ts';
import { imageAuto } from './analyzers/image-auto.ts';
import { jwksUri } from './analyzers/jwks-uri.ts';
import { meshNetworks } from './analyzers/mesh-networks.ts';
import { meshTelemetry } from './analyzers/mesh-telemetry.ts';
import { multiclusterServices } from './analyzers/multicluster-services.ts';
import { namespaceInjection } from './analyzers/namespace-injection.ts';
import { podInjection } from './analyzers/pod-injection.ts';
import { policySelectors } from './analyzers/policy-selectors.ts';
import { telemetry } from './analyzers/telemetry.ts';
import { webhooks } from './analyzers/webhooks.ts';
import { deploymentServices } from './analyzers/deployment-services.ts';
import { destinationRuleCa } from './analyzers/destination-rule-ca.ts';
import { destinationRulePods } from './analyzers/destination-rule-pods.ts';
import { gatewayCertificate } from './analyzers/gateway-certificate.ts';
import { gatewayConflict } from './analyzers/gateway-conflict.ts';
import { gatewayPort } from './analyzers/gateway-port.ts';
import { gatewaySecret } from './analyzers/gateway-secret.ts';
import { gatewaySelector } from './analyzers/gateway-selector.ts';
import { ingressRouteRules } from './analyzers/ingress-route-rules.ts';
import { kubernetesGatewaySelector } from './analyzers/kubernetes-gateway-selector.ts';
import { schemaValidation } from './analyzers/schema-validation.ts';
import { serviceEntryAddresses } from './analyzers/service-entry-addresses.ts';
import { serviceEntryProtocol } from './analyzers/service-entry-protocol.ts';
import { servicePortName } from './analyzers/service-port-name.ts';
import { sidecarDefault, sidecarSelector } from './analyzers/sidecar-selector.ts';
import { virtualServiceConflict } from './analyzers/virtual-service-conflict.ts';
import { virtualServiceDestination } from './analyzers/virtual-service-destination.ts';
import { serviceEntryForeignHost } from './analyzers/service-entry-foreign-host.ts';
import { virtualServiceForeignHost } from './analyzers/virtual-service-foreign-host.ts';
import { virtualServiceGateway } from './analyzers/virtual-service-gateway.ts';
import { virtualServiceJwtClaim } from './analyzers/virtual-service-jwt-claim.ts';
import { virtualServiceRuleOrder } from './analyzers/virtual-service-rule-order.ts';
import { virtualServiceSubset } from './analyzers/virtual-service-subset.ts';

/** All analyzers, by their names. One concern is one file; a new one becomes known here and nowhere else. */
export const analyzers: readonly Analyzer[] = [
  ambientPolicy,
  annotations,
  applicationUid,
  authorizationPolicy,
  conditions,
  envoyFilter,
  gatewayApiUntranslated,
  gatewayApiVersion,
  imageAuto,
  jwksUri,
  meshNetworks,
  meshTelemetry,
  multiclusterServices,
  namespaceInjection,
  podInjection,
  policySelectors,
  telemetry,
  webhooks,
  deploymentServices,
  destinationRuleCa,
  destinationRulePods,
  gatewayCertificate,
  gatewayConflict,
  gatewayPort,
  gatewaySecret,
  gatewaySelector,
  kubernetesGatewaySelector,
  schemaValidation,
  servicePortName,
  serviceEntryAddresses,
  serviceEntryProtocol,
  sidecarDefault,
  sidecarSelector,
  virtualServiceConflict,
  virtualServiceForeignHost,
  serviceEntryForeignHost,
  virtualServiceDestination,
  virtualServiceGateway,
  ingressRouteRules,
  virtualServiceJwtClaim,
  virtualServiceRuleOrder,
  virtualServiceSubset,
];
