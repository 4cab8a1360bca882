import { DecodeError, decode, encode } from '@istio-ts/envoy';
import { GrpcError, type MethodHandler, type ServerCall } from '@istio-ts/envoy/grpc';
import {
  CsrError,
  formatSpiffe,
  type IssuedCertificate,
  parseSpiffe,
  type SigningRequest,
  type SpiffeIdentity,
  SpiffeError,
  type TokenReviewResult,
  type WorkloadSubject,
} from '@istio-ts/security';
import { bearerToken } from '../grpc/bearer-token.ts';
import type { Logger } from '../log.ts';
import type { CaMetrics } from '../metrics/pilot.ts';

const MAX_CSR_LENGTH = 32 * 1024;

/** Who asks for a certificate, as proved, and what helps to find its pod. */
export interface CaCaller {
  readonly identity: SpiffeIdentity;
  /** From a token bound to a pod. */
  readonly podName: string | undefined;
  readonly podUid: string | undefined;
  /** The address that the request came from: the pod's, unless something stands between. */
  readonly remoteAddress: string;
}

/** What is to be signed, and by whom. */
export interface CaSigningRequest extends SigningRequest {
  /** The signer that the proxy names (ISTIO_META_CERT_SIGNER); only a registration authority knows several. */
  readonly certSigner?: string | undefined;
}

/** istiod's own authority, or what stands between istiod and another one. */
export interface CaSigner {
  /** Raises CsrError for a bad request or lifetime, SpiffeError for a bad identity, GrpcError for what another authority says. */
  sign(request: CaSigningRequest): IssuedCertificate | Promise<IssuedCertificate>;
}

export interface CaServiceOptions {
  /** The authority that signs now; asked for at every request because its root may be rotated. */
  readonly authority: () => CaSigner;
  readonly trustDomain: string;
  /** Other names of the mesh's trust domain (MeshConfig.trustDomainAliases). */
  readonly trustDomainAliases?: () => readonly string[];
  /** Whose token this is (audience istio-ca). */
  readonly authenticateToken: (token: string) => Promise<TokenReviewResult>;
  /**
   * Why the caller may not have certificates of another workload (request metadata ImpersonatedIdentity); undefined when it may. Proxies of nodes ask
   * for those of the node's pods. Without it nobody may.
   */
  readonly refuseImpersonation?: (caller: CaCaller, identity: SpiffeIdentity) => string | undefined;
  /** Counts requests; false for a caller that has had its share. */
  readonly admits?: (caller: CaCaller) => boolean;
  /** What the control plane knows of the caller's workload, for the certificate's subject; never what the request says. */
  readonly subject: (caller: CaCaller) => WorkloadSubject | undefined;
  readonly metrics: CaMetrics;
  readonly log: Logger;
  readonly now: () => Date;
}

/** The gRPC service by which agents get their workload's certificate (istio.v1.auth.IstioCertificateService). */
export function createCaService(options: CaServiceOptions): Readonly<Record<string, MethodHandler>> {
  return {
    '/istio.v1.auth.IstioCertificateService/CreateCertificate': {
      kind: 'unary',
      handle: (request, call) => createCertificate(request, call, options),
    },
  };
}

async function createCertificate(bytes: Buffer, call: ServerCall, options: CaServiceOptions): Promise<Uint8Array> {
  const { metrics, log } = options;
  metrics.csrs.add();
  let caller: CaCaller;
  try {
    caller = await authenticate(call, options);
  } catch (error) {
    metrics.authenticationFailures.add({ error: error instanceof GrpcError ? error.status : 'INTERNAL' });
    log.warn(`certificate request from ${call.peer.remoteAddress}: ${error instanceof Error ? error.message : error}`);
    throw error;
  }
  if (options.admits?.(caller) === false)
    throw new GrpcError('RESOURCE_EXHAUSTED', 'too many certificate requests of this workload: come again later');
  const request = readRequest(bytes, metrics);
  const wanted = request.metadata?.ImpersonatedIdentity;
  if (wanted !== undefined) caller = impersonated(caller, wanted, options);
  const certSigner = request.metadata?.CertSigner;
  const ttl = Number(request.validityDuration ?? 0) * 1000;
  try {
    const issued = await options.authority().sign({
      csr: request.csr ?? '',
      identity: caller.identity,
      subject: options.subject(caller),
      ttl: ttl > 0 ? ttl : undefined,
      now: options.now(),
      certSigner: typeof certSigner === 'string' && certSigner !== '' ? certSigner : undefined,
    });
    metrics.issued.add();
    log.debug(`signed a certificate for ${formatSpiffe(caller.identity)} until ${issued.notAfter.toISOString()}`);
    return encode('istio.v1.auth.IstioCertificateResponse', { certChain: issued.response });
  } catch (error) {
    if (error instanceof CsrError) {
      metrics.csrParsingErrors.add();
      throw new GrpcError('INVALID_ARGUMENT', error.message);
    }
    if (error instanceof SpiffeError) {
      metrics.identityErrors.add();
      throw new GrpcError('INVALID_ARGUMENT', error.message);
    }
    metrics.signErrors.add();
    if (error instanceof GrpcError) log.warn(`${formatSpiffe(caller.identity)} got no certificate: ${error.message}`);
    throw error;
  }
}

/** The caller in the place of the workload that it asks for. Raises GrpcError PERMISSION_DENIED. */
function impersonated(caller: CaCaller, wanted: unknown, options: CaServiceOptions): CaCaller {
  const refuse = (reason: string): never => {
    options.metrics.authenticationFailures.add({ error: 'PERMISSION_DENIED' });
    options.log.warn(`${formatSpiffe(caller.identity)} asks for a certificate of another workload: ${reason}`);
    throw new GrpcError('PERMISSION_DENIED', reason);
  };
  if (options.refuseImpersonation === undefined)
    return refuse('certificates are given for the identity that asks only');
  let identity: SpiffeIdentity;
  try {
    identity = parseSpiffe(String(wanted));
  } catch (error) {
    if (error instanceof SpiffeError) return refuse(error.message);
    throw error;
  }
  if (identity.trustDomain !== options.trustDomain)
    return refuse(`${identity.trustDomain} is not the trust domain of this mesh`);
  const reason = options.refuseImpersonation(caller, identity);
  if (reason !== undefined) return refuse(reason);
  // Nothing is known of the pod: a node's proxy asks once for all pods of an account.
  return { identity, podName: undefined, podUid: undefined, remoteAddress: '' };
}

type CertificateRequest = ReturnType<typeof decode<'istio.v1.auth.IstioCertificateRequest'>>;

function readRequest(bytes: Buffer, metrics: CaMetrics): CertificateRequest {
  let request: CertificateRequest;
  try {
    request = decode('istio.v1.auth.IstioCertificateRequest', bytes);
  } catch (error) {
    metrics.csrParsingErrors.add();
    if (error instanceof DecodeError) throw new GrpcError('INVALID_ARGUMENT', error.message);
    throw error;
  }
  if ((request.csr ?? '').length > MAX_CSR_LENGTH) {
    metrics.csrParsingErrors.add();
    throw new GrpcError('INVALID_ARGUMENT', `the certificate request is longer than ${MAX_CSR_LENGTH} characters`);
  }
  return request;
}

/** A token first (it may name the pod), else the certificate that is to be renewed. Raises GrpcError UNAUTHENTICATED. */
async function authenticate(call: ServerCall, options: CaServiceOptions): Promise<CaCaller> {
  const remoteAddress = call.peer.remoteAddress.replace(/^::ffff:/, '');
  const token = bearerToken(call);
  let refusal = 'show a service account token or the client certificate to renew';
  let unavailable = false;
  if (token !== undefined) {
    const result = await options.authenticateToken(token).catch((error: Error) => {
      // While the API server is away, whoever still has a certificate can renew it.
      unavailable = true;
      return { authenticated: false, reason: `it cannot be checked now: ${error.message}` } as const;
    });
    if (result.authenticated) {
      const { namespace, serviceAccount, podName, podUid } = result;
      return {
        identity: { trustDomain: options.trustDomain, namespace, serviceAccount },
        podName,
        podUid,
        remoteAddress,
      };
    }
    refusal = `the token was not accepted: ${result.reason}`;
  }
  for (const uri of call.peer.uris) {
    try {
      const identity = parseSpiffe(uri);
      // Meshes may share a root: a workload of another one is nobody here.
      const known = [options.trustDomain, ...(options.trustDomainAliases?.() ?? [])];
      if (!known.includes(identity.trustDomain)) {
        refusal += `; the client certificate is of another trust domain: ${identity.trustDomain}`;
        continue;
      }
      return {
        identity: { ...identity, trustDomain: options.trustDomain },
        podName: undefined,
        podUid: undefined,
        remoteAddress,
      };
    } catch (error) {
      if (!(error instanceof SpiffeError)) throw error;
    }
  }
  if (call.peer.certificateError !== undefined)
    refusal += `; the client certificate does not verify: ${call.peer.certificateError}`;
  throw new GrpcError(unavailable ? 'UNAVAILABLE' : 'UNAUTHENTICATED', refusal);
}
