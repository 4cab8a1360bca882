import { isIP } from 'node:net';
import type { PeerCertificate, SecureContextOptions } from 'node:tls';
import { parseCertificates } from './certificate.ts';

/** Settings of a client that cannot be used; the message names the field. */
export class ClientTlsError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ClientTlsError';
  }
}

/** How a client speaks TLS: the fields of Istio's ClientTLSSettings that are about one connection. Files are of the client's own machine. */
export interface ClientTls {
  readonly mode?: 'DISABLE' | 'SIMPLE' | 'MUTUAL' | 'ISTIO_MUTUAL' | undefined;
  readonly clientCertificate?: string | undefined;
  readonly privateKey?: string | undefined;
  readonly caCertificates?: string | undefined;
  readonly caCrl?: string | undefined;
  readonly sni?: string | undefined;
  readonly subjectAltNames?: readonly string[] | undefined;
  readonly insecureSkipVerify?: boolean | undefined;
}

/** What the settings name, in PEM. */
export interface ClientTlsMaterial {
  readonly cert?: string;
  readonly key?: string;
  /** Undefined: the system's roots. */
  readonly ca?: string;
  readonly crl?: string;
}

/** Options of Node's TLS client. */
export interface ClientTlsOptions {
  readonly tls: SecureContextOptions & {
    readonly rejectUnauthorized?: boolean;
    readonly checkServerIdentity?: (host: string, certificate: PeerCertificate) => Error | undefined;
  };
  /** Sent in the handshake, and what the certificate has to carry when `subjectAltNames` say nothing else; undefined: the host. */
  readonly serverName: string | undefined;
}

/** Reads the files that the settings name. Raises {@link ClientTlsError}. */
export function readClientTlsFiles(settings: ClientTls, readFile: (path: string) => string): ClientTlsMaterial {
  const read = (field: 'clientCertificate' | 'privateKey' | 'caCertificates' | 'caCrl'): string | undefined => {
    const path = settings[field];
    if (!path || (field === 'caCertificates' && path === 'system')) return undefined;
    try {
      return readFile(path);
    } catch (error) {
      throw new ClientTlsError(
        `tlsSettings.${field}: ${path} cannot be read: ${error instanceof Error ? error.message : error}`,
      );
    }
  };
  const [cert, key, ca, crl] = [read('clientCertificate'), read('privateKey'), read('caCertificates'), read('caCrl')];
  return { ...(cert && { cert }), ...(key && { key }), ...(ca && { ca }), ...(crl && { crl }) };
}

/** What Node needs for a connection by these settings. `DISABLE` is for the caller: it needs no TLS. */
export function clientTlsOptions(settings: ClientTls, material: ClientTlsMaterial): ClientTlsOptions {
  const { cert, key, ca, crl } = material;
  const shown = settings.mode === 'SIMPLE' ? {} : { ...(cert && { cert }), ...(key && { key }) };
  const names = settings.subjectAltNames ?? [];
  return {
    tls: {
      minVersion: 'TLSv1.2',
      ...shown,
      ...(ca && { ca }),
      ...(crl && { crl }),
      ...(settings.insecureSkipVerify && { rejectUnauthorized: false, checkServerIdentity: () => undefined }),
      ...(names.length > 0 && {
        checkServerIdentity: (_host: string, { raw }: PeerCertificate) => refuseOtherNames(raw, names),
      }),
    },
    // An address is no name to send (RFC 6066).
    serverName: settings.sni && isIP(settings.sni) === 0 ? settings.sni : undefined,
  };
}

function refuseOtherNames(der: Buffer, wanted: readonly string[]): Error | undefined {
  const [certificate] = parseCertificates(
    `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`,
  );
  const names = certificate?.altNames.map(({ value }) => value) ?? [];
  if (names.some((name) => wanted.includes(name))) return undefined;
  return new Error(
    `its certificate is for ${names.join(', ') || 'nobody'}, tlsSettings.subjectAltNames wants ${wanted.join(' or ')}`,
  );
}
