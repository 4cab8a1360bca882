import type { IncomingMessage } from 'node:http';
import { load } from 'js-yaml';
import { decodeProtobuf } from '../schema/wire.ts';
import { ApiError, badRequest } from '../status.ts';

/** The same limit as on a real server. */
export const MAX_BODY = 3 * 1024 * 1024;
/** Characters and values of a decoded body; only aliases of YAML can make it larger than what was sent. */
const MAX_DECODED = 2 * MAX_BODY;
const MAX_DEPTH = 128;

/** Reads a request's body. Throws a 413 `ApiError` past the limit. */
export async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
    size += bytes.length;
    if (size > MAX_BODY)
      throw new ApiError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${MAX_BODY}`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Decodes JSON, YAML or Kubernetes' protobuf by content type. Throws a 400 `ApiError`. */
export function decodeBody(bytes: Buffer, contentType: string): unknown {
  const type = contentType.split(';')[0]?.trim() ?? '';
  if (type === 'application/vnd.kubernetes.protobuf') return bytes.length === 0 ? undefined : decodeProtobuf(bytes);
  const text = bytes.toString('utf8');
  if (type.endsWith('yaml')) return decodeYaml(text);
  if (text.trim() === '') return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (/^\s*[\w-]+:/.test(text)) return decodeYaml(text);
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`);
  }
  requireBounded(value);
  return value;
}

function decodeYaml(text: string): unknown {
  let value: unknown;
  try {
    value = load(text);
  } catch (error) {
    throw badRequest(
      `error converting YAML to JSON: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
    );
  }
  requireBounded(value);
  return value;
}

/**
 * Refuses what would stop or end this process later: values nested too deeply for recursive walks, YAML whose aliases stand for far more than
 * was sent, and fields that would change an object's prototype when they are copied. Throws a 400 or 413 `ApiError`.
 */
function requireBounded(value: unknown): void {
  let weight = 0;
  const pending: { readonly value: unknown; readonly depth: number }[] = [{ value, depth: 0 }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { value: item, depth } = next;
    weight += typeof item === 'string' ? 1 + item.length : 1;
    if (weight > MAX_DECODED) {
      throw new ApiError(
        413,
        'RequestEntityTooLarge',
        'Request entity too large: with its aliases replaced the object is larger than this server takes',
      );
    }
    if (typeof item !== 'object' || item === null) continue;
    if (depth >= MAX_DEPTH) throw badRequest(`the body of the request is nested deeper than ${MAX_DEPTH} levels`);
    if (Array.isArray(item)) for (const element of item) pending.push({ value: element, depth: depth + 1 });
    else {
      for (const [key, member] of Object.entries(item)) {
        if (key === '__proto__') throw badRequest('the body of the request has a field "__proto__"');
        weight += key.length;
        pending.push({ value: member, depth: depth + 1 });
      }
    }
  }
}
