import type { Http2Stream } from 'node:http2';
import { frameSlices, type MessageParts, MessageParser, type ReceiveBudget } from './framing.ts';
import { GrpcError } from './status.ts';

/** Writes messages to an HTTP/2 stream one after the other, waiting whenever the other side does not read. */
export class MessageWriter {
  readonly #stream: Http2Stream;
  #last: Promise<void> = Promise.resolve();

  constructor(stream: Http2Stream) {
    this.#stream = stream;
  }

  /** Resolves when the transport took the message; raises GrpcError CANCELLED when the stream is gone. */
  write(message: MessageParts): Promise<void> {
    const written = this.#last.then(() => this.#write(message));
    this.#last = written.catch(() => {});
    return written;
  }

  /** Resolves when everything written before is with the transport. */
  idle(): Promise<void> {
    return this.#last;
  }

  async #write(message: MessageParts): Promise<void> {
    for (const slice of frameSlices(message)) {
      const stream = this.#stream;
      if (stream.destroyed || stream.writableEnded) throw new GrpcError('CANCELLED', 'the stream is closed');
      if (!stream.write(slice)) await drained(stream);
    }
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
