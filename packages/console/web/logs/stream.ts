import { useEffect, useRef, useState } from 'preact/hooks';
import type { LogLine } from '../../src/api.ts';
import { isAbort, RequestError, messageOf, send } from '../state/request.ts';

export interface LogStream {
  readonly lines: readonly LogLine[];
  /** Lines that were left out because there are too many. */
  readonly dropped: number;
  readonly state: 'reading' | 'open' | 'ended';
  readonly error: RequestError | undefined;
}

/** More lines than these are not kept: the oldest leave. */
const most = 5000;

/** Reads server-sent events until the answer ends; each event's data is one line as JSON. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += decoder.decode(value, { stream: true });
    const parts = rest.split(/\r?\n\r?\n/);
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const data = part
        .split(/\r?\n/)
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''))
        .join('\n');
      if (data !== '') yield data;
    }
  }
}

/** Reads the log behind `address` (undefined: nothing); `round` reads it again. Lines that arrive together are drawn together. */
export function useLogs(address: string | undefined, round: number): LogStream {
  const [stream, setStream] = useState<LogStream>({ lines: [], dropped: 0, state: 'ended', error: undefined });
  const waiting = useRef<LogLine[]>([]);
  // `round` asks for the same again.
  useEffect(() => {
    waiting.current = [];
    if (address === undefined) {
      setStream({ lines: [], dropped: 0, state: 'ended', error: undefined });
      return;
    }
    const abort = new AbortController();
    setStream({ lines: [], dropped: 0, state: 'reading', error: undefined });
    const flush = (state: LogStream['state']) => {
      const fresh = waiting.current.splice(0);
      setStream((before) => {
        const all = fresh.length === 0 ? before.lines : [...before.lines, ...fresh];
        const over = Math.max(0, all.length - most);
        return { ...before, state, lines: over > 0 ? all.slice(over) : all, dropped: before.dropped + over };
      });
    };
    const timer = setInterval(() => {
      if (waiting.current.length > 0) flush('open');
    }, 150);
    const read = async () => {
      try {
        const response = await send(address, { signal: abort.signal, headers: { accept: 'text/event-stream' } });
        if (!response.body) return;
        for await (const data of events(response.body)) waiting.current.push(JSON.parse(data) as LogLine);
        flush('ended');
      } catch (error) {
        if (isAbort(error)) return;
        const problem = error instanceof RequestError ? error : new RequestError(0, { message: messageOf(error) });
        flush('ended');
        setStream((before) => ({ ...before, state: 'ended', error: problem }));
      }
    };
    void read();
    return () => {
      abort.abort();
      clearInterval(timer);
    };
  }, [address, round]);
  return stream;
}
