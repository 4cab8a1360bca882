import { type Kind, kindsByName } from '@istio-ts/api/kinds';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { splitApiVersion } from '@istio-ts/kube/describe';
import type { ResourceType } from '@istio-ts/kube/object';

const gatewayApi = (resource: string, kind: string, namespaced = true, version = 'v1'): ResourceType => ({
  group: 'gateway.networking.k8s.io',
  version,
  resource,
  kind,
  namespaced,
});

/** Kinds of the Gateway API. Its Gateway has a name of its own here, because Istio has a kind Gateway too. */
const gatewayApiTypes = {
  KubernetesGateway: gatewayApi('gateways', 'Gateway'),
  GatewayClass: gatewayApi('gatewayclasses', 'GatewayClass', false),
  HTTPRoute: gatewayApi('httproutes', 'HTTPRoute'),
  GRPCRoute: gatewayApi('grpcroutes', 'GRPCRoute'),
  TLSRoute: gatewayApi('tlsroutes', 'TLSRoute', true, 'v1alpha2'),
  TCPRoute: gatewayApi('tcproutes', 'TCPRoute', true, 'v1alpha2'),
  ReferenceGrant: gatewayApi('referencegrants', 'ReferenceGrant', true, 'v1beta1'),
} as const;

/** Kinds that analyzers can ask for. */
export type InputKind = Kind | keyof typeof kubernetesTypes | keyof typeof gatewayApiTypes;

const istioTypes = Object.fromEntries(Object.values(kindsByName).map(({ kind, type }) => [kind, type]));

/** Where the API server serves each of them. */
export const inputTypes = { ...kubernetesTypes, ...gatewayApiTypes, ...istioTypes } as Readonly<
  Record<InputKind, ResourceType>
>;

const byGroupAndKind = new Map(
  (Object.entries(inputTypes) as [InputKind, ResourceType][]).map(([name, { group, kind }]) => [
    `${group}/${kind}`,
    name,
  ]),
);

/** The kind of an object in whatever version; undefined for kinds that no analyzer can ask for. */
export const inputKindOf = (apiVersion: string, kind: string): InputKind | undefined =>
  byGroupAndKind.get(`${splitApiVersion(apiVersion).group}/${kind}`);
