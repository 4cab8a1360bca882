import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import type WebSocketType from 'ws';
import type { KubeApiError } from './client.ts';
import { queryString } from './paths.ts';
import { ConnectionError, failureOf, readAll, type Transport } from './transport.ts';

const maxOutput = 64 << 20;
const maxFrame = 32 << 10;
const connectTimeoutMs = 30_000;
/** How much may wait in the WebSocket's own buffer before a writer has to wait. */
const highWater = 256 << 10;

/** Channels of a remote command (Kubernetes' v4 and v5.channel.k8s.io WebSocket protocols). */
const channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, close: 255 } as const;

function podPath(namespace: string, pod: string, what: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/pods/${encodeURIComponent(pod)}/${what}`;
}

/** `attach` runs in the moment the connection opens, so that no frame is missed. */
async function open<T>(
  transport: Transport,
  path: string,
  protocols: string[],
  attach: (socket: WebSocketType) => T,
): Promise<T> {
  // Loaded on first use: most processes never open a stream to a pod.
  const { WebSocket } = await import('ws');
  const { headers, tls, socketPath } = await transport.connectOptions();
  const { server } = transport;
  const url = `${server.protocol === 'https:' ? 'wss' : 'ws'}://${server.host}${server.pathname.replace(/\/$/, '')}${path}`;
  const socket = new WebSocket(url, protocols, {
    headers: headers as Record<string, string>,
    perMessageDeflate: false,
    handshakeTimeout: connectTimeoutMs,
    maxPayload: 16 << 20,
    ...(socketPath === undefined ? tls : { createConnection: () => connect(socketPath) }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  socket.once('open', () => resolve(attach(socket)));
  socket.once('unexpected-response', (_request, response) => {
    readAll(response, 1 << 20)
      .catch(() => '')
      .then((text) => reject(failureOf(response.statusCode ?? 500, text, `GET ${transport.address}${path}`)));
  });
  socket.on('error', (error) => reject(new ConnectionError({ method: 'GET', path }, transport.address, error, false)));
  return promise.catch((error) => {
    socket.terminate();
    throw error;
  });
}

function bytesOf(data: WebSocketType.RawData): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

function frame(id: number, bytes: Uint8Array): Buffer {
  const message = Buffer.allocUnsafe(bytes.length + 1);
  message[0] = id;
  message.set(bytes, 1);
  return message;
}

/** Runs a command in a container and waits for its end. */
export async function execInPod(
  transport: Transport,
  namespace: string,
  pod: string,
  container: string | undefined,
  command: readonly string[],
  stdin: Uint8Array | undefined,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }> {
  const query = new URLSearchParams();
  for (const word of command) query.append('command', word);
  if (container !== undefined) query.append('container', container);
  query.append('stdout', 'true');
  query.append('stderr', 'true');
  if (stdin !== undefined) query.append('stdin', 'true');
  const path = `${podPath(namespace, pod, 'exec')}?${query}`;
  return open(transport, path, ['v5.channel.k8s.io', 'v4.channel.k8s.io'], (socket) =>
    runCommand(socket, `${namespace}/${pod}`, stdin),
  );
}

async function runCommand(
  socket: WebSocketType,
  pod: string,
  stdin: Uint8Array | undefined,
): Promise<{ readonly stdout: string; readonly stderr: string; readonly exitCode: number }> {
  const output: Record<number, Buffer[]> = { [channel.stdout]: [], [channel.stderr]: [], [channel.error]: [] };
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let size = 0;
  socket.on('message', (data) => {
    const bytes = bytesOf(data);
    const id = bytes[0];
    const list = id === undefined ? undefined : output[id];
    if (!list) return;
    size += bytes.length;
    if (size > maxOutput) {
      socket.terminate();
      reject(new Error(`The command's output in pod ${pod} is larger than ${maxOutput >> 20} MiB.`));
      return;
    }
    list.push(bytes.subarray(1));
    if (id === channel.error) resolve();
  });
  socket.once('close', () => resolve());
  socket.once('error', reject);
  if (stdin !== undefined) {
    for (let at = 0; at < stdin.length; at += maxFrame) {
      socket.send(frame(channel.stdin, stdin.subarray(at, at + maxFrame)));
    }
    // Only v5 can say that the input has ended.
    if (socket.protocol === 'v5.channel.k8s.io') socket.send(Buffer.from([channel.close, channel.stdin]));
  }
  try {
    await promise;
  } finally {
    socket.close();
  }
  const text = (id: number): string => Buffer.concat(output[id] ?? []).toString('utf8');
  return { stdout: text(channel.stdout), stderr: text(channel.stderr), exitCode: exitCodeOf(text(channel.error), pod) };
}

/** The exit code in the `Status` object that ends a remote command. */
function exitCodeOf(status: string, pod: string): number {
  let body: {
    readonly status?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
  };
  try {
    body = JSON.parse(status) ?? {};
  } catch {
    throw new Error(
      `The connection to pod ${pod} ended before the command did.${status ? ` (${status.slice(0, 200)})` : ''}`,
    );
  }
  if (body.status === 'Success') return 0;
  const code = body.details?.causes?.find((cause) => cause.reason === 'ExitCode')?.message;
  if (body.reason === 'NonZeroExitCode' && code !== undefined) return Number(code);
  throw failureOf(500, status, `exec in pod ${pod}`) satisfies KubeApiError;
}

/**
 * One connection to a port of a pod. Of each port the server opens a data and an error channel (0 and 1 here); the first
 * frame on each repeats the port as two bytes, little end first (kubelet's WebSocket port-forward).
 * The protocol cannot close one direction: ending the writing side leaves the connection open until the pod closes it.
 */
export async function forwardToPod(
  transport: Transport,
  namespace: string,
  pod: string,
  port: number,
): Promise<Duplex> {
  const path = podPath(namespace, pod, 'portforward') + queryString({ ports: port });
  return open(
    transport,
    path,
    ['v4.channel.k8s.io'],
    (socket) => new PodConnection(socket, `port ${port} of pod ${namespace}/${pod}`),
  );
}

class PodConnection extends Duplex {
  readonly #socket: WebSocketType;
  readonly #what: string;
  readonly #greeted = [false, false];
  #failure = '';

  constructor(socket: WebSocketType, what: string) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#what = what;
    socket.on('message', (data) => this.#onMessage(bytesOf(data)));
    socket.on('close', () => {
      if (this.#failure !== '') this.destroy(new Error(`Cannot forward to ${this.#what}: ${this.#failure}`));
      else this.push(null);
    });
    socket.on('error', (error) => this.destroy(error));
    // Whoever awaits this connection needs a turn to attach listeners before the pod's refusal may arrive.
    socket.pause();
    setImmediate(() => socket.resume());
  }

  #onMessage(bytes: Buffer): void {
    const id = bytes[0];
    if (id !== 0 && id !== 1) return;
    let payload = bytes.subarray(1);
    if (!this.#greeted[id]) {
      this.#greeted[id] = true;
      payload = payload.subarray(2);
    }
    if (payload.length === 0) return;
    if (id === 1) {
      this.#failure += payload.toString('utf8').slice(0, 1000);
      this.destroy(new Error(`Cannot forward to ${this.#what}: ${this.#failure}`));
    } else if (!this.push(payload)) {
      this.#socket.pause();
    }
  }

  override _read(): void {
    if (this.#socket.isPaused) this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const socket = this.#socket;
    for (let at = 0; at < chunk.length; at += maxFrame) {
      const last = at + maxFrame >= chunk.length;
      const message = frame(0, chunk.subarray(at, at + maxFrame));
      // Below the mark the writer goes on at once; above it waits until this frame is on its way.
      if (last && socket.bufferedAmount > highWater) socket.send(message, (error) => done(error ?? null));
      else {
        socket.send(message, () => {});
        if (last) done();
      }
    }
    if (chunk.length === 0) done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error) this.#socket.terminate();
    else this.#socket.close();
    done(error);
  }
}
