import { Agent, request } from 'node:http';

export interface Answer {
  /** 0 when there was no answer; `error` says why. */
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
  readonly ms: number;
  readonly error?: string;
}

/** One HTTP request; resolves with status 0 where there was no answer. */
export function http(
  url: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
    readonly agent?: Agent;
    readonly timeoutMs?: number;
  } = {},
): Promise<Answer> {
  const started = Date.now();
  return new Promise((resolve) => {
    const fail = (error: Error) =>
      resolve({ status: 0, headers: {}, body: '', ms: Date.now() - started, error: error.message });
    const outgoing = request(
      url,
      {
        method: options.method ?? 'GET',
        headers: options.headers ?? {},
        agent: options.agent,
        timeout: options.timeoutMs ?? 30_000,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString('utf8'),
            ms: Date.now() - started,
          }),
        );
        response.on('error', fail);
      },
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error('timed out')));
    outgoing.on('error', fail);
    outgoing.end(options.body);
  });
}

/** Posts a form. */
export function postForm(
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  const body = new URLSearchParams(fields).toString();
  return http(url, {
    method: 'POST',
    body,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(Buffer.byteLength(body)),
      ...headers,
    },
  });
}

/** Sends requests one after another on several connections until stopped; tells how many failed. */
export function load(
  url: string,
  options: { readonly connections: number; readonly headers?: Readonly<Record<string, string>> },
): { readonly stop: () => Promise<{ readonly total: number; readonly failures: readonly string[] }> } {
  const agent = new Agent({ keepAlive: true, maxSockets: options.connections });
  const failures: string[] = [];
  let total = 0;
  let running = true;
  const workers = Array.from({ length: options.connections }, async () => {
    while (running) {
      const answer = await http(url, { agent, ...(options.headers ? { headers: options.headers } : {}) });
      total += 1;
      if (answer.status !== 200) failures.push(`${answer.status} ${answer.error ?? answer.body.slice(0, 200)}`);
    }
  });
  return {
    stop: async () => {
      running = false;
      await Promise.all(workers);
      agent.destroy();
      return { total, failures };
    },
  };
}
