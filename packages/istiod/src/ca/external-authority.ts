import { parseDuration } from '@istio-ts/api/duration';
import type { MeshConfig } from '@istio-ts/api';
import { decode, encode } from '@istio-ts/envoy';
import { type GrpcChannel, GrpcError, openGrpcChannel } from '@istio-ts/envoy/grpc';
import {
  type ClientTlsMaterial,
  clientTlsOptions,
  type ClientTlsOptions,
  formatSpiffe,
  readClientTlsFiles,
} from '@istio-ts/security';
import type { Logger } from '../log.ts';
import { examineIssued, requestedKey, requestedLifetime } from './registration.ts';
import type { CaSigner } from './service.ts';

export type ExternalAuthoritySettings = NonNullable<MeshConfig['ca']>;

const METHOD = '/istio.v1.auth.IstioCertificateService/CreateCertificate';
const DEFAULT_TIMEOUT_MS = 10_000;
/** Chains are short; whoever sends more is no CA. */
const MAX_RESPONSE = 1 << 20;

/** Whether istiod passes requests on to another authority (MeshConfig `ca`, whose `istiodSide` is true unless it says otherwise). */
export const forwardsRequests = (ca: MeshConfig['ca']): ca is ExternalAuthoritySettings =>
  ca !== undefined && ca.istiodSide !== false;

export interface ExternalAuthorityOptions {
  /** `ca` of the mesh configuration as it is now; undefined where it names none. */
  readonly settings: () => ExternalAuthoritySettings | undefined;
  readonly defaultTtlMs: number;
  readonly maxTtlMs: number;
  readonly readFile: (path: string) => string;
  /** A Secret of istiod's namespace with the keys that gateways know (`credentialName`). Raises when it is not there. */
  readonly readSecret: (name: string) => Promise<ClientTlsMaterial>;
  /** istiod's own certificate of the mesh with the mesh's roots (ISTIO_MUTUAL). */
  readonly ownMaterial: () => ClientTlsMaterial;
  /** Changes when that has to be asked for again. */
  readonly ownVersion: () => string;
  /** istiod's service account token, audience istio-ca; undefined where there is none. */
  readonly token: () => string | undefined;
  readonly clusterId: string;
  /** The authority answered with trust anchors (PEM) that it did not have before. */
  readonly onRoots: (pem: string) => void;
  readonly log: Logger;
}

/**
 * istiod as registration authority of a CA that speaks Istio's own protocol (MeshConfig `ca`): it authenticates workloads and passes their requests on.
 * The CA takes the name out of the request, so this must ask for exactly the identity that was proved. The connection stays open until the settings or
 * what they name changes. `sign` raises GrpcError of the CA's status, or UNAVAILABLE.
 */
export function createExternalAuthority(options: ExternalAuthorityOptions): CaSigner & { close(): void } {
  let open: { readonly key: string; readonly channel: GrpcChannel } | undefined;
  let said = '';

  const connect = async (settings: ExternalAuthoritySettings): Promise<GrpcChannel> => {
    const { host, port } = addressOf(settings.address);
    const tls = settings.tlsSettings ?? {};
    const plain = tls.mode === 'DISABLE';
    const isOwn = tls.mode === 'ISTIO_MUTUAL';
    const named = plain || isOwn ? {} : await namedMaterial(tls, options);
    const key = JSON.stringify([settings.address, tls, named, isOwn ? options.ownVersion() : '']);
    if (open?.key === key) return open.channel;
    const material = isOwn ? options.ownMaterial() : named;
    open?.channel.close();
    const channel = openGrpcChannel(
      plain ? { kind: 'tcp', host, port } : { kind: 'tls', host, port, ...secured(clientTlsOptions(tls, material)) },
      { maxReceiveBytes: MAX_RESPONSE, connectTimeoutMs: timeoutOf(settings), keepaliveMs: 30_000 },
    );
    open = { key, channel };
    if (said !== settings.address) options.log.info(`certificates of workloads come from the CA ${settings.address}`);
    said = settings.address ?? '';
    return channel;
  };

  return {
    async sign(request) {
      const settings = options.settings();
      if (settings === undefined)
        throw new GrpcError('FAILED_PRECONDITION', 'another CA gives the certificates, but meshConfig.ca names none');
      const ttlMs = requestedLifetime(request.ttl, options);
      const subject = formatSpiffe(request.identity);
      const publicKeyInfo = requestedKey(request.csr, subject);
      let chain: readonly string[];
      try {
        const channel = await connect(settings);
        const token = settings.tlsSettings?.mode === 'DISABLE' ? undefined : options.token();
        const answer = await channel.unary(
          METHOD,
          encode('istio.v1.auth.IstioCertificateRequest', {
            csr: request.csr,
            validityDuration: String(Math.round(ttlMs / 1000)),
            metadata: {
              // For CAs that give certificates for the caller and not for the name in the request.
              ImpersonatedIdentity: subject,
              ...(request.certSigner !== undefined && { CertSigner: request.certSigner }),
            },
          }),
          {
            timeoutMs: timeoutOf(settings),
            metadata: { clusterid: options.clusterId, ...(token && { authorization: `Bearer ${token}` }) },
          },
        );
        chain = decode('istio.v1.auth.IstioCertificateResponse', answer).certChain ?? [];
      } catch (error) {
        const status = error instanceof GrpcError ? error.status : 'UNAVAILABLE';
        // What the CA thinks of istiod says nothing about the workload, which was authenticated.
        throw new GrpcError(
          status === 'UNAUTHENTICATED' || status === 'PERMISSION_DENIED' ? 'FAILED_PRECONDITION' : status,
          `the CA ${settings.address} gave no certificate (${status}): ${error instanceof Error ? error.message : error}`,
        );
      }
      try {
        if (chain.length < 2) throw new Error('it came without the root that it leads to');
        const issued = examineIssued(chain.slice(0, -1).map(ended).join(''), {
          subject,
          publicKeyInfo,
          now: request.now,
          roots: ended(chain.at(-1) ?? ''),
        });
        options.onRoots(issued.root);
        return issued;
      } catch (error) {
        throw new GrpcError(
          'INTERNAL',
          `the certificate of the CA ${settings.address} cannot be used: ${error instanceof Error ? error.message : error}`,
        );
      }
    },
    close: () => open?.channel.close(),
  };
}

const ended = (pem: string): string => (pem.endsWith('\n') ? pem : `${pem}\n`);

const secured = ({ tls, serverName }: ClientTlsOptions) => ({ tls, ...(serverName !== undefined && { serverName }) });

function timeoutOf({ requestTimeout }: ExternalAuthoritySettings): number {
  return requestTimeout === undefined ? DEFAULT_TIMEOUT_MS : parseDuration(requestTimeout);
}

/** Parts of `HOST:PORT`; hosts that are IPv6 addresses stand in brackets. Raises GrpcError FAILED_PRECONDITION. */
function addressOf(address: string | undefined): { readonly host: string; readonly port: number } {
  const [, host = '', port = ''] = /^\[?([^[\]]*)\]?:(\d{1,5})$/.exec(address ?? '') ?? [];
  if (host === '' || Number(port) < 1 || Number(port) > 65_535)
    throw new GrpcError('FAILED_PRECONDITION', `meshConfig.ca.address: "${address ?? ''}" is not HOST:PORT`);
  return { host, port: Number(port) };
}

async function namedMaterial(
  tls: NonNullable<ExternalAuthoritySettings['tlsSettings']>,
  { readFile, readSecret }: ExternalAuthorityOptions,
): Promise<ClientTlsMaterial> {
  if (!tls.credentialName) return readClientTlsFiles(tls, readFile);
  try {
    return { ...(await readSecret(tls.credentialName)), ...readClientTlsFiles({ caCrl: tls.caCrl }, readFile) };
  } catch (error) {
    throw new GrpcError(
      'FAILED_PRECONDITION',
      `tlsSettings.credentialName: Secret ${tls.credentialName}: ${error instanceof Error ? error.message : error}`,
    );
  }
}
