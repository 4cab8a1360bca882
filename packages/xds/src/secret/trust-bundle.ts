import type { MeshConfig } from '@istio-ts/api';
import type { ConfigSource, SdsSecretConfig, Secret } from '@istio-ts/envoy';
import { namesAuthorities, TRUST_BUNDLE, type TrustBundles, trustDomainOf } from '@istio-ts/mesh';
import type { Generated } from '../generated.ts';
import { typed } from '../typed.ts';
import { AGENT_SECRETS } from './agent-source.ts';

const CONTROL_PLANE: ConfigSource = { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' };

/**
 * What verifies the certificates of workloads: the anchors that the agent has from the mesh's CA; or, where the mesh configuration names further
 * authorities, the control plane's bundle of all of them, which follows their changes without a listener or cluster being made anew.
 */
export const workloadRoots = (mesh: MeshConfig): SdsSecretConfig =>
  namesAuthorities(mesh)
    ? { name: TRUST_BUNDLE, sdsConfig: CONTROL_PLANE }
    : { name: 'ROOTCA', sdsConfig: AGENT_SECRETS };

const inline = (pem: string) => ({ inlineBytes: Buffer.from(pem).toString('base64') });

const withList = (pem: string, crl: string): string => `${pem}${pem.endsWith('\n') ? '' : '\n'}${crl}`;

/**
 * The SDS resource with the anchors of the mesh. Where several trust domains have anchors of their own, each certificate is verified with those of the
 * domain that it names (Envoy's SPIFFE validator), so that no authority vouches for another domain's workloads. That validator takes no list of its own,
 * but looks for revoked certificates in a domain whose anchors come with lists: there the mesh's list is with the domains of the mesh, and only
 * there, because where there is one, Envoy demands one of each authority. Undefined while there is none to trust.
 */
export function buildTrustBundle(mesh: MeshConfig, { domains, crl }: TrustBundles): Generated<Secret> | undefined {
  const own = new Set([trustDomainOf(mesh), ...(mesh.trustDomainAliases ?? [])]);
  const entries = Object.entries(domains).filter(([, pem]) => pem !== '');
  const [first] = entries;
  if (first === undefined) return undefined;
  if (entries.every(([domain]) => own.has(domain)))
    return {
      resource: {
        name: TRUST_BUNDLE,
        validationContext: { trustedCa: inline(first[1]), ...(crl !== undefined && { crl: inline(crl) }) },
      },
      origins: [],
    };
  return {
    resource: {
      name: TRUST_BUNDLE,
      validationContext: {
        customValidatorConfig: {
          name: 'envoy.tls.cert_validator.spiffe',
          typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.SPIFFECertValidatorConfig', {
            trustDomains: entries.map(([name, pem]) => ({
              name,
              trustBundle: inline(crl !== undefined && own.has(name) ? withList(pem, crl) : pem),
            })),
          }),
        },
      },
    },
    origins: [],
  };
}
