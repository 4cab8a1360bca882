import type { Duplex, Readable, Writable } from 'node:stream';

/** What the API server needs of the node for the subresources of a pod (`log`, `exec`, `attach`, `portforward`). Implemented by the node, called by the API server. */
export interface NodeRuntime {
  /** Throws with a message for the user when the pod or container is not known or not started. */
  logs(
    namespace: string,
    pod: string,
    options: {
      readonly container?: string;
      readonly follow: boolean;
      readonly previous: boolean;
      readonly tailLines?: number;
      readonly sinceSeconds?: number;
      readonly sinceTime?: string;
      readonly timestamps: boolean;
      readonly limitBytes?: number;
    },
  ): Promise<Readable>;
  exec(
    namespace: string,
    pod: string,
    options: {
      readonly container?: string;
      readonly command: readonly string[];
      readonly tty: boolean;
      readonly stdin: boolean;
    },
  ): Promise<ExecSession>;
  attach(
    namespace: string,
    pod: string,
    options: { readonly container?: string; readonly tty: boolean; readonly stdin: boolean },
  ): Promise<ExecSession>;
  /** A connection to 127.0.0.1:port inside the pod's network namespace. */
  dial(namespace: string, pod: string, port: number): Promise<Duplex>;
}

export interface ExecSession {
  readonly stdin: Writable | undefined;
  readonly stdout: Readable;
  readonly stderr: Readable | undefined;
  readonly exitCode: Promise<number>;
  resize(columns: number, rows: number): void;
  kill(): void;
}
