import type { KubeObject } from '@istio-ts/kube';

/** What the API server asks a webhook (admission.k8s.io/v1 AdmissionReview, request). */
export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: string;
  readonly namespace: string;
  readonly name: string;
  readonly object: KubeObject | undefined;
  readonly dryRun: boolean;
}

export interface AdmissionAnswer {
  readonly allowed: boolean;
  readonly message?: string;
  readonly warnings?: readonly string[];
  /** RFC 6902 operations. */
  readonly patch?: readonly unknown[];
}

/** The body is no AdmissionReview; the message says what is missing. */
export class ReviewError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ReviewError';
  }
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : {};
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Reads a review of v1 or v1beta1. Raises {@link ReviewError}. */
export function readReview(review: unknown): { readonly request: AdmissionRequest; readonly apiVersion: string } {
  const { apiVersion, kind, request } = record(review);
  if (kind !== 'AdmissionReview') throw new ReviewError('the body is no AdmissionReview');
  const fields = record(request);
  const uid = text(fields.uid);
  if (uid === '') throw new ReviewError('the AdmissionReview has no request.uid');
  const object = record(fields.object);
  return {
    apiVersion: text(apiVersion) || 'admission.k8s.io/v1',
    request: {
      uid,
      operation: text(fields.operation),
      namespace: text(fields.namespace),
      name: text(fields.name),
      object: typeof object.kind === 'string' ? (object as KubeObject) : undefined,
      dryRun: fields.dryRun === true,
    },
  };
}

/** The review with the answer in it. */
export function reviewAnswer(apiVersion: string, uid: string, answer: AdmissionAnswer): object {
  return {
    apiVersion,
    kind: 'AdmissionReview',
    response: {
      uid,
      allowed: answer.allowed,
      ...(answer.message !== undefined && { status: { message: answer.message, reason: 'BadRequest', code: 400 } }),
      ...(answer.warnings !== undefined && answer.warnings.length > 0 && { warnings: answer.warnings }),
      ...(answer.patch !== undefined &&
        answer.patch.length > 0 && {
          patchType: 'JSONPatch',
          patch: Buffer.from(JSON.stringify(answer.patch)).toString('base64'),
        }),
    },
  };
}
