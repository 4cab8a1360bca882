import type {
  DownstreamTlsContext,
  SdsSecretConfig,
  SubjectAltNameMatcher,
  TlsParameters,
  TransportSocket,
} from '@istio-ts/envoy';
import { federatedDomains } from '@istio-ts/mesh';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { memoByInputs } from '../memo.ts';
import { AGENT_SECRETS } from '../secret/agent-source.ts';
import { workloadRoots } from '../secret/trust-bundle.ts';
import { typed } from '../typed.ts';

/** Cipher suites of mutual TLS between proxies under TLS 1.2 (1.3 has its own); forward secrecy first. */
const MESH_CIPHERS = [
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'AES256-GCM-SHA384',
  'AES128-GCM-SHA256',
] as const;

/** What a server says it speaks: the codec follows what is negotiated, and that must be a real protocol and not one of Istio's names. */
const SERVER_ALPN = ['h2', 'http/1.1'] as const;

/** A secret of the agent: `default` is the workload's certificate, `ROOTCA` what it trusts. */
const agentSecret = (name: string): SdsSecretConfig => ({ name, sdsConfig: AGENT_SECRETS });

function meshParameters(mesh: ProxyScope['mesh']): TlsParameters {
  const settings = mesh.meshMTLS;
  const ciphers = settings?.cipherSuites ?? [];
  const curves = settings?.ecdhCurves ?? [];
  return {
    tlsMinimumProtocolVersion: settings?.minProtocolVersion === 'TLSV1_3' ? 'TLSv1_3' : 'TLSv1_2',
    tlsMaximumProtocolVersion: 'TLSv1_3',
    cipherSuites: ciphers.length > 0 ? ciphers : [...MESH_CIPHERS],
    ...(curves.length > 0 ? { ecdhCurves: curves } : {}),
  };
}

/** Only identities of the mesh's trust domain, its aliases and the domains whose authorities it trusts are admitted. */
function trustedIdentities(mesh: ProxyScope['mesh'], trustDomain: string): readonly SubjectAltNameMatcher[] {
  const domains = [
    ...new Set([trustDomain, ...(mesh.trustDomainAliases ?? []), ...federatedDomains(mesh, trustDomain)]),
  ];
  return domains.map((domain) => ({ sanType: 'URI', matcher: { prefix: `spiffe://${domain}/` } }));
}

interface MutualTlsInput {
  readonly mesh: ProxyScope['mesh'];
  readonly trustDomain: string;
  readonly proxy?: { readonly metadata: Readonly<Record<string, unknown>> };
}

/** Files that a container mounts itself and names in the node's metadata (`ISTIO_META_TLS_SERVER_*`); empty where it names none. */
function serverFiles({ proxy }: MutualTlsInput): { readonly certificate: string; readonly root: string } {
  const text = (name: string): string => {
    const value = proxy?.metadata[name];
    return typeof value === 'string' ? value : '';
  };
  const chain = text('TLS_SERVER_CERT_CHAIN');
  const key = text('TLS_SERVER_KEY');
  const root = text('TLS_SERVER_ROOT_CERT');
  return {
    certificate: chain !== '' && key !== '' ? `file-cert:${chain}~${key}` : '',
    root: root === '' ? '' : `file-root:${root}`,
  };
}

/** Server side of mutual TLS between proxies, with the certificate and roots that the agent serves: the workload's, or those of files. */
export const meshServerTls = memoByInputs(
  (input: MutualTlsInput) => {
    const { certificate, root } = serverFiles(input);
    return [input.mesh, input.trustDomain, certificate, root];
  },
  (input): TransportSocket => {
    const { mesh, trustDomain } = input;
    const files = serverFiles(input);
    return downstreamTls({
      requireClientCertificate: true,
      commonTlsContext: {
        tlsParams: meshParameters(mesh),
        alpnProtocols: [...SERVER_ALPN],
        tlsCertificateSdsSecretConfigs: [agentSecret(files.certificate || 'default')],
        combinedValidationContext: {
          defaultValidationContext: { matchTypedSubjectAltNames: trustedIdentities(mesh, trustDomain) },
          validationContextSdsSecretConfig: files.root === '' ? workloadRoots(mesh) : agentSecret(files.root),
        },
      },
    });
  },
);

/** A transport socket that terminates TLS. */
export const downstreamTls = (context: DownstreamTlsContext): TransportSocket => ({
  name: 'envoy.transport_sockets.tls',
  typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext', context),
});
