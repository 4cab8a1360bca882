import { execFile, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, Readable } from 'node:stream';
import type { ExecSession, NodeRuntime } from '../node-runtime.ts';
import type { ApiServer, ApiServerOptions } from './options.ts';
import { startApiServer } from './server.ts';

/** A node without containers, for tests: commands run on the host as they are, ports are those of the loopback interface. */
export const HOST_RUNTIME: NodeRuntime = {
  logs: async (_namespace, pod, options) => Readable.from([`log of ${pod}/${options.container ?? ''}\n`]),
  exec: async (_namespace, _pod, { command, stdin, tty }): Promise<ExecSession> => {
    const [program = 'true', ...rest] = command;
    const child = spawn(program, rest, { stdio: ['pipe', 'pipe', 'pipe'] });
    if (!stdin) child.stdin.end();
    return {
      stdin: stdin ? child.stdin : undefined,
      stdout: child.stdout,
      stderr: tty ? undefined : child.stderr,
      exitCode: new Promise((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (code) => resolve(code ?? 137));
      }),
      resize: () => {},
      kill: () => child.kill('SIGKILL'),
    };
  },
  attach: async () => {
    throw new Error('nothing to attach to');
  },
  dial: (_namespace, _pod, port) =>
    new Promise<Duplex>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port });
      socket.once('connect', () => resolve(socket));
      socket.once('error', reject);
    }),
};

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers freely
  readonly body: any;
  readonly warnings: readonly string[];
}

/** A running API server with ways to talk to it. */
export interface TestServer {
  readonly server: ApiServer;
  readonly directory: string;
  readonly port: number;
  /** JSON over the Unix socket, as the administrator unless a token is given. */
  call(method: string, path: string, body?: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>;
  kubectl(
    args: readonly string[],
    input?: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }>;
  /** Ends the server and starts another one on the same state. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

export async function startTestServer(options: Partial<ApiServerOptions> = {}): Promise<TestServer> {
  const directory = mkdtempSync(join(tmpdir(), 'istio-ts-api-'));
  const socket = join(directory, 'api.sock');
  const start = async () => {
    const server = await startApiServer({
      stateDir: join(directory, 'state'),
      runtime: HOST_RUNTIME,
      serviceCidr: '10.96.0.0/16',
      listen: [
        { kind: 'tls', host: '127.0.0.1', port: 0 },
        { kind: 'unix', path: socket },
      ],
      certSans: [],
      log: () => {},
      ...options,
    });
    const port = server.addresses[0]?.port ?? 0;
    writeFileSync(join(directory, 'kubeconfig'), JSON.stringify(server.adminKubeconfig(`https://127.0.0.1:${port}`)));
    return { server, port };
  };
  let running = await start();
  return {
    get server() {
      return running.server;
    },
    get port() {
      return running.port;
    },
    directory,
    call: (method, path, body, headers) => callUnix(socket, method, path, body, headers),
    kubectl: (args, input, env) => kubectl(directory, args, input, env),
    restart: async () => {
      await running.server.close();
      running = await start();
    },
    close: async () => {
      await running.server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function callUnix(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const request = httpRequest(
      {
        socketPath,
        method,
        path,
        headers: {
          'content-type': 'application/json',
          'user-agent': 'test/1',
          ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }),
          ...headers,
        },
        agent: false,
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8');
          const warning = response.headers.warning;
          let parsed: unknown = answer;
          try {
            parsed = JSON.parse(answer);
          } catch {
            // Plain text.
          }
          resolve({
            status: response.statusCode ?? 0,
            body: parsed,
            warnings: warning === undefined ? [] : [String(warning)],
          });
        });
      },
    );
    request.on('error', reject);
    request.end(text);
  });
}

export const HAS_KUBECTL = spawnSync('kubectl', ['version', '--client']).status === 0;

function kubectl(
  directory: string,
  args: readonly string[],
  input = '',
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      'kubectl',
      args,
      {
        env: { ...process.env, KUBECONFIG: join(directory, 'kubeconfig'), HOME: directory, ...env },
        timeout: 60_000,
        maxBuffer: 32 * 1024 * 1024,
      },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : 1;
        resolve({ code, stdout, stderr });
      },
    );
    child.stdin?.end(input);
  });
}

/** Asks again until the answer is right; fails with the last answer after ten seconds. */
export async function eventually<T>(ask: () => Promise<T>, right: (value: T) => boolean): Promise<T> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const value = await ask();
    if (right(value)) return value;
    if (Date.now() > deadline) throw new Error(`still not right after ten seconds: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function deployment(name: string, extra: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'app', image: 'app:1', ports: [{ containerPort: 80 }] }] },
      },
      ...extra,
    },
  };
}

export function configMap(name: string, data: Readonly<Record<string, string>> = {}): Record<string, unknown> {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data };
}
