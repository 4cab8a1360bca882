import { createCsr } from '@istio-ts/security/csr';
import { certificatePem, describeCertificate, parseCertificates } from '@istio-ts/security/certificate';
import { exportPrivateKey, generatePrivateKey } from '@istio-ts/security/keys';
import { CaClientError, requestCertificate } from './ca-client.ts';
import type { CaClientOptions } from './ca-client.ts';
import type { CertificateSettings } from '../environment.ts';
import type { FetchModule } from '../extensions/fetch-module.ts';

/** What the agent asks its certificate helper; JSON on the helper's standard input. */
export type HelperRequest =
  | {
      readonly kind: 'obtain';
      readonly ca: CaClientOptions;
      /** SPIFFE id, the name in the request. */
      readonly identity: string;
      readonly keyAlgorithm: CertificateSettings['keyAlgorithm'];
      readonly pkcs8: boolean;
      readonly ttlSeconds: number;
      /** Further trust anchors, PEM. */
      readonly extraRoots: readonly string[];
    }
  | { readonly kind: 'describe'; readonly pem: string }
  /** The bootstrap with what the control plane adds to it, an encoded message in base64. */
  | { readonly kind: 'bootstrap'; readonly bootstrap: object; readonly additions: string }
  /** A WebAssembly module that a filter needs. */
  | ({ readonly kind: 'module' } & FetchModule);

/** A certificate in words. Times in milliseconds since 1970. */
export interface CertificateSummary {
  readonly subject: string;
  readonly serial: string;
  readonly spiffe: string | undefined;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The helper's answer; JSON on its standard output. */
export type HelperResponse =
  | {
      readonly kind: 'obtained';
      readonly chain: string;
      readonly key: string;
      readonly root: string;
      readonly summary: CertificateSummary;
    }
  | { readonly kind: 'described'; readonly summary: CertificateSummary }
  | { readonly kind: 'fetched'; readonly file: string }
  | { readonly kind: 'merged'; readonly bootstrap: object }
  | { readonly kind: 'failed'; readonly message: string; readonly retryable: boolean };

/** Serves one request. Never raises. */
export async function serveHelperRequest(request: HelperRequest): Promise<HelperResponse> {
  try {
    switch (request.kind) {
      case 'describe':
        return { kind: 'described', summary: summarize(request.pem) };
      case 'bootstrap': {
        const { mergeBootstrap } = await import('../bootstrap/merge.ts');
        return { kind: 'merged', bootstrap: mergeBootstrap(request.bootstrap, request.additions) };
      }
      case 'module': {
        const { fetchModule } = await import('../extensions/fetch-module.ts');
        return { kind: 'fetched', file: await fetchModule(request) };
      }
      case 'obtain': {
        const key = generatePrivateKey(request.keyAlgorithm);
        const csr = createCsr(key, [{ kind: 'uri', value: request.identity }]);
        const chain = await requestCertificate(request.ca, csr, request.ttlSeconds);
        return {
          kind: 'obtained',
          chain: chain
            .slice(0, -1)
            .map((pem) => (pem.endsWith('\n') ? pem : `${pem}\n`))
            .join(''),
          key: exportPrivateKey(key, request.pkcs8),
          root: mergeRoots([chain.at(-1) ?? '', ...request.extraRoots]),
          summary: summarize(chain[0] ?? ''),
        };
      }
    }
  } catch (error) {
    return {
      kind: 'failed',
      message: error instanceof Error ? error.message : String(error),
      retryable: !(error instanceof CaClientError) || error.retryable,
    };
  }
}

function summarize(pem: string): CertificateSummary {
  const { subject, serial, spiffe, notBefore, notAfter } = describeCertificate(pem);
  return { subject, serial, spiffe, notBefore: notBefore.getTime(), notAfter: notAfter.getTime() };
}

/** One bundle without doubles. */
function mergeRoots(bundles: readonly string[]): string {
  const seen = new Map<string, string>();
  for (const bundle of bundles)
    for (const root of parseCertificates(bundle)) seen.set(root.fingerprint, certificatePem(root.der));
  return [...seen.values()].join('');
}
