import type { Duplex } from 'node:stream';
import type { ExecChannels } from './exec-session.ts';
import { SpdyConnection, type SpdyStream } from './spdy.ts';
import type { WantedStreams } from './web-socket-channels.ts';

const STREAMS_TIMEOUT = 30_000;

/** The streams of exec and attach over SPDY; rejects when the client does not open them in time. */
export function spdyChannels(
  socket: Duplex,
  head: Buffer,
  wanted: WantedStreams,
  protocol: string,
): Promise<ExecChannels> {
  const expected = ['error'];
  if (wanted.stdin) expected.push('stdin');
  if (wanted.stdout) expected.push('stdout');
  if (wanted.stderr && !wanted.tty) expected.push('stderr');
  if (wanted.tty && (protocol.startsWith('v3') || protocol.startsWith('v4') || protocol.startsWith('v5')))
    expected.push('resize');
  const streams = new Map<string, SpdyStream>();
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error('timed out waiting for the client to create streams'));
      connection.close();
    }, STREAMS_TIMEOUT);
    const connection = new SpdyConnection(socket, head, (stream) => {
      streams.set(stream.headers.get('streamtype') ?? '', stream);
      if (!expected.every((type) => streams.has(type))) return;
      clearTimeout(timer);
      resolve(channelsOf(connection, streams, protocol, gone));
    });
    void gone.then(() => {
      clearTimeout(timer);
      reject(new Error('the client has gone'));
    });
  });
}

function channelsOf(
  connection: SpdyConnection,
  streams: ReadonlyMap<string, SpdyStream>,
  protocol: string,
  gone: Promise<void>,
): ExecChannels {
  const error = streams.get('error');
  const versioned = protocol.startsWith('v4') || protocol.startsWith('v5');
  return {
    stdin: streams.get('stdin'),
    stdout: streams.get('stdout'),
    stderr: streams.get('stderr'),
    resize: streams.get('resize'),
    gone,
    finish: async (status) => {
      const { status: outcome, message } = status as { status?: string; message?: string };
      const text = versioned ? JSON.stringify(status) : outcome === 'Success' ? '' : (message ?? '');
      if (error !== undefined && !error.destroyed) {
        await new Promise<void>((resolve) => {
          error.end(text, () => resolve());
          error.once('close', () => resolve());
        });
      }
      for (const name of ['stdout', 'stderr']) streams.get(name)?.end();
      streams.get('stdin')?.resume();
      connection.end();
    },
  };
}
