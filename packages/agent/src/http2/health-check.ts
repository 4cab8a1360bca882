import { connect } from 'node:net';
import { contentOf, encodeFrame, encodeSettings, Flag, FrameReader, FrameType, PREFACE } from './frames.ts';
import { encodeHeaders } from './hpack.ts';

export interface HealthCheckOptions {
  readonly host: string;
  readonly port: number;
  /** Address to call from. */
  readonly localAddress: string | undefined;
  /** Name of the service asked for; empty for the whole server. */
  readonly service: string;
  readonly timeoutMs: number;
}

/**
 * One call of `grpc.health.v1.Health/Check` in plain text. Gives the answer's `status` field (1 is SERVING, 0 when the call failed).
 * Rejects when there is no answer in time.
 */
export function checkGrpcHealth(options: HealthCheckOptions): Promise<number> {
  const service = Buffer.from(options.service, 'utf8');
  if (service.length > 127)
    return Promise.reject(new Error('the service name of a gRPC probe may have 127 bytes at most'));
  const request = service.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.of(0x0a, service.length), service]);
  const headers = encodeHeaders([
    [':method', 'POST'],
    [':scheme', 'http'],
    [':path', '/grpc.health.v1.Health/Check'],
    [':authority', `${options.host.includes(':') ? `[${options.host}]` : options.host}:${options.port}`],
    ['content-type', 'application/grpc'],
    ['te', 'trailers'],
    ['user-agent', 'kube-probe'],
  ]);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: options.host, port: options.port, localAddress: options.localAddress });
    const frames = new FrameReader();
    const body: Buffer[] = [];
    const done = (action: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      action();
    };
    const timer = setTimeout(
      () => done(() => reject(new Error(`no answer in ${options.timeoutMs} ms`))),
      options.timeoutMs,
    );
    socket.on('connect', () => {
      socket.write(PREFACE);
      socket.write(encodeSettings([]));
      socket.write(encodeFrame(FrameType.headers, Flag.endHeaders, 1, headers));
      socket.write(
        encodeFrame(FrameType.data, Flag.endStream, 1, Buffer.concat([Buffer.of(0, 0, 0, 0, request.length), request])),
      );
    });
    socket.on('data', (chunk: Buffer) => {
      try {
        for (const frame of frames.push(chunk)) {
          if (frame.type === FrameType.settings && !(frame.flags & Flag.ack))
            socket.write(encodeFrame(FrameType.settings, Flag.ack, 0));
          if (frame.type === FrameType.ping && !(frame.flags & Flag.ack))
            socket.write(encodeFrame(FrameType.ping, Flag.ack, 0, frame.payload));
          if (frame.type === FrameType.goaway && frame.payload.readUInt32BE(4) !== 0)
            throw new Error('the server refused the connection');
          if (frame.streamId !== 1) continue;
          if (frame.type === FrameType.data && body.length < 10) body.push(Buffer.from(contentOf(frame)));
          const over =
            frame.type === FrameType.rstStream ||
            ((frame.type === FrameType.headers || frame.type === FrameType.data) &&
              (frame.flags & Flag.endStream) !== 0);
          if (over) return done(() => resolve(readStatus(Buffer.concat(body))));
        }
      } catch (error) {
        done(() => reject(error));
      }
    });
    socket.on('error', (error) => done(() => reject(error)));
    socket.on('end', () => done(() => reject(new Error('the server closed the connection'))));
  });
}

/** HealthCheckResponse.status is field 1, a varint. */
function readStatus(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] ?? 0) : 0;
}
