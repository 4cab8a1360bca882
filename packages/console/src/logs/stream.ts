import type { ServerResponse } from 'node:http';
import type { KubeClient } from '@istio-ts/kube';
import type { LogLine } from '../api.ts';
import { securityHeaders } from '../http/static-files.ts';
import { logLine } from './access-log.ts';

export interface LogQuery {
  readonly namespace: string;
  readonly pod: string;
  /** At least one. */
  readonly containers: readonly string[];
  readonly tail: number;
  /** RFC 3339. */
  readonly sinceTime: string | undefined;
  readonly follow: boolean;
}

const heartbeatMs = 15_000;

interface OpenLog {
  readonly container: string;
  readonly lines: AsyncIterable<string>;
}

/**
 * Sends the lines of a pod's containers as server-sent events (`data: LogLine`) until the containers end or the browser goes. A container that cannot
 * be read has one line that says why. Raises KubeApiError when none can be read.
 */
export async function streamLogs(client: KubeClient, query: LogQuery, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  const { opened, failed } = await openLogs(client, query, gone.signal);
  response.writeHead(200, {
    ...securityHeaders,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const write = writer(response, gone.signal);
  const send = (line: LogLine): Promise<void> => write(`data: ${JSON.stringify(line)}\n\n`);
  // Without following all lines come at once, so those of several containers can be put in the order of their times.
  const inOrder = !query.follow && opened.length > 1;
  const gathered: LogLine[] = [];
  const read = async ({ container, lines }: OpenLog): Promise<void> => {
    try {
      for await (const line of lines) {
        if (gone.signal.aborted) return;
        if (inOrder) gathered.push(logLine(container, line));
        else await send(logLine(container, line));
      }
    } catch (error) {
      if (!gone.signal.aborted) await send(unreadable(container, error));
    }
  };
  const heartbeat = setInterval(() => void write(': alive\n\n'), heartbeatMs);
  try {
    for (const { container, error } of failed) await send(unreadable(container, error));
    await Promise.all(opened.map(read));
    gathered.sort((a, b) => (a.time ?? 0) - (b.time ?? 0));
    for (const line of gathered) await send(line);
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}

const unreadable = (container: string, error: unknown): LogLine => ({
  container,
  text: `The log of ${container} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
});

/** Opens the logs of all containers: those of one that has not started yet may be missing. */
async function openLogs(client: KubeClient, query: LogQuery, signal: AbortSignal) {
  const opened: OpenLog[] = [];
  const failed: { readonly container: string; readonly error: unknown }[] = [];
  await Promise.all(
    query.containers.map(async (container) => {
      try {
        const lines = await client.logs(query.namespace, query.pod, {
          container,
          follow: query.follow,
          tailLines: query.tail,
          timestamps: true,
          signal,
          ...(query.sinceTime !== undefined && { sinceTime: query.sinceTime }),
        });
        opened.push({ container, lines });
      } catch (error) {
        failed.push({ container, error });
      }
    }),
  );
  const [first] = failed;
  if (opened.length === 0 && first) throw first.error;
  return { opened, failed };
}

/** Writes, and waits where the browser reads slowly: what waits must not fill the memory. */
const writer =
  (response: ServerResponse, gone: AbortSignal) =>
  async (text: string): Promise<void> => {
    if (gone.aborted || response.write(text)) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        response.off('drain', done);
        response.off('close', done);
        resolve();
      };
      response.on('drain', done);
      response.on('close', done);
    });
  };
