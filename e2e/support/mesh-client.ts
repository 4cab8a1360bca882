import { spawn } from 'node:child_process';
import { http as hostHttp } from './http.ts';
import type { Cluster } from './cluster.ts';

/** What a function that runs in the client's pod is given. */
export interface Modules {
  readonly http: typeof import('node:http');
  readonly http2: typeof import('node:http2');
  readonly net: typeof import('node:net');
  readonly tls: typeof import('node:tls');
}

export interface Call {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** So many bytes are sent as the body. */
  readonly bodyBytes?: number;
  /** How often the request is sent (once), and how many at a time (one). */
  readonly times?: number;
  readonly parallel?: number;
  /** The address to connect to, where it is not that of the URL's host. */
  readonly connectTo?: string;
}

/** What a client in a pod sees of an answer; `status` 0 where there was none, and `error` says why. */
export interface Seen {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
  readonly bytes: number;
  readonly ms: number;
  readonly error?: string;
}

/** A client in a pod of the mesh (or outside of it). */
export interface MeshClient {
  /** Runs a function in the pod; it may use only its arguments. */
  run<I, T>(task: (modules: Modules, input: I) => Promise<T>, input: I): Promise<T>;
  calls(call: Call): Promise<readonly Seen[]>;
  call(call: Call | string): Promise<Seen>;
  close(): void;
}

/** Connects to the client program in a pod through `kubectl port-forward`. */
export async function meshClient(cluster: Cluster, namespace: string, target: string): Promise<MeshClient> {
  const forward = spawn('kubectl', ['port-forward', '-n', namespace, target, ':7000'], {
    env: cluster.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const port = await new Promise<number>((resolve, reject) => {
    let text = '';
    const read = (chunk: Buffer) => {
      text += chunk.toString();
      const found = /127\.0\.0\.1:(\d+) ->/.exec(text);
      if (found) resolve(Number(found[1]));
    };
    forward.stdout.on('data', read);
    forward.stderr.on('data', read);
    forward.on('exit', () => reject(new Error(`port-forward to ${target} ended: ${text}`)));
  });
  const run: MeshClient['run'] = async <I, T>(task: (modules: Modules, input: I) => Promise<T>, input: I) => {
    const answer = await hostHttp(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      body: JSON.stringify({ source: task.toString(), input }),
      timeoutMs: 120_000,
    });
    if (answer.status === 0) throw new Error(`${target} did not answer: ${answer.error}`);
    const result = JSON.parse(answer.body) as { readonly value: T; readonly error?: string };
    if (result.error !== undefined) throw new Error(`in ${target}: ${result.error}`);
    return result.value;
  };
  const calls = (call: Call) => run(send, call);
  return {
    run,
    calls,
    call: async (call) => {
      const [seen] = await calls(typeof call === 'string' ? { url: call } : call);
      if (!seen) throw new Error('no call was made');
      return seen;
    },
    close: () => void forward.kill(),
  };
}

/** Runs in the pod. */
async function send({ http }: Modules, call: Call): Promise<Seen[]> {
  const times = call.times ?? 1;
  const url = new URL(call.url);
  const agent = new http.Agent({ keepAlive: times > 1, maxSockets: call.parallel ?? 1 });
  const one = () =>
    new Promise<Seen>((resolve) => {
      const started = Date.now();
      const fail = (error: Error) =>
        resolve({ status: 0, headers: {}, text: '', bytes: 0, ms: Date.now() - started, error: error.message });
      const outgoing = http.request(
        {
          host: call.connectTo ?? url.hostname,
          port: url.port || 80,
          path: url.pathname + url.search,
          method: call.method ?? 'GET',
          headers: { host: url.host, ...call.headers },
          agent,
          timeout: 20_000,
        },
        (response) => {
          const chunks: Buffer[] = [];
          response.on('data', (chunk: Buffer) => chunks.push(chunk));
          response.on('error', fail);
          response.on('end', () => {
            const body = Buffer.concat(chunks);
            resolve({
              status: response.statusCode ?? 0,
              headers: Object.fromEntries(
                Object.entries(response.headers).map(([name, value]) => [name, value?.toString()]),
              ),
              text: body.length < 100_000 ? body.toString() : '',
              bytes: body.length,
              ms: Date.now() - started,
            });
          });
        },
      );
      outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
      outgoing.on('error', fail);
      if (call.bodyBytes) outgoing.write(Buffer.alloc(call.bodyBytes, 'u'));
      outgoing.end();
    });
  const answers: Seen[] = [];
  let left = times;
  await Promise.all(
    Array.from({ length: call.parallel ?? 1 }, async () => {
      while (left-- > 0) answers.push(await one());
    }),
  );
  agent.destroy();
  return answers;
}
