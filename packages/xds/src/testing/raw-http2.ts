import { connect } from 'node:net';

const FRAME = { headers: 1, reset: 3, settings: 4, goAway: 7, continuation: 9 } as const;
const ACK = 1;
const END_STREAM = 1;
const END_HEADERS = 4;
const MAX_FRAME = 16_384;
/** Statuses of the static table of HPACK (RFC 7541, appendix A). */
const INDEXED_STATUS: Readonly<Record<number, string>> = {
  136: '200',
  137: '204',
  138: '206',
  139: '304',
  140: '400',
  141: '404',
  142: '500',
};

function frame(type: number, flags: number, stream: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** A text as HPACK writes it without Huffman's code. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'latin1');
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest % 128) + 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** The status in a block of headers, where it comes first: by its number, or with the name by its number and the text in Huffman's code. */
function statusOf(block: Buffer): string {
  const [first = 0, length = 0] = block;
  const indexed = INDEXED_STATUS[first];
  if (indexed !== undefined) return indexed;
  if ((length & 0x80) === 0) return block.subarray(2, 2 + length).toString();
  // The digits of statuses: 0, 1 and 2 have five bits, 3 to 9 six.
  let bits = '';
  for (const byte of block.subarray(2, 2 + (length & 0x7f))) bits += byte.toString(2).padStart(8, '0');
  let status = '';
  while (status.length < 3 && bits.length > 0) {
    const five = Number.parseInt(bits.slice(0, 5), 2);
    status += five < 3 ? five : Number.parseInt(bits.slice(0, 6), 2) - 0x19 + 3;
    bits = bits.slice(five < 3 ? 5 : 6);
  }
  return status;
}

/**
 * One HTTP/2 request, without TLS and without a body, with exactly these headers, also those that no client would send. Gives the status, `reset` where the
 * stream is refused, and `closed` where the connection is.
 */
export function rawHttp2Request(
  { address, port }: { readonly address: string; readonly port: number },
  headers: readonly (readonly [string, string])[],
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const done = (answer: string): void => {
      resolve(answer);
      socket.destroy();
    };
    socket.setTimeout(5000, () => done('nothing'));
    socket.on('error', () => done('closed'));
    socket.on('close', () => done('closed'));
    socket.on('connect', () => {
      const block = Buffer.concat(headers.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]));
      const parts = Array.from({ length: Math.ceil(block.length / MAX_FRAME) }, (_, i) =>
        block.subarray(i * MAX_FRAME, (i + 1) * MAX_FRAME),
      );
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
      socket.write(frame(FRAME.settings, 0, 0));
      for (const [i, part] of parts.entries()) {
        const flags = (i === parts.length - 1 ? END_HEADERS : 0) | (i === 0 ? END_STREAM : 0);
        socket.write(frame(i === 0 ? FRAME.headers : FRAME.continuation, flags, 1, part));
      }
    });
    let received = Buffer.alloc(0);
    socket.on('data', (data: Buffer) => {
      received = Buffer.concat([received, data]);
      while (received.length >= 9) {
        const length = received.readUIntBE(0, 3);
        if (received.length < 9 + length) return;
        const type = received[3];
        const payload = received.subarray(9, 9 + length);
        if (type === FRAME.settings && ((received[4] ?? 0) & ACK) === 0) socket.write(frame(FRAME.settings, ACK, 0));
        received = received.subarray(9 + length);
        if (type === FRAME.headers) done(statusOf(payload));
        else if (type === FRAME.reset) done('reset');
        else if (type === FRAME.goAway) done('closed');
      }
    });
  });
}
