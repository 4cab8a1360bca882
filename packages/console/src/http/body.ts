import type { IncomingMessage } from 'node:http';
import { ApiFailure } from './failure.ts';

/** The largest body of a request, in bytes: Kubernetes refuses objects over 3 MiB, and JSON makes them a little longer. */
const maxBody = 4 << 20;

/** Reads the body of a request. Raises ApiFailure 413 when it is too large. */
export async function readBody(request: IncomingMessage, limit = maxBody): Promise<Buffer> {
  const tooLarge = () =>
    new ApiFailure(413, `the body has more than ${limit} bytes`, { headers: { connection: 'close' } });
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes = chunk as Buffer;
    size += bytes.length;
    if (size > limit) throw tooLarge();
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

/** Reads a JSON object. Raises ApiFailure 400, 413 and 415. */
export async function readJson(request: IncomingMessage, limit = maxBody): Promise<Readonly<Record<string, unknown>>> {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json(;|$)/i.test(type))
    throw new ApiFailure(415, 'the body must be JSON: set the header Content-Type to application/json');
  const text = (await readBody(request, limit)).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ApiFailure(400, `the body is not JSON: ${(error as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ApiFailure(400, 'the body must be a JSON object');
  return value as Readonly<Record<string, unknown>>;
}

/** A text of a body. Raises ApiFailure 400 where it is missing or something else. */
export function textField(body: Readonly<Record<string, unknown>>, name: string): string {
  const value = body[name];
  if (typeof value !== 'string') throw new ApiFailure(400, `${name} must be a text`, { field: name });
  return value;
}

/** As `textField`, for one that may be left out. */
export function optionalText(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  return body[name] === undefined || body[name] === null ? undefined : textField(body, name);
}
