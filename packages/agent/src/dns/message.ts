import { isIPv4 } from 'node:net';

/**
 * DNS messages (RFC 1035, EDNS of RFC 6891), as much as a proxy needs that answers addresses itself and hands everything else on as it came.
 */

export const RecordType = { A: 1, CNAME: 5, AAAA: 28, OPT: 41, ANY: 255 } as const;
export const ResponseCode = { noError: 0, formatError: 1, serverFailure: 2, notImplemented: 4 } as const;

const INTERNET = 1;
/** Without EDNS an answer over UDP has at most this many bytes. */
const PLAIN_UDP_BYTES = 512;
/** Larger datagrams would be cut in pieces on the way. */
const MAX_UDP_BYTES = 4096;
const MAX_NAME_BYTES = 255;

export interface Question {
  readonly id: number;
  /** Lower case, without the dot at the end. */
  readonly name: string;
  readonly type: number;
  /** Largest datagram that the client takes. */
  readonly udpBytes: number;
  /** The whole question section, to be repeated in the answer as it came: some clients compare its letters' case. */
  readonly section: Buffer;
  /** The client speaks EDNS. */
  readonly edns: boolean;
  readonly recursionDesired: boolean;
}

export type ReadQuestion =
  | { readonly kind: 'question'; readonly question: Question }
  /** Not one plain question about the internet: to be handed on unread. */
  | { readonly kind: 'other'; readonly id: number }
  /** No query at all: to be dropped. */
  | { readonly kind: 'garbage' };

/** Reads a query. Never raises. */
export function readQuestion(message: Buffer): ReadQuestion {
  if (message.length < 12) return { kind: 'garbage' };
  const flags = message.readUInt16BE(2);
  const isResponse = (flags & 0x8000) !== 0;
  if (isResponse) return { kind: 'garbage' };
  const id = message.readUInt16BE(0);
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== 0 || message.readUInt16BE(4) !== 1) return { kind: 'other', id };
  const name = readName(message, 12);
  if (name === undefined || name.end + 4 > message.length) return { kind: 'garbage' };
  const type = message.readUInt16BE(name.end);
  if (message.readUInt16BE(name.end + 2) !== INTERNET) return { kind: 'other', id };
  const end = name.end + 4;
  const additional = message.readUInt16BE(10);
  const udp = additional === 1 ? ednsBytes(message, end) : undefined;
  return {
    kind: 'question',
    question: {
      id,
      name: name.text,
      type,
      udpBytes: udp === undefined ? PLAIN_UDP_BYTES : Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, udp)),
      section: message.subarray(12, end),
      edns: udp !== undefined,
      recursionDesired: (flags & 0x100) !== 0,
    },
  };
}

/** Size of the OPT record at a place, which has the root as its name. */
function ednsBytes(message: Buffer, at: number): number | undefined {
  if (at + 11 > message.length || message[at] !== 0 || message.readUInt16BE(at + 1) !== RecordType.OPT)
    return undefined;
  return message.readUInt16BE(at + 3);
}

function readName(message: Buffer, start: number): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  let at = start;
  for (;;) {
    const length = message[at];
    // Questions have no compressed names.
    if (length === undefined || length > 63 || at - start > MAX_NAME_BYTES) return undefined;
    at++;
    if (length === 0) return { text: labels.join('.').toLowerCase(), end: at };
    if (at + length > message.length) return undefined;
    labels.push(message.toString('latin1', at, at + length));
    at += length;
  }
}

export interface Answer {
  /** Name that the question's name is another one for. */
  readonly alias?: string;
  /** Addresses, of the family that was asked for. */
  readonly addresses: readonly string[];
  /** Seconds. */
  readonly ttl: number;
}

/** An answer with the addresses in the order given. Over UDP it is cut off and marked so when it does not fit; over TCP it always does. */
export function encodeAnswer(question: Question, answer: Answer, transport: 'udp' | 'tcp'): Buffer {
  const records: Buffer[] = [];
  // Offset 12: the question's name, which every answer starts with.
  let owner: Buffer = Buffer.from([0xc0, 12]);
  if (answer.alias !== undefined) {
    const target = encodeName(answer.alias);
    records.push(record(owner, RecordType.CNAME, answer.ttl, target));
    owner = target;
  }
  for (const address of answer.addresses) {
    const type = isIPv4(address) ? RecordType.A : RecordType.AAAA;
    records.push(record(owner, type, answer.ttl, addressBytes(address)));
  }
  const limit = transport === 'udp' ? question.udpBytes : 0xffff;
  const tail = question.edns ? optRecord() : Buffer.alloc(0);
  const fixed = 12 + question.section.length + tail.length;
  let size = fixed;
  let fitting = 0;
  for (const one of records) {
    if (size + one.length > limit) break;
    size += one.length;
    fitting++;
  }
  const isCut = fitting < records.length;
  return Buffer.concat([
    header(question, ResponseCode.noError, fitting, question.edns, { authoritative: true, isCut }),
    question.section,
    ...records.slice(0, fitting),
    tail,
  ]);
}

/** An answer that says only what went wrong. */
export function encodeFailure(question: Question, code: number): Buffer {
  return Buffer.concat([header(question, code, 0, false, { authoritative: false, isCut: false }), question.section]);
}

/** The same for a query that was not read: header alone. */
export function encodeBareFailure(id: number, code: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(0x8000 | code, 2);
  return bytes;
}

function header(
  question: Question,
  code: number,
  answers: number,
  edns: boolean,
  { authoritative, isCut }: { readonly authoritative: boolean; readonly isCut: boolean },
): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt16BE(question.id, 0);
  const flags =
    0x8000 |
    (authoritative ? 0x0400 : 0) |
    (isCut ? 0x0200 : 0) |
    (question.recursionDesired ? 0x0100 : 0) |
    // Recursion is available: what is not known here is asked for elsewhere.
    0x0080 |
    code;
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt16BE(1, 4);
  bytes.writeUInt16BE(answers, 6);
  bytes.writeUInt16BE(edns ? 1 : 0, 10);
  return bytes;
}

function record(owner: Buffer, type: number, ttl: number, data: Buffer): Buffer {
  const fixed = Buffer.alloc(10);
  fixed.writeUInt16BE(type, 0);
  fixed.writeUInt16BE(INTERNET, 2);
  fixed.writeUInt32BE(ttl, 4);
  fixed.writeUInt16BE(data.length, 8);
  return Buffer.concat([owner, fixed, data]);
}

function optRecord(): Buffer {
  const bytes = Buffer.alloc(11);
  bytes.writeUInt16BE(RecordType.OPT, 1);
  bytes.writeUInt16BE(MAX_UDP_BYTES, 3);
  return bytes;
}

export function encodeName(name: string): Buffer {
  const labels = name.split('.').map((label) => {
    const bytes = Buffer.from(label, 'latin1').subarray(0, 63);
    return Buffer.concat([Buffer.of(bytes.length), bytes]);
  });
  return Buffer.concat([...labels, Buffer.of(0)]);
}

function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): string[] =>
    text
      .split(':')
      .filter((group) => group !== '')
      .flatMap((group) => {
        if (!group.includes('.')) return [group];
        const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
        return [(a * 256 + b).toString(16), (c * 256 + d).toString(16)];
      });
  const first = groups(head);
  const last = tail === undefined ? [] : groups(tail);
  const all = [...first, ...Array<string>(Math.max(0, 8 - first.length - last.length)).fill('0'), ...last];
  const bytes = Buffer.alloc(16);
  all.slice(0, 8).forEach((group, index) => {
    bytes.writeUInt16BE(Number.parseInt(group, 16) & 0xffff, index * 2);
  });
  return bytes;
}

/** The answer cut down to its question and marked as cut off, for a client that takes less; it asks again by TCP. */
export function truncated(response: Buffer, question: Question): Buffer {
  const head = Buffer.from(response.subarray(0, 12));
  head.writeUInt16BE(head.readUInt16BE(2) | 0x0200, 2);
  head.writeUInt16BE(1, 4);
  head.fill(0, 6, 12);
  return Buffer.concat([head, question.section]);
}

/** Response code of an answer. */
export const responseCode = (response: Buffer): number => response.readUInt16BE(2) & 0xf;

/** The same message with another id. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
