import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test, type TestContext } from 'node:test';
import { KubeApiError, type KubeClient } from '@istio-ts/kube';
import type { LogLine } from '../api.ts';
import { ApiFailure } from '../http/failure.ts';
import { listen } from '../server.test-support.ts';
import type { LogSource } from './container-log.ts';
import { type LogQuery, streamLogs } from './stream.ts';

/** Logs as a kubelet gives them: times of a query count in whole seconds, a followed log goes on until its container ends. */
class Kubelet {
  readonly #logs = new Map<string, { lines: string[]; ended: boolean; wake: Set<() => void> }>();
  opened = 0;

  #log(name: string) {
    let log = this.#logs.get(name);
    if (!log) {
      log = { lines: [], ended: false, wake: new Set() };
      this.#logs.set(name, log);
    }
    return log;
  }

  write(name: string, ...lines: readonly string[]): void {
    const log = this.#log(name);
    log.lines.push(...lines.map((line) => `2026-01-01T00:00:${line}`));
    for (const wake of log.wake) wake();
  }

  end(name: string): void {
    const log = this.#log(name);
    log.ended = true;
    for (const wake of log.wake) wake();
  }

  readonly client = {
    logs: async (_namespace: string, pod: string, options: Parameters<KubeClient['logs']>[2]) => {
      const name = `${pod}/${options.container}`;
      const log = this.#logs.get(name);
      if (!log) throw new KubeApiError(400, 'BadRequest', `${name} is waiting to start`);
      this.opened++;
      const { signal } = options;
      const since = options.sinceTime === undefined ? 0 : Math.floor(Date.parse(options.sinceTime) / 1000) * 1000;
      return (async function* () {
        const kept = log.lines.filter((line) => Date.parse(line.split(' ')[0] ?? '') >= since);
        let at = log.lines.length;
        yield* options.tailLines === undefined ? kept : kept.slice(-options.tailLines);
        while (options.follow && !signal?.aborted) {
          while (at < log.lines.length) yield log.lines[at++] ?? '';
          if (log.ended) return;
          await new Promise<void>((resolve) => {
            log.wake.add(resolve);
            signal?.addEventListener('abort', () => resolve(), { once: true });
          });
        }
      })();
    },
  } as unknown as KubeClient;
}

const source = (pod: string, container: string, more: Partial<LogSource> = {}): LogSource => ({
  pod,
  container,
  start: '0',
  ended: false,
  ...more,
});

/** A browser at a server that streams these logs; `look` lets the server look again for pods. */
async function browser(t: TestContext, kubelet: Kubelet, query: Partial<LogQuery>) {
  const looks: (() => void)[] = [];
  const failures: unknown[] = [];
  const server = createServer((_request, response) => {
    const whole: LogQuery = {
      namespace: 'shop',
      sources: async () => [source('a', 'app'), source('b', 'app')],
      tail: 100,
      most: 100,
      sinceTime: undefined,
      follow: false,
      contains: '',
      severalPods: true,
      ...query,
    };
    const pause = (_ms: number, signal: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        looks.push(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    streamLogs(kubelet.client, whole, response, pause).catch((error) => {
      failures.push(error);
      response.writeHead(500).end();
    });
  });
  const port = await listen(server);
  const abort = new AbortController();
  t.after(() => {
    abort.abort();
    server.closeAllConnections();
    server.close();
  });
  const response = await fetch(`http://127.0.0.1:${port}/`, { signal: abort.signal });
  const text = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  const lines: LogLine[] = [];
  let over = false;
  /** Reads on until there are so many lines, or until the end. */
  const read = async (count = Infinity): Promise<readonly string[]> => {
    while (lines.length < count && !over) {
      const { value, done } = (await text?.read()) ?? { done: true, value: undefined };
      over = done;
      const parts = (rest + (value ?? '')).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) if (part.startsWith('data: ')) lines.push(JSON.parse(part.slice(6)) as LogLine);
    }
    return lines.splice(0, count).map(({ pod, container, text: words }) => `${pod}/${container} ${words}`);
  };
  return {
    read,
    failures,
    look: async () => {
      while (looks.length === 0) await new Promise((resolve) => setImmediate(resolve));
      looks.shift()?.();
    },
    leave: () => abort.abort(),
  };
}

test('lines of several pods come in the order of their times, the newest of all', async (t) => {
  const kubelet = new Kubelet();
  kubelet.write('a/app', '01.1Z one', '03.1Z three', '05.1Z five');
  kubelet.write('b/app', '02.1Z two', '04.1Z four');
  const { read } = await browser(t, kubelet, {});
  assert.deepEqual(await read(), ['a/app one', 'b/app two', 'a/app three', 'b/app four', 'a/app five']);
  const newest = await browser(t, kubelet, { most: 2 });
  assert.deepEqual(await newest.read(), ['b/app four', 'a/app five']);
  const some = await browser(t, kubelet, { contains: 'F' });
  assert.deepEqual(await some.read(), ['b/app four', 'a/app five']);
  const none = await browser(t, kubelet, { tail: 0 });
  assert.deepEqual(await none.read(), []);
});

test('following goes on after what was there: no line is missing, none comes twice', async (t) => {
  const kubelet = new Kubelet();
  // Of one second, and some of one moment: the kubelet knows seconds only.
  kubelet.write('a/app', '01.100Z one', '01.200Z two', '01.200Z two again');
  kubelet.write('b/app');
  const { read } = await browser(t, kubelet, { follow: true });
  assert.deepEqual(await read(3), ['a/app one', 'a/app two', 'a/app two again']);
  kubelet.write('a/app', '01.200Z third of the moment', '01.300Z three');
  assert.deepEqual(await read(2), ['a/app third of the moment', 'a/app three']);
  kubelet.write('b/app', '01.000Z first of b');
  assert.deepEqual(await read(1), ['b/app first of b']);
});

test('following with the last line only begins there', async (t) => {
  const kubelet = new Kubelet();
  kubelet.write('a/app', '01.1Z one', '01.2Z two');
  kubelet.write('b/app');
  const { read } = await browser(t, kubelet, { follow: true, tail: 1 });
  assert.deepEqual(await read(1), ['a/app two']);
  kubelet.write('a/app', '01.3Z three');
  assert.deepEqual(await read(1), ['a/app three']);
});

test('a pod that starts later joins, a container that was started again goes on', async (t) => {
  const kubelet = new Kubelet();
  kubelet.write('a/app', '01.1Z one');
  let sources = [source('a', 'app'), source('b', 'app')];
  const { read, look } = await browser(t, kubelet, { follow: true, sources: async () => sources });
  assert.deepEqual(await read(2), ['b/app The log of b/app cannot be read: b/app is waiting to start', 'a/app one']);
  kubelet.write('b/app', '02.1Z two');
  await look();
  assert.deepEqual(await read(1), ['b/app two']);
  sources = [...sources, source('c', 'app')];
  kubelet.write('c/app', '03.1Z three');
  await look();
  assert.deepEqual(await read(2), ['c/app Here begins c/app', 'c/app three']);
  kubelet.end('c/app');
  await look();
  kubelet.write('c/app', '04.1Z four');
  sources = [...sources.slice(0, 2), source('c', 'app', { start: '1' })];
  await look();
  assert.deepEqual(await read(1), ['c/app four']);
});

test('following ends with the pods, with the right to see them, and with the browser', async (t) => {
  const kubelet = new Kubelet();
  kubelet.write('a/app', '01.1Z one');
  kubelet.end('a/app');
  const over = await browser(t, kubelet, {
    follow: true,
    sources: async () => [source('a', 'app', { ended: true })],
    severalPods: false,
  });
  assert.deepEqual(await over.read(1), ['undefined/app one']);
  await over.look();
  assert.deepEqual(await over.read(), []);

  let asked = 0;
  kubelet.write('b/app', '01.1Z one');
  const refused = await browser(t, kubelet, {
    follow: true,
    sources: async () => {
      if (asked++ > 0) throw new ApiFailure(403, 'you may not list pods');
      return [source('b', 'app')];
    },
  });
  assert.deepEqual(await refused.read(1), ['b/app one']);
  await refused.look();
  assert.deepEqual(await refused.read(), ['undefined/ The log ends here: you may not list pods']);
});

test('where no log can be read the request fails', async (t) => {
  const { failures } = await browser(t, new Kubelet(), {});
  assert.match(String(failures[0]), /waiting to start/);
});
