import { Agent, request } from 'node:http';

export interface Load {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Connections, each of which has one request under way. */
  readonly connections: number;
  /** Calls each second of all connections together; 0: as many as go. */
  readonly qps: number;
  /** Calls in all; undefined: until `durationMs` is over. */
  readonly calls: number | undefined;
  readonly durationMs: number;
  readonly timeoutMs: number;
  readonly keepAlive: boolean;
  readonly body?: string;
}

export interface Result {
  readonly ms: number;
  /** How often each status was answered; -1 where there was no answer. */
  readonly codes: ReadonlyMap<number, number>;
  /** How long each call took, ascending. */
  readonly latenciesMs: readonly number[];
  readonly sockets: number;
}

function call(load: Load, agent: Agent): Promise<number> {
  return new Promise((resolve) => {
    const outgoing = request(
      load.url,
      {
        agent,
        method: load.body === undefined ? 'GET' : 'POST',
        headers: { 'user-agent': 'fortio', ...load.headers },
        signal: AbortSignal.timeout(load.timeoutMs),
      },
      (response) => {
        response.resume();
        response.on('error', () => resolve(-1));
        response.on('end', () => resolve(response.statusCode ?? -1));
      },
    );
    outgoing.on('error', () => resolve(-1));
    outgoing.end(load.body);
  });
}

/** Sends the load and tells what came back. `now` gives milliseconds. */
export async function runLoad(load: Load, now: () => number): Promise<Result> {
  const started = now();
  const codes = new Map<number, number>();
  const latenciesMs: number[] = [];
  let sockets = 0;
  let begun = 0;
  const perConnection = load.qps > 0 ? (1000 * load.connections) / load.qps : 0;
  const connection = async (): Promise<void> => {
    const agent = new Agent({ keepAlive: load.keepAlive, maxSockets: 1 });
    const connect = agent.createConnection.bind(agent);
    agent.createConnection = (...args: Parameters<typeof connect>) => {
      sockets++;
      return connect(...args);
    };
    for (let turn = 0; load.calls === undefined ? now() - started < load.durationMs : begun < load.calls; turn++) {
      begun++;
      const pause = started + turn * perConnection - now();
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
      const sent = now();
      const code = await call(load, agent);
      latenciesMs.push(now() - sent);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: load.connections }, connection));
  return { ms: now() - started, codes, latenciesMs: latenciesMs.toSorted((a, b) => a - b), sockets };
}

const percentiles = [50, 75, 90, 99, 99.9];

/** The report of a load, whose lines `Code NNN : COUNT (PERCENT %)` say how many calls got which status. */
export function report({ ms, codes, latenciesMs, sockets }: Result, load: Load): string {
  const total = latenciesMs.length;
  const seconds = (value: number) => (value / 1000).toFixed(6);
  const average = total === 0 ? 0 : latenciesMs.reduce((sum, value) => sum + value, 0) / total;
  const at = (percent: number) => latenciesMs[Math.max(0, Math.ceil((percent / 100) * total) - 1)] ?? 0;
  return [
    `Ended after ${(ms / 1000).toFixed(3)}s : ${total} calls. qps=${((total * 1000) / Math.max(ms, 1)).toFixed(2)}`,
    `Latency in seconds : min ${seconds(latenciesMs[0] ?? 0)} avg ${seconds(average)} max ${seconds(latenciesMs.at(-1) ?? 0)}`,
    ...percentiles.map((percent) => `# target ${percent}% ${seconds(at(percent))}`),
    `Sockets used: ${sockets} (for perfect keepalive, would be ${load.keepAlive ? load.connections : total})`,
    ...[...codes]
      .toSorted(([a], [b]) => a - b)
      .map(([code, count]) => `Code ${String(code).padStart(3)} : ${count} (${((100 * count) / total).toFixed(1)} %)`),
    `All done ${total} calls ${average.toFixed(3)} ms avg, ${((total * 1000) / Math.max(ms, 1)).toFixed(1)} qps`,
  ].join('\n');
}
