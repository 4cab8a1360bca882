import { randomBytes } from 'node:crypto';
import { kubernetesTypes } from '@istio-ts/api/resource-types';
import { GrpcError } from '@istio-ts/envoy/grpc';
import { KubeApiError, type KubeClient, type KubeObject } from '@istio-ts/kube';
import type { Logger } from '../log.ts';

/** Kubernetes takes no shorter lifetime (CertificateSigningRequestSpec.expirationSeconds). */
const SHORTEST_SECONDS = 600;
const USAGES = ['digital signature', 'key encipherment', 'client auth', 'server auth'];
const FIRST_LOOK_MS = 50;
const LONGEST_PAUSE_MS = 500;
const APPROVALS = 3;

export interface KubernetesRequest {
  /** PEM. */
  readonly csr: string;
  /** `DOMAIN/NAME`. */
  readonly signer: string;
  readonly ttlMs: number;
  /** For whom, for the approval's message. */
  readonly subject: string;
}

export interface KubernetesRequestsOptions {
  readonly client: Pick<KubeClient, 'create' | 'get' | 'update' | 'delete'>;
  readonly sleep: (ms: number) => Promise<unknown>;
  readonly now: () => Date;
  /** How long the signer may take. */
  readonly timeoutMs: number;
  readonly log: Logger;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

type SigningStatus = { readonly conditions?: readonly Condition[]; readonly certificate?: string };

/**
 * Has a request signed by a signer of the cluster (Kubernetes documentation, "Certificates and Certificate Signing Requests"): makes a
 * CertificateSigningRequest, approves it, waits for the certificate and removes the object again. Gives what the signer wrote, PEM. Raises GrpcError:
 * PERMISSION_DENIED when the signer or the API server refuses, DEADLINE_EXCEEDED when nobody signs, UNAVAILABLE when the API server is away.
 */
export async function signByKubernetes(
  request: KubernetesRequest,
  options: KubernetesRequestsOptions,
): Promise<string> {
  const { client, log } = options;
  const name = `csr-workload-${randomBytes(10).toString('hex')}`;
  const type = kubernetesTypes.CertificateSigningRequest;
  const asking = <T>(what: string, call: Promise<T>): Promise<T> =>
    call.catch((error: unknown) => {
      throw asGrpcError(error, `${what} for the signer ${request.signer}`);
    });
  const created = await asking(
    'the certificate request cannot be made',
    client.create(type, {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'istiod' } },
      spec: {
        request: Buffer.from(request.csr).toString('base64'),
        signerName: request.signer,
        usages: USAGES,
        expirationSeconds: Math.max(SHORTEST_SECONDS, Math.floor(request.ttlMs / 1000)),
      },
    }),
  );
  try {
    await asking('the certificate request cannot be approved', approve(created, request, options));
    return await asking('the certificate cannot be read', awaitCertificate(name, request, options));
  } finally {
    client.delete(type, name).catch((error: unknown) => {
      if (error instanceof KubeApiError && error.status === 404) return;
      log.warn(`certificate request ${name} stays behind: ${error instanceof Error ? error.message : error}`);
    });
  }
}

/** Signers may write to the object at the same moment: then it is read anew. */
async function approve(created: KubeObject, request: KubernetesRequest, options: KubernetesRequestsOptions) {
  const { client } = options;
  const type = kubernetesTypes.CertificateSigningRequest;
  let object = created;
  for (let attempt = 1; ; attempt++) {
    const now = options.now().toISOString();
    const approval = {
      type: 'Approved',
      status: 'True',
      reason: 'IstiodAuthenticated',
      message: `istiod has authenticated the workload ${request.subject}`.slice(0, 1000),
      lastUpdateTime: now,
      lastTransitionTime: now,
    };
    const status = (object.status ?? {}) as SigningStatus;
    try {
      await client.update(
        type,
        { ...object, status: { ...status, conditions: [...(status.conditions ?? []), approval] } },
        { subresource: 'approval' },
      );
      return;
    } catch (error) {
      if (!(error instanceof KubeApiError) || error.status !== 409 || attempt >= APPROVALS) throw error;
      object = await client.get(type, object.metadata.name ?? '');
    }
  }
}

async function awaitCertificate(
  name: string,
  request: KubernetesRequest,
  options: KubernetesRequestsOptions,
): Promise<string> {
  const deadline = options.now().getTime() + options.timeoutMs;
  for (let pause = FIRST_LOOK_MS; ; pause = Math.min(LONGEST_PAUSE_MS, pause * 2)) {
    await options.sleep(pause);
    const object = await options.client.get(kubernetesTypes.CertificateSigningRequest, name);
    const status = (object.status ?? {}) as SigningStatus;
    const refusal = (status.conditions ?? []).find(({ type }) => type === 'Denied' || type === 'Failed');
    if (refusal !== undefined)
      throw new GrpcError(
        'PERMISSION_DENIED',
        `the signer ${request.signer} refuses the request (${refusal.type}): ${refusal.message || refusal.reason || 'no reason given'}`,
      );
    if (status.certificate) return Buffer.from(status.certificate, 'base64').toString('utf8');
    if (options.now().getTime() >= deadline)
      throw new GrpcError(
        'DEADLINE_EXCEEDED',
        `the signer ${request.signer} has not signed in ${options.timeoutMs / 1000} s: is its controller running?`,
      );
  }
}

function asGrpcError(error: unknown, what: string): Error {
  if (error instanceof GrpcError) return error;
  const message = `${what}: ${error instanceof Error ? error.message : error}`;
  if (!(error instanceof KubeApiError)) return new GrpcError('UNAVAILABLE', message);
  if (error.status === 403) return new GrpcError('PERMISSION_DENIED', message);
  return new GrpcError(error.status >= 500 || error.status === 429 ? 'UNAVAILABLE' : 'INTERNAL', message);
}
