/** Prometheus' kinds of errors and the status that each is answered with (its documentation, "HTTP API"). */
const statuses = {
  bad_data: 400,
  execution: 422,
  canceled: 499,
  timeout: 503,
  internal: 500,
  unavailable: 503,
  not_found: 404,
} as const;

export type FailureKind = keyof typeof statuses;

/** A request that cannot be answered. */
export class ApiFailure extends Error {
  readonly kind: FailureKind;
  constructor(kind: FailureKind, message: string) {
    super(message);
    this.name = 'ApiFailure';
    this.kind = kind;
  }
  get status(): number {
    return statuses[this.kind];
  }
}
