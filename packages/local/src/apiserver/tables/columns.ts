import type { ApiObject } from '../object.ts';

/** A column of a table as clients see it; `priority` above 0 is only shown with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: string;
  readonly format?: string;
  readonly priority?: number;
  /** The text of a cell. `now`: milliseconds since the epoch. */
  readonly cell: (object: ApiObject, now: number) => string | number | boolean | null;
}

/** How long something took or is ago, as kubectl writes it (at most two units). */
export function duration(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  if (seconds < -1) return '<invalid>';
  if (seconds < 0) return '0s';
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return seconds % 60 === 0 ? `${minutes}m` : `${minutes}m${seconds % 60}s`;
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return minutes % 60 === 0 ? `${hours}h` : `${hours}h${minutes % 60}m`;
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return hours % 24 === 0 ? `${days}d` : `${days}d${hours % 24}h`;
  if (days < 730) return `${days}d`;
  const years = Math.floor(days / 365);
  if (years < 8) return days % 365 === 0 ? `${years}y` : `${years}y${days % 365}d`;
  return `${years}y`;
}

export function age(time: unknown, now: number): string {
  if (typeof time !== 'string' || time === '') return '<unknown>';
  return duration(now - Date.parse(time));
}

export const NAME: Column = { name: 'Name', type: 'string', format: 'name', cell: (object) => object.metadata.name };
export const AGE: Column = {
  name: 'Age',
  type: 'string',
  cell: (object, now) => age(object.metadata.creationTimestamp, now),
};

type Cell = Column['cell'];

export const text = (name: string, cell: Cell): Column => ({ name, type: 'string', cell });
export const number = (name: string, cell: Cell): Column => ({ name, type: 'integer', cell });
/** A column of `-o wide`. */
export const wide = (name: string, cell: Cell): Column => ({ name, type: 'string', priority: 1, cell });
