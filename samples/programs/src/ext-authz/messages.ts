import type { Check, Decision } from './decision.ts';

/**
 * The few fields of `envoy.service.auth.v3` that the sample needs, read and written by hand: it depends on no library, so that it also shows how small an
 * authoriser can be. Numbers of fields are those of https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto.
 */

/** Bytes that are no message. */
export class MalformedMessage extends Error {}

type Fields = ReadonlyMap<number, readonly Buffer[]>;

function varint(bytes: Buffer, at: number): { readonly value: number; readonly next: number } {
  let value = 0;
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i];
    if (byte === undefined) throw new MalformedMessage('the message ends within a number');
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, next: at + i + 1 };
  }
  throw new MalformedMessage('a number has more than ten bytes');
}

/** Fields that have a length, by their number; numbers are left out. */
function fields(bytes: Buffer): Fields {
  const found = new Map<number, Buffer[]>();
  for (let at = 0; at < bytes.length; ) {
    const key = varint(bytes, at);
    const number = Math.floor(key.value / 8);
    at = key.next;
    switch (key.value % 8) {
      case 0:
        at = varint(bytes, at).next;
        break;
      case 1:
        at += 8;
        break;
      case 2: {
        const { value: length, next } = varint(bytes, at);
        if (next + length > bytes.length) throw new MalformedMessage('the message ends within a field');
        found.set(number, [...(found.get(number) ?? []), bytes.subarray(next, next + length)]);
        at = next + length;
        break;
      }
      case 5:
        at += 4;
        break;
      default:
        throw new MalformedMessage(`field ${number} has a kind that nobody uses`);
    }
  }
  return found;
}

const last = (of: Fields, number: number): Buffer => of.get(number)?.at(-1) ?? Buffer.alloc(0);
const inside = (of: Fields, ...path: readonly number[]): Fields =>
  path.reduce((message, number) => fields(last(message, number)), of);
const textOf = (of: Fields, number: number): string => last(of, number).toString('utf8');

/** A `CheckRequest`; raises MalformedMessage. */
export function readCheck(bytes: Buffer): Check {
  const attributes = inside(fields(bytes), 1);
  const http = inside(attributes, 4, 2);
  const headers = (http.get(3) ?? []).map((entry) => {
    const pair = fields(entry);
    return [textOf(pair, 1), textOf(pair, 2)] as const;
  });
  return {
    method: textOf(http, 2),
    headers: Object.fromEntries(headers),
    path: textOf(http, 4),
    host: textOf(http, 5),
    body: textOf(http, 11) || last(http, 12).toString('utf8'),
    principal: textOf(inside(attributes, 1), 4),
  };
}

const number = (value: number): Buffer => {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
};
const text = (field: number, value: Buffer | string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([number(field * 8 + 2), number(bytes.length), bytes]);
};
const integer = (field: number, value: number): Buffer => Buffer.concat([number(field * 8), number(value)]);

/** Codes of gRPC's and HTTP's refusals. */
const PERMISSION_DENIED = 7;
const FORBIDDEN = 403;

/** A `CheckResponse`. */
export function writeDecision({ allowed, headers, body }: Decision): Buffer {
  const options = Object.entries(headers).map(([name, value]) =>
    text(2, text(1, Buffer.concat([text(1, name), text(2, value)]))),
  );
  return allowed
    ? Buffer.concat([text(1, integer(1, 0)), text(3, Buffer.concat(options))])
    : Buffer.concat([
        text(1, integer(1, PERMISSION_DENIED)),
        text(2, Buffer.concat([text(1, integer(1, FORBIDDEN)), ...options, text(3, body)])),
      ]);
}
