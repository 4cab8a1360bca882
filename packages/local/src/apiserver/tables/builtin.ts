import { ACCESS_COLUMNS } from './access.ts';
import type { Column } from './columns.ts';
import { CORE_COLUMNS } from './core.ts';
import { NETWORKING_COLUMNS } from './networking.ts';
import { STORAGE_COLUMNS } from './storage.ts';
import { WORKLOAD_COLUMNS } from './workloads.ts';

/** Columns of the built-in kinds by storage key, as kubectl users know them. */
export const BUILTIN_COLUMNS: Readonly<Record<string, readonly Column[]>> = {
  ...CORE_COLUMNS,
  ...WORKLOAD_COLUMNS,
  ...NETWORKING_COLUMNS,
  ...STORAGE_COLUMNS,
  ...ACCESS_COLUMNS,
};
