/** Something is wrong with the expression itself: Prometheus' `bad_data`. `offset` counts characters from 0. */
export class QueryError extends Error {
  readonly offset: number | undefined;
  constructor(message: string, offset?: number) {
    super(message);
    this.name = 'QueryError';
    this.offset = offset;
  }
}

/** The expression cannot be evaluated on the samples that are there: Prometheus' `execution`. */
export class EvaluationError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'EvaluationError';
  }
}

/** The query costs more than is allowed. `timeout`: in time; else in samples. */
export class QueryLimitError extends Error {
  readonly kind: 'samples' | 'timeout';
  constructor(kind: 'samples' | 'timeout', message: string) {
    super(message);
    this.name = 'QueryLimitError';
    this.kind = kind;
  }
}
