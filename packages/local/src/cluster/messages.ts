/** What the cluster process asks of the supervisor, which lives in the host's network namespace. */
export type Request =
  | { readonly op: 'listen'; readonly id: number; readonly host: string; readonly port: number }
  | { readonly op: 'unlisten'; readonly host: string; readonly port: number }
  /** The connection that came last has arrived. */
  | { readonly op: 'taken' }
  | { readonly op: 'dns'; readonly id: number; readonly message: string }
  | { readonly op: 'phase'; readonly phase: ClusterPhase };

/** The supervisor's answers and orders. With `connection` travels a connection to one of the host's sockets as a handle. */
export type Reply =
  | { readonly op: 'listening'; readonly id: number; readonly port: number }
  | { readonly op: 'listening'; readonly id: number; readonly error: string; readonly code?: string }
  | { readonly op: 'connection'; readonly host: string; readonly port: number }
  | { readonly op: 'dns'; readonly id: number; readonly message: string | undefined }
  | { readonly op: 'stop' };

/** How far the cluster's start is; in a file that `up` and `status` read. */
export type ClusterPhase =
  | { readonly phase: 'starting'; readonly step: string }
  | { readonly phase: 'ready'; readonly server: string; readonly apiPort: number }
  | { readonly phase: 'failed'; readonly message: string };

/** What the supervisor and the cluster process are started with. */
export interface ClusterSettings {
  readonly name: string;
  readonly home: string;
  /** Port on 127.0.0.1 for the API server; undefined: 6443, or a free one. */
  readonly apiPort: number | undefined;
  readonly dist: string;
  readonly envoy: string | undefined;
  readonly nodeName: string;
}

/** Exit code of the cluster process for a mistake that a restart does not mend. */
export const FATAL_EXIT = 78;
