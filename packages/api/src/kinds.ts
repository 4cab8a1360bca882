import { trafficExtensionSpec, wasmPluginSpec } from './extensions/extensions.ts';
import { ageColumn, defineKind, type KindDefinition, type PrinterColumn } from './kind.ts';
import { destinationRuleSpec } from './networking/destination-rule.ts';
import { envoyFilterSpec } from './networking/envoy-filter.ts';
import { gatewaySpec } from './networking/gateway.ts';
import { proxyConfigSpec } from './networking/proxy-config.ts';
import { serviceEntrySpec } from './networking/service-entry.ts';
import { sidecarSpec } from './networking/sidecar.ts';
import { virtualServiceSpec } from './networking/virtual-service.ts';
import { workloadEntryRules, workloadEntrySpec, workloadGroupSpec } from './networking/workload-entry.ts';
import { checkLabels } from './rules/checks.ts';
import { checkEnvoyFilter } from './rules/envoy-filter.ts';
import {
  checkDestinationRule,
  checkGateway,
  checkServiceEntry,
  checkSidecar,
  checkWorkloadEntry,
  checkWorkloadGroup,
} from './rules/networking.ts';
import { checkAuthorizationPolicy, checkPeerAuthentication, checkRequestAuthentication } from './rules/security.ts';
import { checkTelemetry, checkTrafficExtension, checkWasmPlugin } from './rules/telemetry.ts';
import { checkVirtualService } from './rules/virtual-service.ts';
import type { CelRule, TypeOf } from './schema/schema.ts';
import { authorizationPolicySpec, peerAuthenticationSpec, requestAuthenticationSpec } from './security/policies.ts';
import { telemetrySpec } from './telemetry/telemetry.ts';

const column = (name: string, jsonPath: string, description: string): PrinterColumn => ({
  name,
  type: 'string',
  jsonPath,
  description,
});
const networking = {
  group: 'networking.istio.io',
  versions: ['v1', 'v1beta1', 'v1alpha3'],
  storedVersion: 'v1',
} as const;
const security = { group: 'security.istio.io', versions: ['v1', 'v1beta1'], storedVersion: 'v1' } as const;
const extensions = { group: 'extensions.istio.io', versions: ['v1alpha1'], storedVersion: 'v1alpha1' } as const;

/** Checked by the API server itself, so also while istiod is away. */
const oneAttachment = (...fields: readonly string[]): CelRule => ({
  rule: `[${fields.map((field) => `has(self.${field})`).join(', ')}].filter(set, set).size() <= 1`,
  message: `only one of ${fields.join(', ')} may be set`,
});

/** Every kind of Istio, by its name. Names, versions and columns: istio.io, reference; istio-surface.md, CRDs. */
export const kindsByName = {
  VirtualService: defineKind({
    ...networking,
    kind: 'VirtualService',
    plural: 'virtualservices',
    shortNames: ['vs'],
    description: 'Routes traffic for a set of hosts to services.',
    columns: [
      column('Gateways', '.spec.gateways', 'Gateways and sidecars the rules apply to.'),
      column('Hosts', '.spec.hosts', 'Hosts the rules are for.'),
      ageColumn,
    ],
    spec: virtualServiceSpec,
    rules: checkVirtualService,
  }),
  DestinationRule: defineKind({
    ...networking,
    kind: 'DestinationRule',
    plural: 'destinationrules',
    shortNames: ['dr'],
    description: 'Defines subsets of a service and how traffic to it behaves.',
    columns: [column('Host', '.spec.host', 'Service the rule is for.'), ageColumn],
    spec: destinationRuleSpec,
    rules: checkDestinationRule,
  }),
  Gateway: defineKind({
    ...networking,
    kind: 'Gateway',
    plural: 'gateways',
    shortNames: ['gw'],
    description: 'Configures a gateway at the edge of the mesh.',
    spec: gatewaySpec,
    rules: checkGateway,
  }),
  ServiceEntry: defineKind({
    ...networking,
    kind: 'ServiceEntry',
    plural: 'serviceentries',
    shortNames: ['se'],
    description: 'Adds a service to the mesh.',
    columns: [
      column('Hosts', '.spec.hosts', 'Names of the service.'),
      column('Location', '.spec.location', 'Whether the service is part of the mesh.'),
      column('Resolution', '.spec.resolution', 'How addresses are found.'),
      ageColumn,
    ],
    spec: serviceEntrySpec,
    specCel: [oneAttachment('workloadSelector', 'endpoints')],
    rules: checkServiceEntry,
    specRequired: true,
  }),
  Sidecar: defineKind({
    ...networking,
    kind: 'Sidecar',
    plural: 'sidecars',
    description: 'Limits what a sidecar takes in and reaches.',
    spec: sidecarSpec,
    rules: checkSidecar,
  }),
  WorkloadEntry: defineKind({
    ...networking,
    kind: 'WorkloadEntry',
    plural: 'workloadentries',
    shortNames: ['we'],
    description: 'A workload outside Kubernetes.',
    columns: [ageColumn, column('Address', '.spec.address', 'Address of the workload.')],
    spec: workloadEntrySpec,
    specCel: workloadEntryRules,
    rules: (spec, problems) => checkWorkloadEntry(spec, 'spec', problems),
    specRequired: true,
  }),
  WorkloadGroup: defineKind({
    ...networking,
    kind: 'WorkloadGroup',
    plural: 'workloadgroups',
    shortNames: ['wg'],
    description: 'A template for workloads outside Kubernetes that register themselves.',
    columns: [ageColumn],
    spec: workloadGroupSpec,
    rules: checkWorkloadGroup,
    specRequired: true,
  }),
  EnvoyFilter: defineKind({
    ...networking,
    kind: 'EnvoyFilter',
    plural: 'envoyfilters',
    versions: ['v1alpha3'],
    storedVersion: 'v1alpha3',
    description: 'Changes the configuration generated for Envoy.',
    spec: envoyFilterSpec,
    specCel: [oneAttachment('workloadSelector', 'targetRefs')],
    rules: checkEnvoyFilter,
  }),
  ProxyConfig: defineKind({
    ...networking,
    kind: 'ProxyConfig',
    plural: 'proxyconfigs',
    versions: ['v1beta1'],
    storedVersion: 'v1beta1',
    description: 'Settings of proxies that take effect when a pod is created.',
    spec: proxyConfigSpec,
    rules: (spec, problems) => checkLabels(spec.selector?.matchLabels, 'spec.selector.matchLabels', problems),
  }),
  AuthorizationPolicy: defineKind({
    ...security,
    kind: 'AuthorizationPolicy',
    plural: 'authorizationpolicies',
    shortNames: ['ap'],
    description: 'Says who may do what with a workload.',
    columns: [column('Action', '.spec.action', 'What happens to requests that match.'), ageColumn],
    spec: authorizationPolicySpec,
    specCel: [oneAttachment('selector', 'targetRef', 'targetRefs')],
    rules: checkAuthorizationPolicy,
  }),
  PeerAuthentication: defineKind({
    ...security,
    kind: 'PeerAuthentication',
    plural: 'peerauthentications',
    shortNames: ['pa'],
    description: 'Says which connections a workload takes: plain text, mutual TLS or both.',
    columns: [column('Mode', '.spec.mtls.mode', 'Mutual TLS mode.'), ageColumn],
    spec: peerAuthenticationSpec,
    specCel: [
      {
        rule: '!has(self.portLevelMtls) || (has(self.selector) && has(self.selector.matchLabels) && self.selector.matchLabels.size() > 0)',
        message: 'portLevelMtls needs a selector with labels',
      },
    ],
    rules: checkPeerAuthentication,
  }),
  RequestAuthentication: defineKind({
    ...security,
    kind: 'RequestAuthentication',
    plural: 'requestauthentications',
    shortNames: ['ra'],
    description: 'Says which tokens a workload accepts in requests.',
    spec: requestAuthenticationSpec,
    specCel: [oneAttachment('selector', 'targetRef', 'targetRefs')],
    rules: checkRequestAuthentication,
  }),
  Telemetry: defineKind({
    kind: 'Telemetry',
    group: 'telemetry.istio.io',
    plural: 'telemetries',
    versions: ['v1', 'v1alpha1'],
    storedVersion: 'v1alpha1',
    shortNames: ['telemetry'],
    description: 'Says how telemetry is made.',
    columns: [ageColumn],
    spec: telemetrySpec,
    specCel: [oneAttachment('selector', 'targetRef', 'targetRefs')],
    rules: checkTelemetry,
  }),
  WasmPlugin: defineKind({
    ...extensions,
    kind: 'WasmPlugin',
    plural: 'wasmplugins',
    description: 'Puts a WebAssembly module into proxies.',
    columns: [ageColumn],
    spec: wasmPluginSpec,
    specCel: [oneAttachment('selector', 'targetRef', 'targetRefs')],
    rules: checkWasmPlugin,
    specRequired: true,
  }),
  TrafficExtension: defineKind({
    ...extensions,
    kind: 'TrafficExtension',
    plural: 'trafficextensions',
    description: 'Puts a WebAssembly module or a Lua script into proxies.',
    columns: [ageColumn],
    spec: trafficExtensionSpec,
    specCel: [oneAttachment('selector', 'targetRefs')],
    rules: checkTrafficExtension,
    specRequired: true,
  }),
};

/** Names of all kinds. */
export type Kind = keyof typeof kindsByName;
/** The type of each kind's spec. */
export type KindSpecs = { readonly [K in Kind]: TypeOf<(typeof kindsByName)[K]['spec']> };

export const kinds: readonly KindDefinition[] = Object.values(kindsByName);

/** The kind with this `apiVersion` (in any served version) and `kind`; `undefined` for kinds that are not Istio's. */
export function kindOf(apiVersion: string, kind: string): KindDefinition | undefined {
  const definition = isKind(kind) ? kindsByName[kind] : undefined;
  if (!definition) return undefined;
  const slash = apiVersion.indexOf('/');
  const known =
    apiVersion.slice(0, Math.max(slash, 0)) === definition.group &&
    definition.versions.includes(apiVersion.slice(slash + 1));
  return known ? definition : undefined;
}

/** Whether this is the name of one of Istio's kinds. */
export function isKind(kind: string): kind is Kind {
  return Object.hasOwn(kindsByName, kind);
}
