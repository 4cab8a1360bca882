import { connect as connectHttp2, constants } from 'node:http2';
import * as http from 'node:http';
import * as https from 'node:https';
import { connect } from 'node:net';
import type { Container, Handler, HttpGetAction } from '../controllers/kinds.ts';

/** Outcome of one probe or hook; the message is for an event. */
export interface ProbeResult {
  readonly ok: boolean;
  readonly message: string;
}

export interface ProbeTarget {
  readonly podIP: string;
  readonly container: Container;
  /** Runs a command in the container. */
  readonly exec: (
    command: readonly string[],
    timeout: number,
  ) => Promise<{ readonly exitCode: number; readonly output: string }>;
}

const BODY_LIMIT = 10 * 1024;

/** Runs a handler once; never rejects. `timeout` in milliseconds. */
export async function runHandler(handler: Handler, target: ProbeTarget, timeout: number): Promise<ProbeResult> {
  try {
    if (handler.exec !== undefined) {
      const { exitCode, output } = await target.exec(handler.exec.command ?? [], timeout);
      return { ok: exitCode === 0, message: output.slice(0, 1000) };
    }
    if (handler.httpGet !== undefined) return await httpGet(handler.httpGet, target, timeout);
    if (handler.tcpSocket !== undefined) {
      const port = portNumber(handler.tcpSocket.port, target.container);
      return await tcp(handler.tcpSocket.host || target.podIP, port, timeout);
    }
    if (handler.grpc !== undefined) {
      return await grpcHealth(target.podIP, handler.grpc.port, handler.grpc.service ?? '', timeout);
    }
    if (handler.sleep !== undefined) {
      const { seconds } = handler.sleep;
      await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      return { ok: true, message: '' };
    }
    return { ok: true, message: '' };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) };
  }
}

function portNumber(port: number | string, container: Container): number {
  if (typeof port === 'number') return port;
  if (/^\d+$/.test(port)) return Number(port);
  const named = container.ports?.find((candidate) => candidate.name === port);
  if (named === undefined) throw new Error(`container ${container.name} has no port named "${port}"`);
  return named.containerPort;
}

/** What went wrong with a connection, in the words that people know from kubelet. */
function dialFailure(host: string, port: number, error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return `dial tcp ${host}:${port}: connect: connection refused`;
  if (code === 'ECONNRESET') return `read tcp ${host}:${port}: read: connection reset by peer`;
  return `dial tcp ${host}:${port}: ${error.message}`;
}

function httpGet(action: HttpGetAction, target: ProbeTarget, timeout: number): Promise<ProbeResult> {
  const secure = action.scheme?.toUpperCase() === 'HTTPS';
  const host = action.host || target.podIP;
  const port = portNumber(action.port, target.container);
  const headers: Record<string, string> = { 'User-Agent': 'kube-probe/1.32', Accept: '*/*', Connection: 'close' };
  for (const { name, value } of action.httpHeaders ?? []) headers[name] = value;
  const path = action.path || '/';
  const url = `${secure ? 'https' : 'http'}://${host}:${port}${path}`;
  return new Promise((resolve) => {
    const options = { host, port, path: path.startsWith('/') ? path : `/${path}`, headers, agent: false, timeout };
    const request = secure ? https.request({ ...options, rejectUnauthorized: false }) : http.request(options);
    const deadline = setTimeout(() => {
      request.destroy();
      resolve({ ok: false, message: `Get "${url}": context deadline exceeded` });
    }, timeout);
    request.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (text: string) => {
        if (body.length < BODY_LIMIT) body += text;
        else response.destroy();
      });
      response.on('close', () => {
        clearTimeout(deadline);
        const status = response.statusCode ?? 0;
        if (status >= 200 && status < 400) resolve({ ok: true, message: '' });
        else resolve({ ok: false, message: `HTTP probe failed with statuscode: ${status}` });
      });
    });
    request.on('error', (error) => {
      clearTimeout(deadline);
      resolve({ ok: false, message: `Get "${url}": ${dialFailure(host, port, error)}` });
    });
    request.end();
  });
}

function tcp(host: string, port: number, timeout: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const finish = (result: ProbeResult) => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(result);
    };
    const deadline = setTimeout(() => finish({ ok: false, message: `dial tcp ${host}:${port}: i/o timeout` }), timeout);
    socket.on('connect', () => finish({ ok: true, message: '' }));
    socket.on('error', (error) => finish({ ok: false, message: dialFailure(host, port, error) }));
  });
}

/** The standard health check of gRPC (grpc.health.v1.Health/Check). */
export function grpcHealth(host: string, port: number, service: string, timeout: number): Promise<ProbeResult> {
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${host}:${port}`);
    let settled = false;
    const finish = (result: ProbeResult) => {
      if (settled) return;
      settled = true;
      clearTimeout(deadline);
      session.destroy();
      resolve(result);
    };
    const deadline = setTimeout(
      () => finish({ ok: false, message: `timeout: failed to connect service "${host}:${port}" within ${timeout} ms` }),
      timeout,
    );
    session.on('error', (error) => finish({ ok: false, message: `connect ${host}:${port}: ${error.message}` }));
    const name = Buffer.from(service).subarray(0, 127);
    const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, name.length]), name]);
    const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/grpc.health.v1.Health/Check',
      'content-type': 'application/grpc',
      te: 'trailers',
      'user-agent': 'kube-probe/1.32',
    });
    let grpcStatus: unknown;
    const chunks: Buffer[] = [];
    let size = 0;
    const note = (headers: Record<string, unknown>) => {
      if (headers['grpc-status'] !== undefined) grpcStatus = headers['grpc-status'];
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= 1024) chunks.push(chunk);
    });
    stream.on('error', (error) => finish({ ok: false, message: error.message }));
    stream.on('close', () => {
      const body = Buffer.concat(chunks);
      // HealthCheckResponse: field 1, SERVING is 1.
      const serving = body.length >= 7 && body[5] === 0x08 && body[6] === 1;
      if (String(grpcStatus) !== '0') {
        finish({ ok: false, message: `service unhealthy (grpc-status ${String(grpcStatus)})` });
      } else finish({ ok: serving, message: serving ? '' : 'service unhealthy (responded with "NOT_SERVING")' });
    });
    stream.end(frame);
  });
}
