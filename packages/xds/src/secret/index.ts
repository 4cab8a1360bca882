import type { ProxyScope } from '@istio-ts/mesh/model';
import { collectorCredential } from '../telemetry/own-tracing.ts';
import { caCertificateName, credentialResource } from './names.ts';

export { caCertificateName, credentialResource, parseSecretResource, type SecretReference } from './names.ts';
export { buildTrustBundle, workloadRoots } from './trust-bundle.ts';
export { buildSecret, missingSecret, SecretError, secretOrigin } from './secret.ts';

/**
 * Names of the SDS resources that the configuration of a proxy may refer to: credentials of its Gateways, of the ports at which its Sidecar ends TLS
 * and of DestinationRules, that of the mesh's collector of spans, with their roots. A sidecar takes those of DestinationRules that select workloads only, which are in its own namespace
 * (DestinationRule reference, ClientTLSSettings.credentialName).
 */
export function secretNames(
  scope: Pick<ProxyScope, 'gateways' | 'destinationRules' | 'sidecar' | 'mesh'> & {
    readonly proxy: Pick<ProxyScope['proxy'], 'type' | 'metadata'>;
  },
): ReadonlySet<string> {
  const names = new Set<string>();
  const add = (credential: string | undefined): void => {
    if (!credential) return;
    const resource = credentialResource(credential);
    names.add(resource);
    names.add(caCertificateName(resource));
  };
  const servers = [
    ...scope.gateways.flatMap((gateway) => gateway.spec.servers ?? []),
    ...(scope.sidecar?.spec.ingress ?? []),
  ];
  for (const { tls } of servers) {
    add(tls?.credentialName);
    for (const credential of tls?.credentialNames ?? []) add(credential);
    if (tls?.caCertCredentialName) names.add(caCertificateName(credentialResource(tls.caCertCredentialName)));
  }
  for (const { spec } of scope.destinationRules.values()) {
    if (scope.proxy.type !== 'router' && spec.workloadSelector === undefined) continue;
    for (const policy of [spec.trafficPolicy, ...(spec.subsets ?? []).map((subset) => subset.trafficPolicy)]) {
      add(policy?.tls?.credentialName);
      for (const port of policy?.portLevelSettings ?? []) add(port.tls?.credentialName);
    }
  }
  const { outboundTrafficPolicy } = scope.mesh;
  if (scope.proxy.type === 'sidecar' && outboundTrafficPolicy?.mode === 'ALLOW_ANY_DYNAMIC_DNS')
    add(outboundTrafficPolicy.tls?.credentialName);
  add(collectorCredential(scope));
  return names;
}
