import type {
  CertificateValidationContext,
  CommonTlsContext,
  ConfigSource,
  DownstreamTlsContext,
  SdsSecretConfig,
  TlsParameters,
  TransportSocket,
} from '@istio-ts/envoy';
import type { ProxyScope } from '@istio-ts/mesh/model';
import { downstreamTls, meshServerTls } from '../listener/tls.ts';
import { fileSecret } from '../secret/agent-source.ts';
import { caCertificateName, credentialResource } from '../secret/names.ts';
import { typed } from '../typed.ts';
import type { Server } from './server.ts';

type ServerTls = NonNullable<Server['tls']>;

const CONTROL_PLANE: ConfigSource = { ads: {}, resourceApiVersion: 'V3' };

/** A sidecar has one listener for all ports: a Secret that is not there must not keep the others waiting. */
const CONTROL_PLANE_IF_SOON: ConfigSource = { ...CONTROL_PLANE, initialFetchTimeout: '2s' };

/** Secret of a `credentialName`: a Kubernetes secret in the proxy's own namespace, unless the name says where it is. */
const secret = (name: string, at: ConfigSource): SdsSecretConfig => ({ name, sdsConfig: at });

const VERSIONS: Readonly<Record<string, NonNullable<TlsParameters['tlsMinimumProtocolVersion']>>> = {
  TLSV1_0: 'TLSv1_0',
  TLSV1_1: 'TLSv1_1',
  TLSV1_2: 'TLSv1_2',
  TLSV1_3: 'TLSv1_3',
};

/** Settings of the server, then those of `meshConfig.tlsDefaults`. */
function parameters(tls: ServerTls, defaults: ProxyScope['mesh']['tlsDefaults']): TlsParameters {
  const maximum = VERSIONS[tls.maxProtocolVersion ?? ''];
  const own = tls.cipherSuites ?? [];
  const ciphers = own.length > 0 ? own : (defaults?.cipherSuites ?? []);
  const curves = defaults?.ecdhCurves ?? [];
  return {
    tlsMinimumProtocolVersion:
      VERSIONS[tls.minProtocolVersion ?? ''] ?? VERSIONS[defaults?.minProtocolVersion ?? ''] ?? 'TLSv1_2',
    ...(maximum !== undefined ? { tlsMaximumProtocolVersion: maximum } : {}),
    ...(ciphers.length > 0 ? { cipherSuites: ciphers } : {}),
    ...(curves.length > 0 ? { ecdhCurves: curves } : {}),
  };
}

/** Which clients' certificates are admitted beside their being signed by the CA. */
function clientRules(tls: ServerTls): CertificateValidationContext {
  const names = tls.subjectAltNames ?? [];
  return {
    ...(names.length > 0
      ? {
          matchTypedSubjectAltNames: names.flatMap((name) =>
            (['DNS', 'URI'] as const).map((sanType) => ({
              sanType,
              matcher: name.startsWith('*') ? { suffix: name.slice(1) } : { exact: name },
            })),
          ),
        }
      : {}),
    ...((tls.verifyCertificateSpki ?? []).length > 0 ? { verifyCertificateSpki: tls.verifyCertificateSpki } : {}),
    ...((tls.verifyCertificateHash ?? []).length > 0 ? { verifyCertificateHash: tls.verifyCertificateHash } : {}),
  };
}

/** Files of roots stand beside the server's certificate or beside one of several. */
const rootsFile = (tls: ServerTls): string =>
  tls.caCertificates || (tls.tlsCertificates ?? []).find((one) => one.caCertificates)?.caCertificates || '';

function clientValidation(tls: ServerTls, at: ConfigSource): Partial<CommonTlsContext> {
  const [firstCredential] = credentials(tls);
  const credential = tls.caCertCredentialName || firstCredential;
  return {
    combinedValidationContext: {
      defaultValidationContext: {
        ...clientRules(tls),
        ...(tls.caCrl !== undefined && tls.caCrl !== '' ? { crl: { filename: tls.caCrl } } : {}),
      },
      // Without any roots this stays a secret that never comes: nobody is admitted, where Envoy alone would not even ask for a certificate.
      validationContextSdsSecretConfig:
        credential === undefined
          ? fileSecret(`file-root:${rootsFile(tls)}`)
          : secret(caCertificateName(credentialResource(credential)), at),
    },
  };
}

const credentials = (tls: ServerTls): readonly string[] =>
  tls.credentialName !== undefined && tls.credentialName !== '' ? [tls.credentialName] : (tls.credentialNames ?? []);

function serverCertificates(tls: ServerTls, at: ConfigSource): Partial<CommonTlsContext> {
  const names = credentials(tls);
  if (names.length > 0) {
    return { tlsCertificateSdsSecretConfigs: names.map((n) => secret(credentialResource(n), at)) };
  }
  const files = (tls.tlsCertificates ?? []).length > 0 ? (tls.tlsCertificates ?? []) : [tls];
  return {
    tlsCertificateSdsSecretConfigs: files.map((f) =>
      fileSecret(`file-cert:${f.serverCertificate ?? ''}~${f.privateKey ?? ''}`),
    ),
  };
}

/**
 * Clients have to show a certificate, whoever signed it. Envoy asks for one only where it has roots: those that are named, else the mesh's. What they
 * say about names is not looked at either (ServerTLSSettings, `insecureSkipVerify`).
 */
function anyCertificate(tls: ServerTls, at: ConfigSource): Partial<CommonTlsContext> {
  const { matchTypedSubjectAltNames: _names, ...rules } = clientRules(tls);
  const roots =
    tls.caCertCredentialName !== undefined && tls.caCertCredentialName !== ''
      ? secret(caCertificateName(credentialResource(tls.caCertCredentialName)), at)
      : fileSecret(rootsFile(tls) === '' ? 'ROOTCA' : `file-root:${rootsFile(tls)}`);
  return {
    combinedValidationContext: {
      defaultValidationContext: { ...rules, trustChainVerification: 'ACCEPT_UNTRUSTED' },
      validationContextSdsSecretConfig: roots,
    },
  };
}

function terminatingTls(
  tls: ServerTls,
  alpn: readonly string[],
  mesh: ProxyScope['mesh'],
  at: ConfigSource,
): DownstreamTlsContext {
  const mode = tls.mode ?? 'SIMPLE';
  const asksForCertificate = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  return {
    commonTlsContext: {
      tlsParams: parameters(tls, mesh.tlsDefaults),
      ...(alpn.length > 0 ? { alpnProtocols: alpn } : {}),
      ...serverCertificates(tls, at),
      ...(asksForCertificate
        ? tls.insecureSkipVerify === true
          ? anyCertificate(tls, at)
          : clientValidation(tls, at)
        : {}),
    },
    requireClientCertificate: mode === 'MUTUAL',
    // Names that no certificate has get the one that the client understands too, and not just the first.
    ...(Math.max(credentials(tls).length, tls.tlsCertificates?.length ?? 0) > 1
      ? { fullScanCertsOnSniMismatch: true }
      : {}),
  };
}

const endsTls = (
  tls: ServerTls,
  http: boolean,
  mesh: ProxyScope['mesh'],
  trustDomain: string,
  at: ConfigSource,
): TransportSocket =>
  tls.mode === 'ISTIO_MUTUAL'
    ? meshServerTls({ mesh, trustDomain })
    : downstreamTls(terminatingTls(tls, http ? ['h2', 'http/1.1'] : [], mesh, at));

/** The transport socket of a server that terminates TLS. */
export const serverTls = (
  tls: ServerTls,
  http: boolean,
  mesh: ProxyScope['mesh'],
  trustDomain: string,
): TransportSocket => endsTls(tls, http, mesh, trustDomain, CONTROL_PLANE);

/** The transport socket of a port at which a sidecar ends TLS for its workload (Sidecar, `ingress[].tls`). */
export const sidecarTls = (
  tls: ServerTls,
  http: boolean,
  mesh: ProxyScope['mesh'],
  trustDomain: string,
): TransportSocket => endsTls(tls, http, mesh, trustDomain, CONTROL_PLANE_IF_SOON);

/** The transport socket of the same server for HTTP/3; QUIC brings TLS 1.3 with it and negotiates nothing below. */
export function quicTls(tls: ServerTls, mesh: ProxyScope['mesh']): TransportSocket {
  const { tlsParams: _parameters, ...common } = terminatingTls(tls, ['h3'], mesh, CONTROL_PLANE).commonTlsContext ?? {};
  return {
    name: 'envoy.transport_sockets.quic',
    typedConfig: typed('envoy.extensions.transport_sockets.quic.v3.QuicDownstreamTransport', {
      downstreamTlsContext: { commonTlsContext: common },
    }),
  };
}
