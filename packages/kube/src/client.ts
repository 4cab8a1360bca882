import type { Duplex } from 'node:stream';
import type { KubeObject, ResourceType } from './object.ts';

/** A failed call to the API server; `status` is the HTTP code, `reason` Kubernetes' machine-readable reason (`NotFound`, `Conflict`, ...). */
export class KubeApiError extends Error {
  readonly status: number;
  readonly reason: string;
  readonly details: unknown;
  constructor(status: number, reason: string, message: string, details?: unknown) {
    super(message);
    this.name = 'KubeApiError';
    this.status = status;
    this.reason = reason;
    this.details = details;
  }
}

/** Whether a call failed because the object, or its kind, is not there. */
export const isNotFound = (error: unknown): error is KubeApiError =>
  error instanceof KubeApiError && error.status === 404;

export interface ListOptions {
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Leaves `metadata.managedFields` out of what is returned. */
  readonly dropManagedFields?: boolean;
}

export type PatchType = 'json' | 'merge' | 'strategic' | 'apply';

export type WatchEvent<T extends KubeObject = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T }
  /** Sent once when the first list has been delivered completely. */
  | { readonly type: 'SYNCED' };

export interface Watch {
  /** Ends the watch; no event is delivered afterwards. */
  close(): void;
}

/**
 * Calls to one Kubernetes API server. Every method throws `KubeApiError` for an answer of the server and a plain `Error`
 * (with the address in its message) when the server cannot be reached.
 */
export interface KubeClient {
  get<T extends KubeObject = KubeObject>(type: ResourceType, name: string, namespace?: string): Promise<T>;
  /** Lists all pages. Items carry `apiVersion` and `kind`. */
  list<T extends KubeObject = KubeObject>(
    type: ResourceType,
    options?: ListOptions,
  ): Promise<{ items: T[]; resourceVersion: string }>;
  /**
   * Lists, then watches for ever: reconnects with back-off, resumes from the last resourceVersion or bookmark, relists on 410 and then reports
   * the differences as ADDED, MODIFIED and DELETED (such a DELETED carries only apiVersion, kind and the metadata that identify the object).
   * `onError` hears of every interruption; it never ends the watch.
   */
  watch<T extends KubeObject = KubeObject>(
    type: ResourceType,
    options: ListOptions,
    onEvent: (event: WatchEvent<T>) => void,
    onError?: (error: Error) => void,
  ): Watch;
  create<T extends KubeObject = KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options?: { readonly dryRun?: boolean },
  ): Promise<T>;
  update<T extends KubeObject = KubeObject>(
    type: ResourceType,
    object: KubeObject,
    options?: { readonly subresource?: string },
  ): Promise<T>;
  patch<T extends KubeObject = KubeObject>(
    type: ResourceType,
    name: string,
    namespace: string | undefined,
    patchType: PatchType,
    body: unknown,
    options?: {
      readonly subresource?: string;
      readonly fieldManager?: string;
      readonly force?: boolean;
      readonly dryRun?: boolean;
    },
  ): Promise<T>;
  delete(
    type: ResourceType,
    name: string,
    namespace?: string,
    options?: {
      readonly gracePeriodSeconds?: number;
      readonly propagationPolicy?: 'Foreground' | 'Background' | 'Orphan';
      readonly uid?: string;
    },
  ): Promise<void>;
  /** Any other path, for example a subresource or `/version`; returns the decoded JSON, or the text where it is not JSON. */
  request(
    method: string,
    path: string,
    body?: unknown,
    options?: { readonly contentType?: string; readonly query?: Readonly<Record<string, string>> },
  ): Promise<unknown>;
  /** The resource that serves a kind, by discovery (cached); throws `KubeApiError` NotFound when the server does not know it. */
  resolve(apiVersion: string, kind: string): Promise<ResourceType>;
  /** Lines of a container's log, without their line ends; with `follow`, until the container ends or the iteration is broken off. */
  logs(
    namespace: string,
    pod: string,
    options: {
      readonly container?: string;
      readonly follow?: boolean;
      readonly tailLines?: number;
      readonly previous?: boolean;
      /** RFC 3339: nothing older. */
      readonly sinceTime?: string;
      /** Begins each line with its time and a space. */
      readonly timestamps?: boolean;
      readonly limitBytes?: number;
      /** Ends a stream that is followed; the iteration then fails with an AbortError. */
      readonly signal?: AbortSignal;
    },
  ): Promise<AsyncIterable<string>>;
  exec(
    namespace: string,
    pod: string,
    container: string | undefined,
    command: readonly string[],
    stdin?: Uint8Array,
  ): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }>;
  /** One connection to a port of a pod, as `kubectl port-forward` makes it. */
  portForward(namespace: string, pod: string, port: number): Promise<Duplex>;
}
