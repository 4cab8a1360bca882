/**
 * HTTP/2 framing (RFC 9113), as much as the agent's two small gRPC partners need: Envoy, which fetches secrets over the Unix
 * socket, and an application that answers health checks. Node's own HTTP/2 brings TLS and more with it, 10 MB in each pod.
 */

export const FrameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

export const Flag = { endStream: 1, ack: 1, endHeaders: 4, padded: 8, priority: 0x20 } as const;

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1');

/** Greatest payload of a frame, which is also the protocol's default; larger ones are refused. */
export const MAX_FRAME = 16_384;

/** Window of a stream and of a connection until settings or updates change it. */
export const DEFAULT_WINDOW = 65_535;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  readonly payload: Buffer;
}

/** Thrown for what a peer that keeps to the protocol would not send; the connection has to end. */
export class Http2Error extends Error {
  constructor(message: string) {
    super(`HTTP/2: ${message}`);
    this.name = 'Http2Error';
  }
}

export function encodeFrame(
  type: number,
  flags: number,
  streamId: number,
  payload: Uint8Array = new Uint8Array(0),
): Buffer {
  const frame = Buffer.allocUnsafe(9 + payload.length);
  frame.writeUIntBE(payload.length, 0, 3);
  frame[3] = type;
  frame[4] = flags;
  frame.writeUInt32BE(streamId, 5);
  frame.set(payload, 9);
  return frame;
}

/** Settings are pairs of identifier and value. */
export function encodeSettings(settings: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * 6);
  settings.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, index * 6);
    payload.writeUInt32BE(value, index * 6 + 2);
  });
  return encodeFrame(FrameType.settings, 0, 0, payload);
}

export function decodeSettings(payload: Buffer): ReadonlyMap<number, number> {
  if (payload.length % 6 !== 0) throw new Http2Error('a settings frame has a wrong length');
  const out = new Map<number, number>();
  for (let at = 0; at < payload.length; at += 6) out.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  return out;
}

export function encodeWindowUpdate(streamId: number, increment: number): Buffer {
  const payload = Buffer.alloc(4);
  payload.writeUInt32BE(increment);
  return encodeFrame(FrameType.windowUpdate, 0, streamId, payload);
}

/** Payload of DATA or HEADERS without padding and priority. */
export function contentOf(frame: Frame): Buffer {
  let { payload } = frame;
  if (frame.flags & Flag.padded) {
    const padding = payload[0] ?? 0;
    if (payload.length < 1 + padding) throw new Http2Error('a frame has more padding than content');
    payload = payload.subarray(1, payload.length - padding);
  }
  if (frame.type === FrameType.headers && frame.flags & Flag.priority) {
    if (payload.length < 5) throw new Http2Error('a header frame is cut off');
    payload = payload.subarray(5);
  }
  return payload;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** The frames that this chunk completes. Raises {@link Http2Error} for one that is too large. */
  *push(chunk: Buffer): Generator<Frame, void> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    try {
      while (bytes.length >= 9) {
        const length = bytes.readUIntBE(0, 3);
        if (length > MAX_FRAME) throw new Http2Error(`a frame of ${length} bytes is over the limit of ${MAX_FRAME}`);
        if (bytes.length < 9 + length) return;
        const frame = {
          type: bytes[3] ?? 0,
          flags: bytes[4] ?? 0,
          streamId: bytes.readUInt32BE(5) & 0x7fffffff,
          payload: bytes.subarray(9, 9 + length),
        };
        bytes = bytes.subarray(9 + length);
        yield frame;
      }
    } finally {
      this.#rest = Buffer.from(bytes);
    }
  }
}
