import { useEffect, useRef, useState } from 'preact/hooks';
import { signal } from '@preact/signals';
import { getJson, isAbort, RequestError, messageOf } from './request.ts';
import { settings } from './settings.ts';

/** What a page knows of something that the server has. Old data stay while newer are asked for, and when that fails. */
export interface Resource<T> {
  readonly data: T | undefined;
  readonly error: RequestError | undefined;
  readonly loading: boolean;
  /** The address that `data` answers. */
  readonly of: string | undefined;
  readonly reload: () => void;
}

/** Counts up with the button that reads everything again. */
export const refreshes = signal(0);
/** Requests under way, and when the last one was answered (milliseconds since 1970). */
export const underWay = signal(0);
export const answeredAt = signal<number | undefined>(undefined);

const timed = (path: string): string =>
  path.replace(/NOW-(\d+)/g, (_, seconds: string) => String(Date.now() - Number(seconds) * 1000));

interface Known<T> {
  readonly data?: T | undefined;
  readonly error?: RequestError | undefined;
  readonly loading: boolean;
  readonly of?: string | undefined;
}

/** Options of a resource: `poll` reads it again at the chosen interval (not in a hidden tab); `keep` shows the last answer while another is asked for. */
export interface ResourceOptions {
  readonly poll?: boolean;
  readonly keep?: boolean;
}

/** Reads `path` of the API (undefined: nothing yet). `NOW-SECONDS` in it stands for the time so long before each reading, in milliseconds. */
export function useResource<T>(
  path: string | undefined,
  { poll = true, keep = false }: ResourceOptions = {},
): Resource<T> {
  const [known, setKnown] = useState<Known<T>>({ loading: path !== undefined });
  const again = useRef<() => void>(() => {});
  const manual = refreshes.value;
  const interval = poll ? settings.value.refresh : 0;

  useEffect(() => {
    if (path === undefined) {
      setKnown({ loading: false });
      return;
    }
    let abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let ended = false;

    const read = async () => {
      clearTimeout(timer);
      abort.abort();
      const own = new AbortController();
      abort = own;
      underWay.value += 1;
      setKnown((before) => ({ ...(before.of === path || keep ? before : {}), loading: true }));
      try {
        const data = await getJson<T>(timed(path), { signal: own.signal });
        if (own !== abort || ended) return;
        answeredAt.value = Date.now();
        setKnown({ data, loading: false, of: path });
      } catch (error) {
        if (isAbort(error) || own !== abort || ended) return;
        const problem = error instanceof RequestError ? error : new RequestError(0, { message: messageOf(error) });
        setKnown((before) => ({
          data: before.of === path ? before.data : undefined,
          error: problem,
          loading: false,
          of: path,
        }));
      } finally {
        underWay.value -= 1;
        if (own === abort && !ended) schedule();
      }
    };
    const schedule = () => {
      if (interval > 0 && !document.hidden) timer = setTimeout(read, interval * 1000);
    };
    // A tab that comes back shows how things are now.
    const visible = () => {
      clearTimeout(timer);
      if (!document.hidden && interval > 0) void read();
    };
    document.addEventListener('visibilitychange', visible);
    again.current = () => void read();
    void read();
    return () => {
      ended = true;
      clearTimeout(timer);
      abort.abort();
      document.removeEventListener('visibilitychange', visible);
    };
  }, [path, interval, manual]);

  return {
    data: known.data,
    error: known.error,
    loading: known.loading,
    of: known.of,
    reload: () => again.current(),
  };
}
