import type { IncomingMessage } from 'node:http';
import { load } from 'js-yaml';
import { decodeProtobuf } from '../schema/wire.ts';
import { ApiError, badRequest } from '../status.ts';

/** The same limit as on a real server. */
export const MAX_BODY = 3 * 1024 * 1024;

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
  // No Kubernetes object has a field of this name; copying it would change an object's prototype.
  if (text.includes('__proto__')) throw badRequest('the body of the request has a field "__proto__"');
  if (type.endsWith('yaml')) {
    try {
      return load(text);
    } catch (error) {
      throw badRequest(
        `error converting YAML to JSON: ${error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error)}`,
      );
    }
  }
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text) as unknown;
  } catch (error) {
    if (/^\s*[\w-]+:/.test(text)) return load(text);
    throw badRequest(`the object provided is unrecognized: ${error instanceof Error ? error.message : String(error)}`);
  }
}
