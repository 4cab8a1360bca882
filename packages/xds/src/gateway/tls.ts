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
import { caCertificateName, credentialResource } from '../secret/names.ts';
import type { Server } from './server.ts';

type ServerTls = NonNullable<Server['tls']>;

const CONTROL_PLANE: ConfigSource = { ads: {}, resourceApiVersion: 'V3' };

/** Secret of a `credentialName`: a Kubernetes secret in the gateway's own namespace, unless the name says where it is. */
const secret = (name: string): SdsSecretConfig => ({ name, sdsConfig: CONTROL_PLANE });

const VERSIONS: Readonly<Record<string, NonNullable<TlsParameters['tlsMinimumProtocolVersion']>>> = {
  TLSV1_0: 'TLSv1_0',
  TLSV1_1: 'TLSv1_1',
  TLSV1_2: 'TLSv1_2',
  TLSV1_3: 'TLSv1_3',
};

function parameters(tls: ServerTls): TlsParameters {
  const maximum = VERSIONS[tls.maxProtocolVersion ?? ''];
  const ciphers = tls.cipherSuites ?? [];
  return {
    tlsMinimumProtocolVersion: VERSIONS[tls.minProtocolVersion ?? ''] ?? 'TLSv1_2',
    ...(maximum !== undefined ? { tlsMaximumProtocolVersion: maximum } : {}),
    ...(ciphers.length > 0 ? { cipherSuites: ciphers } : {}),
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

function clientValidation(tls: ServerTls): Partial<CommonTlsContext> {
  const [firstCredential] = credentials(tls);
  const credential =
    tls.caCertCredentialName !== undefined && tls.caCertCredentialName !== ''
      ? tls.caCertCredentialName
      : firstCredential;
  const rules = clientRules(tls);
  if (credential !== undefined) {
    return {
      combinedValidationContext: {
        defaultValidationContext: rules,
        validationContextSdsSecretConfig: secret(caCertificateName(credentialResource(credential))),
      },
    };
  }
  return {
    validationContext: {
      ...rules,
      ...(tls.caCertificates !== undefined && tls.caCertificates !== ''
        ? { trustedCa: { filename: tls.caCertificates } }
        : {}),
      ...(tls.caCrl !== undefined && tls.caCrl !== '' ? { crl: { filename: tls.caCrl } } : {}),
    },
  };
}

const credentials = (tls: ServerTls): readonly string[] =>
  tls.credentialName !== undefined && tls.credentialName !== '' ? [tls.credentialName] : (tls.credentialNames ?? []);

function serverCertificates(tls: ServerTls): Partial<CommonTlsContext> {
  const names = credentials(tls);
  if (names.length > 0) {
    return { tlsCertificateSdsSecretConfigs: names.map((n) => secret(credentialResource(n))) };
  }
  const files = (tls.tlsCertificates ?? []).length > 0 ? (tls.tlsCertificates ?? []) : [tls];
  return {
    tlsCertificates: files.map((f) => ({
      certificateChain: { filename: f.serverCertificate },
      privateKey: { filename: f.privateKey },
    })),
  };
}

/** The transport socket of a server that terminates TLS. */
export function serverTls(
  tls: ServerTls,
  http: boolean,
  mesh: ProxyScope['mesh'],
  trustDomain: string,
): TransportSocket {
  const mode = tls.mode ?? 'SIMPLE';
  if (mode === 'ISTIO_MUTUAL') {
    return meshServerTls({ mesh, trustDomain });
  }
  const asksForCertificate = mode === 'MUTUAL' || mode === 'OPTIONAL_MUTUAL';
  const context: DownstreamTlsContext = {
    commonTlsContext: {
      tlsParams: parameters(tls),
      ...(http ? { alpnProtocols: ['h2', 'http/1.1'] } : {}),
      ...serverCertificates(tls),
      ...(asksForCertificate && tls.insecureSkipVerify !== true ? clientValidation(tls) : {}),
    },
    requireClientCertificate: mode === 'MUTUAL',
  };
  return downstreamTls(context);
}
