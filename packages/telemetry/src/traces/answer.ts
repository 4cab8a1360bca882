/** What a query API answers. */
export interface Answer {
  readonly status: number;
  readonly type: 'application/json' | 'text/plain; charset=utf-8' | 'text/html; charset=utf-8';
  readonly body: string;
}

export const json = (value: unknown, status = 200, isPretty = false): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value, undefined, isPretty ? 2 : undefined),
});

export const text = (body: string, status = 200): Answer => ({ status, type: 'text/plain; charset=utf-8', body });

/** A query that cannot be answered; `status` is that of HTTP. */
export class QueryError extends Error {
  readonly status: number;
  constructor(message: string, status = 400) {
    super(message);
    this.name = 'QueryError';
    this.status = status;
  }
}

/** A whole number of a query's field. Raises QueryError. */
export function integerField(query: URLSearchParams, name: string): number | undefined {
  const written = query.get(name);
  if (written === null || written === '') return undefined;
  const number = Number(written);
  if (!Number.isInteger(number) || number < 0)
    throw new QueryError(`the parameter '${name}' is no whole number: ${written}`);
  return number;
}
