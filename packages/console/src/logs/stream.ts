import type { ServerResponse } from 'node:http';
import type { KubeClient } from '@istio-ts/kube';
import type { LogLine } from '../api.ts';
import { securityHeaders } from '../http/static-files.ts';
import { logLine } from './access-log.ts';

export interface LogQuery {
  readonly namespace: string;
  readonly pod: string;
  readonly containers: readonly string[];
  readonly tail: number;
  /** RFC 3339. */
  readonly sinceTime: string | undefined;
  readonly follow: boolean;
}

const heartbeatMs = 15_000;

/**
 * Sends the lines of a pod's containers as server-sent events until the containers end or the browser goes: `data: LogLine`, at the end
 * `event: end`, for a container that cannot be read `event: problem` with its reason.
 */
export async function streamLogs(client: KubeClient, query: LogQuery, response: ServerResponse): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  response.writeHead(200, {
    ...securityHeaders,
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-store',
    'x-accel-buffering': 'no',
  });
  const send = async (text: string): Promise<void> => {
    if (gone.signal.aborted || response.write(text)) return;
    // A browser that reads slowly must not fill the memory.
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
  // Without following all lines come at once, so those of several containers can be put in the order of their times.
  const gathered: LogLine[] = [];
  const inOrder = !query.follow && query.containers.length > 1;
  const heartbeat = setInterval(() => void send(': alive\n\n'), heartbeatMs);
  const read = async (container: string): Promise<void> => {
    try {
      const lines = await client.logs(query.namespace, query.pod, {
        container,
        follow: query.follow,
        tailLines: query.tail,
        timestamps: true,
        signal: gone.signal,
        ...(query.sinceTime !== undefined && { sinceTime: query.sinceTime }),
      });
      for await (const line of lines) {
        if (gone.signal.aborted) return;
        if (inOrder) gathered.push(logLine(container, line));
        else await send(`data: ${JSON.stringify(logLine(container, line))}\n\n`);
      }
    } catch (error) {
      if (gone.signal.aborted) return;
      await send(
        `event: problem\ndata: ${JSON.stringify({ message: `${container}: ${(error as Error).message}` })}\n\n`,
      );
    }
  };
  try {
    await Promise.all(query.containers.map(read));
    gathered.sort((a, b) => (a.time ?? 0) - (b.time ?? 0));
    for (const line of gathered) await send(`data: ${JSON.stringify(line)}\n\n`);
    await send('event: end\ndata: {}\n\n');
  } finally {
    clearInterval(heartbeat);
    response.end();
  }
}
