import type { IncomingMessage, ServerResponse } from 'node:http';
import { gzipSync } from 'node:zlib';
import { ApiError, statusObject } from '../status.ts';

const COMPRESS_FROM = 128 * 1024;

/** Sends a JSON answer, compressed when it is large and the client can read that. */
export function sendJson(
  request: IncomingMessage,
  response: ServerResponse,
  code: number,
  body: unknown,
  contentType = 'application/json',
): void {
  if (response.headersSent || response.destroyed) return;
  let bytes: Uint8Array = Buffer.from(typeof body === 'string' ? body : `${JSON.stringify(body)}\n`);
  response.setHeader('Content-Type', contentType);
  response.setHeader('Cache-Control', 'no-cache, private');
  if (bytes.length > COMPRESS_FROM && String(request.headers['accept-encoding'] ?? '').includes('gzip')) {
    bytes = gzipSync(bytes, { level: 1 });
    response.setHeader('Content-Encoding', 'gzip');
  }
  response.setHeader('Content-Length', bytes.length);
  response.writeHead(code);
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

export function sendText(response: ServerResponse, code: number, text: string): void {
  response.writeHead(code, { 'Content-Type': 'text/plain; charset=utf-8' });
  response.end(text);
}

export function addWarnings(response: ServerResponse, warnings: readonly string[]): void {
  const distinct = [...new Set(warnings)].slice(0, 64);
  if (distinct.length === 0) return;
  const quoted = distinct.map(
    (warning) =>
      `299 - "${warning
        .replaceAll(/[\r\n]+/g, ' ')
        .replaceAll('\\', '\\\\')
        .replaceAll('"', '\\"')
        .replaceAll(/[^\x20-\x7e]/g, '?')
        .slice(0, 2048)}"`,
  );
  response.setHeader('Warning', quoted);
}

/** What any thrown value tells the client; only `ApiError` is meant for it. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new ApiError(500, 'InternalError', `Internal error occurred: ${message}`, { causes: [{ message }] });
}

export function sendError(request: IncomingMessage, response: ServerResponse, error: unknown): void {
  const known = toApiError(error);
  // What is left of the request is not read.
  if (known.code === 413 && !response.headersSent) response.setHeader('Connection', 'close');
  const retry = known.details?.retryAfterSeconds;
  if (retry !== undefined && !response.headersSent) response.setHeader('Retry-After', String(retry));
  sendJson(request, response, known.code, statusObject(known));
}
