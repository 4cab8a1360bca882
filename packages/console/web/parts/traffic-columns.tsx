import type { Traffic } from '../../src/api.ts';
import { milliseconds, percent, rate } from '../state/format.ts';
import { t } from '../texts.ts';
import { errorClass } from './health.tsx';
import type { Column } from './table.tsx';

interface Trafficked {
  readonly traffic: Traffic;
}

/** Requests per second of a row. */
export const requestsColumn = <Row extends Trafficked>(): Column<Row> => ({
  id: 'rps',
  title: t.common.requests,
  number: true,
  sort: ({ traffic }) => traffic.requestsPerSecond,
  cell: ({ traffic }) => `${rate(traffic.requestsPerSecond)}/s`,
});

/** Share of a row's requests that failed. */
export const errorsColumn = <Row extends Trafficked>(): Column<Row> => ({
  id: 'errors',
  title: t.common.errors,
  number: true,
  sort: ({ traffic }) => traffic.errorRate,
  cell: ({ traffic }) => <span class={errorClass(traffic.errorRate)}>{percent(traffic.errorRate)}</span>,
});

/** Latency of a row: 95 of 100 requests are faster. */
export const latencyColumn = <Row extends Trafficked>(): Column<Row> => ({
  id: 'p95',
  title: t.common.latency,
  number: true,
  sort: ({ traffic }) => traffic.p95 ?? -1,
  cell: ({ traffic }) => (traffic.p95 === undefined ? '–' : milliseconds(traffic.p95)),
});
