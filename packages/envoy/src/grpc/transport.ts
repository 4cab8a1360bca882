import type { Http2Stream } from 'node:http2';
import { frameSlices, type MessageParts, MessageParser, type ReceiveBudget } from './framing.ts';
import { GrpcError } from './status.ts';

/** Writes messages to an HTTP/2 stream one after the other, waiting whenever the other side does not read. */
export class MessageWriter {
  readonly #stream: Http2Stream;
  /** Settles when all that is being written is with the transport; undefined while nothing waits. */
  #last: Promise<void> | undefined;

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  /** Undefined where the transport took the message at once, else resolves when it did; raises GrpcError CANCELLED when the stream is gone. */
  write(message: MessageParts): Promise<void> | undefined {
    const slices = frameSlices(message);
    if (this.#last === undefined) {
      const full = this.#fill(slices);
      return full === undefined ? undefined : this.#wait(full.then(() => this.#rest(slices)));
    }
    return this.#wait(this.#last.then(() => this.#rest(slices)));
  }

  /** Resolves when everything written before is with the transport. */
  idle(): Promise<void> | undefined {
    return this.#last;
  }

  #wait(written: Promise<void>): Promise<void> {
    const settled = written
      .catch(() => {})
      .then(() => {
        if (this.#last === settled) this.#last = undefined;
      });
    this.#last = settled;
    return written;
  }

  /** Hands slices over until the transport is full; then resolves when it is no more. */
  #fill(slices: Generator<Uint8Array, void>): Promise<void> | undefined {
    const stream = this.#stream;
    for (let next = slices.next(); next.done !== true; next = slices.next()) {
      if (stream.destroyed || stream.writableEnded) throw new GrpcError('CANCELLED', 'the stream is closed');
      if (!stream.write(next.value)) return drained(stream);
    }
    return undefined;
  }

  async #rest(slices: Generator<Uint8Array, void>): Promise<void> {
    for (let full = this.#fill(slices); full !== undefined; full = this.#fill(slices)) await full;
  }
}

function drained(stream: Http2Stream): Promise<void> {
  return new Promise((resolve, reject) => {
    const onDrain = (): void => {
      stream.off('close', onClose);
      resolve();
    };
    const onClose = (): void => {
      stream.off('drain', onDrain);
      reject(new GrpcError('CANCELLED', 'the stream is closed'));
    };
    stream.once('drain', onDrain);
    stream.once('close', onClose);
  });
}

/**
 * The messages that arrive on a stream. Nothing is read ahead of the consumer but what HTTP/2's window admits.
 * Raises GrpcError for framing errors and CANCELLED when the other side resets the stream.
 */
export async function* readMessages(
  stream: Http2Stream,
  limit: number,
  encoding: string | undefined,
  budget?: ReceiveBudget,
): AsyncGenerator<Buffer> {
  const parser = new MessageParser({ limit, encoding });
  let held = 0;
  const hold = (bytes: number): void => {
    if (bytes > held) budget?.take(bytes - held);
    else budget?.give(held - bytes);
    held = bytes;
  };
  try {
    for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
      yield* parser.push(chunk);
      hold(parser.held);
    }
  } catch (error) {
    if (error instanceof GrpcError) throw error;
    throw new GrpcError('CANCELLED', 'the stream was reset');
  } finally {
    hold(0);
  }
  if (stream.aborted) throw new GrpcError('CANCELLED', 'the stream was reset');
  parser.end();
}

/**
 * Calls `handle` with each message of a stream when it arrives; while it returns a promise nothing more is read. Resolves when the other side has
 * ended its messages. Rejects with what `handle` throws, and as `readMessages` does.
 */
export function handleMessages(
  stream: Http2Stream,
  limit: number,
  encoding: string | undefined,
  budget: ReceiveBudget | undefined,
  handle: (message: Buffer) => Promise<void> | undefined,
): Promise<void> {
  const parser = new MessageParser({ limit, encoding });
  let held = 0;
  const hold = (bytes: number): void => {
    if (bytes > held) budget?.take(bytes - held);
    else budget?.give(held - bytes);
    held = bytes;
  };
  return new Promise((resolve, reject) => {
    let messages: Generator<Buffer, void> | undefined;
    const leave = (): void => {
      stream.off('data', onData);
      stream.off('end', onEnd);
      stream.off('close', onClose);
      hold(0);
    };
    const fail = (error: unknown): void => {
      leave();
      reject(error);
    };
    /** Handles what has arrived; false while it has to wait. */
    const advance = (): boolean => {
      for (let next = messages?.next(); next !== undefined && next.done !== true; next = messages?.next()) {
        const waiting = handle(next.value);
        if (waiting === undefined) continue;
        stream.pause();
        waiting
          .then(() => {
            if (advance()) stream.resume();
          })
          .catch(fail);
        return false;
      }
      messages = undefined;
      hold(parser.held);
      return true;
    };
    const onData = (chunk: Buffer): void => {
      try {
        messages = parser.push(chunk);
        advance();
      } catch (error) {
        fail(error);
      }
    };
    const onEnd = (): void => {
      if (stream.aborted) return;
      leave();
      try {
        parser.end();
        resolve();
      } catch (error) {
        reject(error);
      }
    };
    const onClose = (): void => fail(new GrpcError('CANCELLED', 'the stream was reset'));
    if (stream.destroyed) {
      onClose();
      return;
    }
    stream.on('data', onData);
    stream.on('end', onEnd);
    stream.on('close', onClose);
  });
}
