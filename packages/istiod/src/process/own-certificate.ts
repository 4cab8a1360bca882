import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  createCsr,
  exportPrivateKey,
  generatePrivateKey,
  importPrivateKey,
  parseCertificates,
} from '@istio-ts/security';
import { publicKeyInfo } from '@istio-ts/security/keys';
import { type KubernetesRequestsOptions, signByKubernetes } from '../ca/kubernetes-requests.ts';
import type { OwnCertificateSource } from '../identity/identity-settings.ts';

/** Istio's places for files that the operator mounts. */
const FILES = './var/run/secrets/istiod/tls';
const ROOT_FILE = './var/run/secrets/istiod/ca/root-cert.pem';
/** How often the files are looked at; the kubelet takes about as long to change them. */
const LOOK_MS = 60_000;
const WANTED_TTL_MS = 365 * 24 * 3_600_000;
const RETRY_MS = 30_000;

/** The certificate that istiod's servers show. */
export interface OwnCertificate {
  /** Undefined where istiod's CA gives it. */
  current(): { readonly chain: string; readonly key: string } | undefined;
  /** PEM of what it leads to; empty where that is the CA's root. */
  roots(): string;
  /** `listener` is called after each change. */
  subscribe(listener: () => void): void;
  close(): void;
}

export interface OwnCertificateOptions extends KubernetesRequestsOptions {
  readonly dnsNames: readonly string[];
  /** PEM of the trust anchors of a signer. */
  readonly rootsOf: (signer: string) => string | undefined;
  /** `setTimeout`; the result cancels. */
  readonly after: (ms: number, work: () => void) => () => void;
  /** Text of a file; raises when it cannot be read. */
  readonly readFile?: (path: string) => string;
}

/**
 * Has istiod's own certificate from where PILOT_CERT_PROVIDER says, and renews it: a signer's at half its lifetime, files when they change. Rejects when
 * there is none to begin with; later the last good one stays.
 */
export async function keepOwnCertificate(
  source: OwnCertificateSource,
  options: OwnCertificateOptions,
): Promise<OwnCertificate> {
  const { after, log, now, readFile = (path) => readFileSync(path, 'utf8') } = options;
  if (source.kind === 'ca')
    return { current: () => undefined, roots: () => '', subscribe: () => undefined, close: () => undefined };
  const places = placesOf(source);
  const obtain = (): Promise<{ readonly chain: string; readonly key: string }> =>
    source.kind === 'signer' ? askSigner(source.signer, options) : Promise.resolve(readFiles(places, readFile));
  const listeners = new Set<() => void>();
  let current = await obtain();
  let cancel: () => void = () => undefined;
  let closed = false;
  const schedule = (ms: number): void => {
    if (!closed) cancel = after(ms, () => void renew());
  };
  const renew = async (): Promise<void> => {
    try {
      const next = await obtain();
      const isNew = next.chain !== current.chain;
      current = next;
      if (isNew) {
        log.info("istiod's own certificate is renewed");
        for (const listener of listeners) listener();
      }
      schedule(source.kind === 'signer' ? halfLife(current.chain, now()) : LOOK_MS);
    } catch (error) {
      log.warn(
        `istiod's own certificate is not renewed, the last one stays: ${error instanceof Error ? error.message : error}`,
      );
      schedule(source.kind === 'signer' ? RETRY_MS : LOOK_MS);
    }
  };
  schedule(source.kind === 'signer' ? halfLife(current.chain, now()) : LOOK_MS);
  return {
    current: () => current,
    roots: () => {
      if (source.kind === 'signer') return options.rootsOf(source.signer) ?? '';
      try {
        return places.root === undefined ? '' : readFile(places.root);
      } catch {
        return '';
      }
    },
    subscribe: (listener) => void listeners.add(listener),
    close: () => {
      closed = true;
      cancel();
    },
  };
}

const halfLife = (chain: string, now: Date): number => {
  const end = parseCertificates(chain)[0]?.notAfter.getTime() ?? 0;
  return Math.max(RETRY_MS, (end - now.getTime()) / 2);
};

async function askSigner(
  signer: string,
  options: OwnCertificateOptions,
): Promise<{ readonly chain: string; readonly key: string }> {
  const { dnsNames } = options;
  const key = generatePrivateKey();
  const csr = createCsr(
    key,
    dnsNames.map((value) => ({ kind: 'dns', value })),
  );
  const chain = await signByKubernetes(
    { csr, signer, ttlMs: WANTED_TTL_MS, subject: dnsNames[0] ?? 'istiod' },
    options,
  );
  const [leaf] = parseCertificates(chain);
  const names = new Set(leaf?.altNames.map(({ value }) => value));
  if (leaf === undefined || !leaf.publicKeyInfo.equals(publicKeyInfo(key)))
    throw new Error(`the certificate of the signer ${signer} is not the one that istiod asked for`);
  const missing = dnsNames.find((name) => !names.has(name));
  if (missing !== undefined) throw new Error(`the certificate of the signer ${signer} is not for ${missing}`);
  return { chain, key: exportPrivateKey(key) };
}

interface Places {
  readonly certificate: string;
  readonly key: string;
  readonly root: string | undefined;
}

const placesOf = (source: OwnCertificateSource): Places =>
  (source.kind === 'files' ? source.at : undefined) ?? {
    certificate: join(FILES, 'tls.crt'),
    key: join(FILES, 'tls.key'),
    root: ROOT_FILE,
  };

function readFiles(
  places: Places,
  readFile: (path: string) => string,
): { readonly chain: string; readonly key: string } {
  const chain = readFile(places.certificate);
  const key = readFile(places.key);
  const [leaf] = parseCertificates(chain);
  // While files are exchanged one may be newer than the other.
  if (leaf === undefined || !leaf.publicKeyInfo.equals(publicKeyInfo(importPrivateKey(key))))
    throw new Error(`${places.key} is not the key of the certificate in ${places.certificate}`);
  return { chain, key };
}
