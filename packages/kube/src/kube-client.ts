import { setTimeout as delay } from 'node:timers/promises';
import { KubeApiError, type KubeClient, type PatchType } from './client.ts';
import { createDiscovery } from './discovery.ts';
import { readLines } from './lines.ts';
import { complete, listAll } from './list.ts';
import type { KubeObject, ResourceType } from './object.ts';
import { queryString, resourcePath } from './paths.ts';
import { execInPod, forwardToPod } from './pod-streams.ts';
import { createTransport, type HttpRequest, type Target } from './transport.ts';
import { startWatch } from './watch.ts';

export interface ClientOptions {
  /** Default `istio-ts`. */
  readonly userAgent?: string;
  /** Time for a request that is not a stream, in milliseconds; default 60 s. */
  readonly timeoutMs?: number;
  /** Leaves `metadata.managedFields` out of everything that `list` and `watch` return: for processes that keep many objects. */
  readonly dropManagedFields?: boolean;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** A client that also owns connections. */
export interface ClosableKubeClient extends KubeClient {
  /** Ends all watches and idle connections; the client must not be used afterwards. */
  close(): void;
}

const contentTypes: Readonly<Record<PatchType, string>> = {
  json: 'application/json-patch+json',
  merge: 'application/merge-patch+json',
  strategic: 'application/strategic-merge-patch+json',
  // YAML includes JSON, and this is the one type every server version takes.
  apply: 'application/apply-patch+yaml',
};
const maxLogLine = 1 << 20;

/**
 * Connects to an API server over the network or over a Unix socket (`{ socketPath }`, without authentication). Nothing is
 * sent before the first call.
 */
export function createKubeClient(target: Target, options: ClientOptions = {}): ClosableKubeClient {
  const sleep = (ms: number, signal?: AbortSignal): Promise<void> =>
    delay(ms, undefined, signal ? { signal } : undefined);
  const transport = createTransport(target, {
    userAgent: options.userAgent ?? 'istio-ts',
    timeoutMs: options.timeoutMs ?? 60_000,
    env: options.env ?? process.env,
    now: options.now ?? Date.now,
    sleep,
  });
  const discovery = createDiscovery(transport);
  const watches = new Set<{ close(): void }>();
  const dropDefault = options.dropManagedFields === true;

  const json = async (request: HttpRequest): Promise<unknown> => {
    const { text } = await transport.text(request);
    return text === '' ? undefined : JSON.parse(text);
  };
  const object = async <T extends KubeObject>(type: ResourceType, request: HttpRequest): Promise<T> => {
    try {
      const body = await json(request);
      if (typeof body !== 'object' || body === null) {
        throw new Error(`${request.method} ${transport.address}${request.path}: the answer is not an object.`);
      }
      return complete<T>(body as Record<string, unknown>, type, false);
    } catch (error) {
      // 404 without details means that the path, not the object, is unknown: the kind has gone.
      if (error instanceof KubeApiError && error.status === 404 && error.details === undefined)
        discovery.invalidate(type);
      throw error;
    }
  };

  return {
    get: (type, name, namespace) => object(type, { method: 'GET', path: resourcePath(type, namespace, name) }),
    list: (type, listOptions = {}) =>
      listAll(transport, type, { ...listOptions, dropManagedFields: listOptions.dropManagedFields ?? dropDefault }),
    watch: (type, listOptions, onEvent, onError) => {
      const watch = startWatch(
        transport,
        type,
        { ...listOptions, dropManagedFields: listOptions.dropManagedFields ?? dropDefault },
        { sleep, random: options.random ?? Math.random },
        onEvent,
        onError ?? (() => {}),
      );
      const handle = {
        close: () => {
          watches.delete(handle);
          watch.close();
        },
      };
      watches.add(handle);
      return handle;
    },
    create: (type, body, { dryRun } = {}) => {
      const path = resourcePath(type, body.metadata.namespace) + queryString({ dryRun: dryRun ? 'All' : undefined });
      return object(type, { method: 'POST', path, body: JSON.stringify(body) });
    },
    update: (type, body, { subresource } = {}) => {
      const path = resourcePath(type, body.metadata.namespace, body.metadata.name ?? '', subresource);
      return object(type, { method: 'PUT', path, body: JSON.stringify(body) });
    },
    patch: (type, name, namespace, patchType, body, patchOptions = {}) => {
      const query = queryString({
        fieldManager: patchOptions.fieldManager ?? (patchType === 'apply' ? 'istio-ts' : undefined),
        force: patchOptions.force ? true : undefined,
        dryRun: patchOptions.dryRun ? 'All' : undefined,
      });
      const path = resourcePath(type, namespace, name, patchOptions.subresource) + query;
      return object(type, { method: 'PATCH', path, body: JSON.stringify(body), contentType: contentTypes[patchType] });
    },
    delete: async (type, name, namespace, deleteOptions = {}) => {
      const body = {
        apiVersion: 'v1',
        kind: 'DeleteOptions',
        ...(deleteOptions.gracePeriodSeconds !== undefined && { gracePeriodSeconds: deleteOptions.gracePeriodSeconds }),
        ...(deleteOptions.propagationPolicy && { propagationPolicy: deleteOptions.propagationPolicy }),
        ...(deleteOptions.uid && { preconditions: { uid: deleteOptions.uid } }),
      };
      await json({ method: 'DELETE', path: resourcePath(type, namespace, name), body: JSON.stringify(body) });
    },
    request: async (method, path, body, requestOptions = {}) => {
      const query = requestOptions.query ? queryString(requestOptions.query) : '';
      const joined = path.includes('?') ? path + query.replace('?', '&') : path + query;
      const { text, headers } = await transport.text({
        method,
        path: joined,
        accept: 'application/json, */*',
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
        ...(requestOptions.contentType !== undefined && { contentType: requestOptions.contentType }),
      });
      return text !== '' && headers['content-type']?.includes('json') ? JSON.parse(text) : text;
    },
    resolve: discovery.resolve,
    logs: async (namespace, pod, logOptions) => {
      const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/log`;
      const query = queryString({
        container: logOptions.container,
        follow: logOptions.follow ? true : undefined,
        tailLines: logOptions.tailLines,
        previous: logOptions.previous ? true : undefined,
        sinceTime: logOptions.sinceTime,
        timestamps: logOptions.timestamps ? true : undefined,
        limitBytes: logOptions.limitBytes,
      });
      const { signal } = logOptions;
      const response = await transport.send({
        method: 'GET',
        path: path + query,
        accept: '*/*',
        streaming: true,
        ...(signal && { signal }),
      });
      return readLines(response.body, maxLogLine);
    },
    exec: (namespace, pod, container, command, stdin) =>
      execInPod(transport, namespace, pod, container, command, stdin),
    portForward: (namespace, pod, port) => forwardToPod(transport, namespace, pod, port),
    close: () => {
      for (const watch of [...watches]) watch.close();
      transport.close();
    },
  };
}
