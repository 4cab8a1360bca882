import { ConnectionError, KubeApiError } from '@istio-ts/kube';
import type { ApiError, MissingRight, ObjectName } from '../api.ts';

/** A request that fails: the status and what the pages show. */
export class ApiFailure extends Error {
  readonly status: number;
  readonly object: ObjectName | undefined;
  readonly field: string | undefined;
  readonly missing: readonly MissingRight[] | undefined;
  /** Headers of the answer, for example Retry-After. */
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    message: string,
    details: {
      readonly object?: ObjectName;
      readonly field?: string;
      readonly missing?: readonly MissingRight[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(message);
    this.name = 'ApiFailure';
    this.status = status;
    this.object = details.object;
    this.field = details.field;
    this.missing = details.missing;
    this.headers = details.headers ?? {};
  }

  get body(): ApiError {
    return {
      message: this.message,
      ...(this.object && { object: this.object }),
      ...(this.field !== undefined && { field: this.field }),
      ...(this.missing && { missing: this.missing }),
    };
  }
}

/**
 * What an error means for whoever asked: what Kubernetes refuses keeps its status and words, a program that does not answer is 502, and what nobody
 * foresaw is 500 without its inner words, which belong into the log.
 */
export function failureOf(error: unknown): ApiFailure {
  if (error instanceof ApiFailure) return error;
  if (error instanceof KubeApiError) {
    // 401 of Kubernetes says that the token has ended: the pages ask for another one.
    const status = error.status >= 400 && error.status < 500 ? error.status : 502;
    const field = fieldOf(error.details);
    return new ApiFailure(status, error.message, field === undefined ? {} : { field });
  }
  if (error instanceof ConnectionError) return new ApiFailure(502, error.message);
  // Failures of istioctl's readers are written for users.
  if (error instanceof Error && error.name === 'CliError') return new ApiFailure(502, error.message);
  return new ApiFailure(500, 'the console failed at this request: its log says why');
}

/** The first field that Kubernetes names in `details.causes`. */
function fieldOf(details: unknown): string | undefined {
  const causes = (details as { readonly causes?: readonly { readonly field?: unknown }[] } | undefined)?.causes;
  const field = Array.isArray(causes) ? (causes[0] as { readonly field?: unknown } | undefined)?.field : undefined;
  return typeof field === 'string' && field !== '' ? field : undefined;
}
