import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openGrpcChannel } from '@istio-ts/envoy/grpc/client';
import { GrpcError } from '@istio-ts/envoy/grpc/status';
import {
  ClientTlsError,
  clientTlsOptions,
  readClientTlsFiles,
  type ClientTls,
  type ClientTlsOptions,
} from '@istio-ts/security/client-tls';
import { hostOf, portOf } from '../environment.ts';
import { decodeCertificateResponse, encodeCertificateRequest } from '../sds/messages.ts';

/** Thrown when no certificate could be had. `retryable` is false when asking again with the same words cannot help. */
export class CaClientError extends Error {
  readonly retryable: boolean;
  constructor(message: string, retryable: boolean) {
    super(message);
    this.name = 'CaClientError';
    this.retryable = retryable;
  }
}

export interface CaClientOptions {
  /** `host:port`; port 15010 and 8060 of Istio's plain-text set-ups are not spoken to. */
  readonly address: string;
  readonly serverName: string;
  readonly rootFile: string;
  /** Instead of `rootFile`: how the mesh configuration wants this CA to be spoken to. */
  readonly tls?: ClientTls | undefined;
  readonly tokenFile: string;
  /** Folder with a certificate that proves the workload (PROV_CERT): `cert-chain.pem` and `key.pem`. Then a token is shown only where there is one. */
  readonly provisioned: string;
  readonly clusterId: string;
  readonly certSigner: string;
  readonly timeoutMs: number;
}

/**
 * Has a request signed by the CA (`istio.v1.auth.IstioCertificateService`). The pod proves who it is by its service account
 * token, which is read anew each time because the kubelet renews it, or by a certificate that was put into it. Gives the chain, certificate first and root last.
 * Raises {@link CaClientError}.
 */
export async function requestCertificate(
  options: CaClientOptions,
  csr: string,
  ttlSeconds: number,
): Promise<readonly string[]> {
  const own = options.provisioned === '' ? undefined : readProvisioned(options.provisioned);
  const token = own === undefined ? readNeeded(options.tokenFile, 'service account token').trim() : readToken(options);
  const { tls, serverName } = options.tls === undefined ? byRoot(options) : bySettings(options.tls, options);
  const channel = openGrpcChannel(
    {
      kind: 'tls',
      host: hostOf(options.address),
      port: portOf(options.address, 15012),
      serverName,
      tls: { ...tls, ...own },
    },
    { connectTimeoutMs: options.timeoutMs, maxReceiveBytes: 1 << 20 },
  );
  try {
    const response = await channel.unary(
      '/istio.v1.auth.IstioCertificateService/CreateCertificate',
      encodeCertificateRequest(csr, ttlSeconds, options.certSigner === '' ? {} : { CertSigner: options.certSigner }),
      {
        metadata: { ...(token !== '' && { authorization: `Bearer ${token}` }), clusterid: options.clusterId },
        timeoutMs: options.timeoutMs,
      },
    );
    const chain = decodeCertificateResponse(response);
    if (chain.length < 2)
      throw new CaClientError(
        `the CA ${options.address} answered with ${chain.length} certificates, at least a certificate and a root are needed`,
        true,
      );
    return chain;
  } catch (error) {
    if (error instanceof CaClientError) throw error;
    const status = error instanceof GrpcError ? error.status : 'UNKNOWN';
    const reason = error instanceof Error ? error.message : String(error);
    // Unauthenticated is worth trying again: the token may be renewed, or the API server not be reachable for istiod yet.
    throw new CaClientError(
      `the CA ${options.address} gave no certificate (${status}: ${reason})`,
      status !== 'INVALID_ARGUMENT',
    );
  } finally {
    channel.close();
  }
}

interface Connection {
  readonly tls: ClientTlsOptions['tls'];
  readonly serverName: string;
}

function byRoot({ rootFile, serverName }: CaClientOptions): Connection {
  const ca = rootFile === 'SYSTEM' ? undefined : readNeeded(rootFile, 'root certificate of the CA');
  return { tls: { ca, minVersion: 'TLSv1.2' }, serverName };
}

function bySettings(settings: ClientTls, options: CaClientOptions): Connection {
  try {
    const material = readClientTlsFiles(settings, (path) => readFileSync(path, 'utf8'));
    const { tls, serverName } = clientTlsOptions(settings, material);
    return { tls, serverName: serverName ?? options.serverName };
  } catch (error) {
    if (error instanceof ClientTlsError) throw new CaClientError(error.message, true);
    throw error;
  }
}

function readToken({ tokenFile }: CaClientOptions): string {
  try {
    return readFileSync(tokenFile, 'utf8').trim();
  } catch {
    // Its own certificate says who it is; the token is an addition.
    return '';
  }
}

/** Undefined where nothing is provisioned yet: then a token gets the first certificate. */
function readProvisioned(folder: string): { readonly cert: string; readonly key: string } | undefined {
  if (!existsSync(join(folder, 'cert-chain.pem'))) return undefined;
  return {
    cert: readNeeded(join(folder, 'cert-chain.pem'), 'provisioned certificate'),
    key: readNeeded(join(folder, 'key.pem'), 'key of the provisioned certificate'),
  };
}

function readNeeded(path: string, what: string): string {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.trim() !== '') return text;
  } catch (error) {
    throw new CaClientError(
      `${what} ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      true,
    );
  }
  throw new CaClientError(`${what} ${path} is empty`, true);
}
