import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MeshConfig } from '@istio-ts/api';
import type { KubeClient } from '@istio-ts/kube';
import type { Mesh } from '@istio-ts/mesh';
import type { TokenReviewResult } from '@istio-ts/security';
import { fetchDocument } from '@istio-ts/security/fetch/fetch';
import { createKubernetesSigner } from '../ca/kubernetes-signer.ts';
import type { CaCaller, CaServiceOptions, CaSigner } from '../ca/service.ts';
import { nodeImpersonation } from '../identity/impersonation.ts';
import { createIssuerAuthenticator, withIssuers } from '../identity/issuer-authenticator.ts';
import type { IdentitySettings } from '../identity/identity-settings.ts';
import { RateLimit } from '../identity/rate-limit.ts';
import { createTokenAuthenticator } from '../identity/token-authenticator.ts';
import type { Logger } from '../log.ts';

/** A pod asks once in hours; one whose agent restarts over and over still gets its certificates. */
const OF_A_POD = { perSecond: 1, burst: 30 };
/** Where the pod is not known, many may stand behind one address and account. */
const OF_AN_ADDRESS = { perSecond: 50, burst: 500 };
/** A node's proxy asks for all pods of its node. */
const OF_A_NODE = { perSecond: 50, burst: 1000 };
/** Agents wait 10 s. */
const SIGNER_TIMEOUT_MS = 9000;
/** Root of signers that the mesh configuration says nothing of; Istio's path. */
const MOUNTED_ROOT = './etc/external-ca-cert/root-cert.pem';
/** The cluster's own CA, of the signers that come with Kubernetes. */
const CLUSTER_ROOT = '/var/run/secrets/kubernetes.io/serviceaccount/ca.crt';
const ISSUER_TIMEOUT_MS = 5000;
const ANYWHERE = { forbids: () => false, remedy: '', extraRoots: () => readIfThere(CLUSTER_ROOT) };

export interface IdentitiesOptions {
  readonly client: KubeClient;
  readonly settings: IdentitySettings;
  readonly tokenAudiences: readonly string[];
  readonly workloadTtl: { readonly defaultMs: number; readonly maxMs: number };
  readonly mesh: Pick<Mesh, 'workloads' | 'config'>;
  readonly logger: (name: string, about: string) => Logger;
}

/** Who is who for istiod, and who gives certificates, as its environment says. */
export interface Identities {
  readonly authenticateToken: (token: string) => Promise<TokenReviewResult>;
  /** Rules of the CA service about its callers. */
  readonly rules: Pick<CaServiceOptions, 'refuseImpersonation' | 'admits'>;
  /** Another authority than istiod's own, where there is one. */
  readonly externalCa: CaSigner | undefined;
  /** PEM of trust anchors that client certificates may lead to beside istiod's own root; empty without an external CA. */
  readonly externalRoots: () => string;
}

export function createIdentities(options: IdentitiesOptions): Identities {
  const { client, settings, mesh, logger } = options;
  const log = logger('security', 'Tokens, issuers and signers');
  const issuers = settings.issuers.map((trusted) =>
    createIssuerAuthenticator(trusted, {
      // The operator of istiod named the place: it may be anywhere, the cluster included.
      fetchText: (url) => fetchDocument(url, ISSUER_TIMEOUT_MS, ANYWHERE),
      now: Date.now,
      log,
    }),
  );
  for (const { issuer, audiences } of settings.issuers)
    log.info(`tokens of the issuer ${issuer} for ${audiences.join(', ')} are accepted`);
  const { externalCa } = settings;
  if (externalCa !== undefined)
    log.info(
      `certificates of workloads come from signers of the cluster: ${externalCa.defaultSigner || `${externalCa.signerDomain}/NAME`}`,
    );
  return {
    authenticateToken: withIssuers(issuers, createTokenAuthenticator(client, options.tokenAudiences, Date.now)),
    rules: {
      admits: limitCallers(settings.nodeAccounts, Date.now),
      refuseImpersonation: nodeImpersonation(mesh, settings.nodeAccounts),
    },
    externalCa:
      externalCa &&
      createKubernetesSigner({
        client,
        ...externalCa,
        defaultTtlMs: options.workloadTtl.defaultMs,
        maxTtlMs: options.workloadTtl.maxMs,
        roots: (signer) => rootsOfSigner(mesh.config.current, signer),
        mountedRoot: () =>
          readIfThere(MOUNTED_ROOT) ??
          (externalCa.defaultSigner.startsWith('kubernetes.io/') ? readIfThere(CLUSTER_ROOT) : undefined),
        sleep,
        now: () => new Date(),
        timeoutMs: SIGNER_TIMEOUT_MS,
        log,
      }),
    externalRoots: () =>
      externalCa === undefined && settings.ownCertificate.kind !== 'signer' ? '' : externalRoots(mesh.config.current),
  };
}

/** How often a caller may ask for certificates. `now` in milliseconds. */
export function limitCallers(nodeAccounts: ReadonlySet<string>, now: () => number): (caller: CaCaller) => boolean {
  const pods = new RateLimit(OF_A_POD, now);
  const addresses = new RateLimit(OF_AN_ADDRESS, now);
  const nodes = new RateLimit(OF_A_NODE, now);
  return ({ identity: { namespace, serviceAccount }, podUid, remoteAddress }) => {
    const account = `${namespace}/${serviceAccount}`;
    if (nodeAccounts.has(account)) return nodes.take(`${account} ${remoteAddress}`);
    return podUid === undefined ? addresses.take(`${account} ${remoteAddress}`) : pods.take(podUid);
  };
}

/** `caCertificates` of the mesh configuration that name the signer. */
export function rootsOfSigner({ caCertificates = [] }: MeshConfig, signer: string): string | undefined {
  const found = caCertificates.filter(({ certSigners = [] }) => certSigners.includes(signer));
  return joined(found.map(({ pem }) => pem)) || undefined;
}

function externalRoots({ caCertificates = [] }: MeshConfig): string {
  return joined([
    ...caCertificates.filter(({ certSigners = [] }) => certSigners.length > 0).map(({ pem }) => pem),
    readIfThere(MOUNTED_ROOT),
  ]);
}

const joined = (pems: readonly (string | undefined)[]): string =>
  pems.flatMap((pem) => (pem ? [pem.endsWith('\n') ? pem : `${pem}\n`] : [])).join('');

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
