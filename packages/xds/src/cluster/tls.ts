import type { MeshConfig } from '@istio-ts/api';
import type {
  CertificateValidationContext,
  Cluster_TransportSocketMatch,
  CommonTlsContext,
  ConfigSource,
  SdsSecretConfig,
  SubjectAltNameMatcher,
  TlsParameters,
  TransportSocket,
  UpstreamTlsContext,
} from '@istio-ts/envoy';
import { isIP } from 'node:net';
import { trustDomainOf } from '@istio-ts/mesh';
import { AGENT_SECRETS, fileSecret } from '../secret/agent-source.ts';
import { caCertificateName, credentialResource } from '../secret/names.ts';
import { workloadRoots } from '../secret/trust-bundle.ts';
import { typed } from '../typed.ts';
import type { ClientTls } from './traffic-policy.ts';

/** Certificates that a container mounts itself and names in the node's metadata (Istio documentation, `ISTIO_META_TLS_CLIENT_*`). */
export interface ClientFiles {
  readonly certificateChain: string;
  readonly privateKey: string;
  readonly rootCertificate: string;
}

/** Where the roots of public certificate authorities are. */
const systemRoots = '/etc/ssl/certs/ca-certificates.crt';

const controlPlane: ConfigSource = { ads: {}, initialFetchTimeout: '0s', resourceApiVersion: 'V3' };

const secret = (name: string, sdsConfig: ConfigSource): SdsSecretConfig => ({ name, sdsConfig });

export const rawBuffer: TransportSocket = {
  name: 'envoy.transport_sockets.raw_buffer',
  typedConfig: typed('envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer', {}),
};

const tlsSocket = (context: UpstreamTlsContext): TransportSocket => ({
  name: 'envoy.transport_sockets.tls',
  typedConfig: typed('envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext', context),
});

/** Which names a peer may present; SPIFFE identities are URIs. */
function sanMatchers(names: readonly string[]): readonly SubjectAltNameMatcher[] {
  return names.map((name) => ({
    sanType: name.includes('://') ? 'URI' : isIP(name) ? 'IP_ADDRESS' : 'DNS',
    matcher: { exact: name },
  }));
}

function meshParameters(mesh: MeshConfig): TlsParameters {
  const curves = mesh.meshMTLS?.ecdhCurves;
  return {
    tlsMinimumProtocolVersion: mesh.meshMTLS?.minProtocolVersion === 'TLSV1_3' ? 'TLSv1_3' : 'TLSv1_2',
    // Envoy as a client stops at 1.2 unless told otherwise.
    tlsMaximumProtocolVersion: 'TLSv1_3',
    ...(curves?.length && { ecdhCurves: curves }),
  };
}

function publicParameters(mesh: MeshConfig): TlsParameters {
  const settings = mesh.tlsDefaults;
  return {
    ...(settings?.minProtocolVersion === 'TLSV1_3' && { tlsMinimumProtocolVersion: 'TLSv1_3' }),
    ...(settings?.minProtocolVersion === 'TLSV1_2' && { tlsMinimumProtocolVersion: 'TLSv1_2' }),
    tlsMaximumProtocolVersion: 'TLSv1_3',
    ...(settings?.cipherSuites?.length && { cipherSuites: settings.cipherSuites }),
    ...(settings?.ecdhCurves?.length && { ecdhCurves: settings.ecdhCurves }),
  };
}

/** The identities in the mesh's trust domain and in each of its aliases: a certificate from before a change of trust domain stays good. */
function withAliases(identities: readonly string[], mesh: MeshConfig): readonly string[] {
  const own = `spiffe://${trustDomainOf(mesh)}/`;
  const aliases = mesh.trustDomainAliases ?? [];
  return identities.flatMap((identity) =>
    identity.startsWith(own)
      ? [identity, ...aliases.map((alias) => `spiffe://${alias}/${identity.slice(own.length)}`)]
      : [identity],
  );
}

/** Whether a container mounts all that mutual TLS takes: then it is used instead of what the agent obtains. */
const isComplete = (files: ClientFiles | undefined): files is ClientFiles =>
  files !== undefined && files.certificateChain !== '' && files.privateKey !== '' && files.rootCertificate !== '';

const fileCertificate = (chain: string, key: string): SdsSecretConfig => fileSecret(`file-cert:${chain}~${key}`);
const fileRoots = (path: string): SdsSecretConfig => fileSecret(`file-root:${path}`);

/** Mutual TLS with the workload's own certificate, both sides known by SPIFFE identities. */
export function meshTls(
  mesh: MeshConfig,
  sni: string,
  identities: readonly string[],
  alpn: readonly string[],
  files: ClientFiles | undefined,
): TransportSocket {
  const own = isComplete(files) ? files : undefined;
  return tlsSocket({
    commonTlsContext: {
      tlsParams: meshParameters(mesh),
      alpnProtocols: alpn,
      tlsCertificateSdsSecretConfigs: [
        own ? fileCertificate(own.certificateChain, own.privateKey) : secret('default', AGENT_SECRETS),
      ],
      combinedValidationContext: {
        defaultValidationContext:
          identities.length > 0 ? { matchTypedSubjectAltNames: sanMatchers(withAliases(identities, mesh)) } : {},
        validationContextSdsSecretConfig: own ? fileRoots(own.rootCertificate) : workloadRoots(mesh),
      },
    },
    sni,
  });
}

/** Mutual TLS for endpoints that say they have a proxy, plain text for the rest. */
export function automaticTls(mutual: TransportSocket, plain: TransportSocket): readonly Cluster_TransportSocketMatch[] {
  return [
    { name: 'tlsMode-istio', match: { tlsMode: 'istio' }, transportSocket: mutual },
    { name: 'tlsMode-disabled', match: {}, transportSocket: plain },
  ];
}

/**
 * Whether the name for SNI comes from each request's host, and whether the certificate is checked against it: not where the user says which names
 * it may have, or wants no check.
 */
export function autoSni(tls: ClientTls, mesh: MeshConfig): 'checked' | 'unchecked' | undefined {
  if (tls.sni) return undefined;
  return !isChecked(tls, mesh) || tls.subjectAltNames?.length ? 'unchecked' : 'checked';
}

/**
 * Whether the peer's certificate is checked: not where the rule says so, nor where it names no roots and the mesh does not want the system's to be
 * used instead (MeshConfig, `verifyCertificateAtClient`).
 */
const isChecked = (tls: ClientTls, mesh: MeshConfig, files?: ClientFiles): boolean =>
  tls.insecureSkipVerify !== true &&
  (mesh.verifyCertificateAtClient !== false ||
    Boolean(tls.credentialName || tls.caCertificates || files?.rootCertificate));

/**
 * TLS as a DestinationRule asks for with SIMPLE or MUTUAL. Certificates come from files of the proxy's container, or as secrets of Kubernetes
 * through the control plane (`credentialName`). Without roots the system's are used.
 */
export function originatedTls(
  tls: ClientTls,
  mesh: MeshConfig,
  alpn: readonly string[],
  files: ClientFiles | undefined,
): TransportSocket {
  const checked = isChecked(tls, mesh, files);
  const names = checked ? sanMatchers(tls.subjectAltNames ?? []) : [];
  const roots = checked ? trustedRoots(tls, files) : undefined;
  const base: CertificateValidationContext = {
    ...(names.length > 0 && { matchTypedSubjectAltNames: names }),
    ...(tls.caCrl && { crl: { filename: tls.caCrl } }),
  };
  const validation: Partial<CommonTlsContext> =
    roots === undefined
      ? {}
      : roots.kind === 'system'
        ? { validationContext: { trustedCa: { filename: systemRoots }, ...base } }
        : {
            combinedValidationContext: {
              defaultValidationContext: base,
              validationContextSdsSecretConfig: roots.secret,
            },
          };
  return tlsSocket({
    commonTlsContext: {
      tlsParams: publicParameters(mesh),
      ...(alpn.length > 0 && { alpnProtocols: alpn }),
      ...clientCertificate(tls, files),
      ...validation,
    },
    ...(tls.sni && { sni: tls.sni }),
  });
}

type Roots = { readonly kind: 'system' } | { readonly kind: 'secret'; readonly secret: SdsSecretConfig };

function trustedRoots(tls: ClientTls, files: ClientFiles | undefined): Roots {
  if (tls.credentialName)
    return {
      kind: 'secret',
      secret: secret(caCertificateName(credentialResource(tls.credentialName)), controlPlane),
    };
  const path = tls.caCertificates || files?.rootCertificate || 'system';
  return path === 'system' || path === systemRoots ? { kind: 'system' } : { kind: 'secret', secret: fileRoots(path) };
}

function clientCertificate(tls: ClientTls, files: ClientFiles | undefined): Partial<CommonTlsContext> {
  if (tls.mode !== 'MUTUAL') return {};
  if (tls.credentialName)
    return { tlsCertificateSdsSecretConfigs: [secret(credentialResource(tls.credentialName), controlPlane)] };
  const chain = tls.clientCertificate || files?.certificateChain;
  const key = tls.privateKey || files?.privateKey;
  return chain && key ? { tlsCertificateSdsSecretConfigs: [fileCertificate(chain, key)] } : {};
}

/**
 * Settings of a rule as they are where the container mounts all that mutual TLS takes: what it mounts comes before the files and Secrets of a rule with
 * MUTUAL, unless `ruleFirst`.
 */
export const withMountedFiles = (tls: ClientTls, files: ClientFiles | undefined, ruleFirst: boolean): ClientTls =>
  tls.mode === 'MUTUAL' && !ruleFirst && isComplete(files)
    ? {
        ...tls,
        credentialName: '',
        clientCertificate: files.certificateChain,
        privateKey: files.privateKey,
        caCertificates: files.rootCertificate,
      }
    : tls;

/** Wraps a socket so that it starts with a PROXY protocol header. */
export function withProxyProtocol(socket: TransportSocket, version: string | undefined): TransportSocket {
  return {
    name: 'envoy.transport_sockets.upstream_proxy_protocol',
    typedConfig: typed('envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport', {
      config: { version: version === 'V2' ? 'V2' : 'V1' },
      transportSocket: socket,
    }),
  };
}
