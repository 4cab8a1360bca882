// Types are generated; see generate/.
export type * from '../generated/types.d.ts';
