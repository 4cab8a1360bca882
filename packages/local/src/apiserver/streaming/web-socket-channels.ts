import { PassThrough, Writable } from 'node:stream';
import type { WebSocket } from 'ws';
import type { ExecChannels } from './exec-session.ts';

const STDIN = 0;
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const RESIZE = 4;
/** v5: the client closes one of its channels. */
const CLOSE = 255;
const HIGH_WATER = 1024 * 1024;

/** Writes one channel of a WebSocket whose messages start with the number of their channel. */
export function channelWriter(socket: WebSocket, channel: number, base64: boolean): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, callback) {
      if (socket.readyState !== socket.OPEN) {
        callback();
        return;
      }
      const done = () => {
        if (socket.bufferedAmount < HIGH_WATER) callback();
        else setTimeout(done, 5);
      };
      if (base64) socket.send(`${channel}${chunk.toString('base64')}`, done);
      else socket.send(Buffer.concat([Buffer.from([channel]), chunk]), done);
    },
  });
}

/** Splits a message into its channel and content. */
export function readMessage(
  data: Buffer,
  base64: boolean,
): { readonly channel: number; readonly content: Buffer } | undefined {
  const first = data[0];
  if (first === undefined) return undefined;
  if (!base64) return { channel: first, content: data.subarray(1) };
  return { channel: first - 0x30, content: Buffer.from(data.toString('latin1', 1), 'base64') };
}

export interface WantedStreams {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  readonly tty: boolean;
}

/** The channels of exec and attach over a WebSocket (subprotocols `v5.channel.k8s.io`, `v4.channel.k8s.io`, `channel.k8s.io` and their base64 forms). */
export function webSocketChannels(socket: WebSocket, protocol: string, wanted: WantedStreams): ExecChannels {
  const base64 = protocol.startsWith('base64.') || protocol.includes('.base64.');
  const statusAsText = protocol === 'channel.k8s.io' || protocol === 'base64.channel.k8s.io' || protocol === '';
  const stdin = wanted.stdin ? new PassThrough() : undefined;
  const resize = wanted.tty ? new PassThrough() : undefined;
  const gone = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  void gone.then(() => {
    stdin?.end();
    resize?.end();
  });
  socket.on('error', () => {});
  socket.on('message', (data: Buffer) => {
    const message = readMessage(data, base64);
    if (message === undefined) return;
    const { channel, content } = message;
    if (channel === STDIN && stdin !== undefined && !stdin.writableEnded) {
      if (!stdin.write(content)) {
        socket.pause();
        stdin.once('drain', () => socket.resume());
      }
    } else if (channel === RESIZE) resize?.write(content);
    else if (channel === CLOSE && content[0] === STDIN) stdin?.end();
  });
  const status = channelWriter(socket, ERROR, base64);
  return {
    stdin,
    stdout: wanted.stdout ? channelWriter(socket, STDOUT, base64) : undefined,
    stderr: wanted.stderr && !wanted.tty ? channelWriter(socket, STDERR, base64) : undefined,
    resize,
    gone,
    finish: (result) =>
      new Promise((resolve) => {
        const failed = (result as { status?: string }).status !== 'Success';
        const text = statusAsText
          ? failed
            ? String((result as { message?: string }).message ?? '')
            : ''
          : JSON.stringify(result);
        status.write(Buffer.from(text), () => {
          socket.close(1000);
          resolve();
        });
      }),
  };
}
