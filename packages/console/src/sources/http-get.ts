import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';

/** A program beside the console that did not answer; the message says which and why. */
export class SourceError extends Error {
  readonly status: number | undefined;
  /** What it answered, shortened. */
  readonly body: string;
  constructor(message: string, status?: number, body = '') {
    super(message);
    this.name = 'SourceError';
    this.status = status;
    this.body = body;
  }
}

export interface SourceAnswer {
  readonly status: number;
  readonly contentType: string;
  /** What the program calls itself (header Server). */
  readonly server: string;
  readonly body: string;
}

export interface SourceRequest {
  /** Form fields: sent as POST, so that long queries fit. */
  readonly form?: URLSearchParams;
  readonly timeoutMs?: number;
  /** Bytes. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

const reason = (error: NodeJS.ErrnoException): string => {
  if (error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') return 'there is no such host';
  if (error.code === 'ECONNREFUSED') return 'nothing listens there';
  return error instanceof AggregateError && error.errors.length > 0
    ? [...new Set(error.errors.map((each: Error) => each.message))].join('; ')
    : error.message || (error.code ?? 'no answer');
};

/** Asks a program by HTTP. Raises SourceError when nobody answers in time or the answer is too long; statuses are for the caller to judge. */
export function ask(address: string, options: SourceRequest = {}): Promise<SourceAnswer> {
  const { form, timeoutMs = 15_000, limit = 64 << 20, signal } = options;
  const url = new URL(address);
  const body = form?.toString();
  const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new SourceError(`${url.origin} does not answer: ${reason(error)}`));
    const outgoing = send(
      url,
      {
        method: body === undefined ? 'GET' : 'POST',
        headers: {
          accept: 'application/json',
          'user-agent': 'istio-console',
          ...(body !== undefined && {
            'content-type': 'application/x-www-form-urlencoded',
            'content-length': String(Buffer.byteLength(body)),
          }),
        },
        ...(signal && { signal }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > limit) outgoing.destroy(new Error(`the answer has more than ${limit >> 20} MiB: ask for less`));
          else chunks.push(chunk);
        });
        response.on('error', fail);
        response.on('end', () => {
          clearTimeout(timer);
          resolve({
            status: response.statusCode ?? 0,
            contentType: String(response.headers['content-type'] ?? ''),
            server: String(response.headers.server ?? ''),
            body: Buffer.concat(chunks).toString('utf8'),
          });
        });
      },
    );
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)), timeoutMs);
    outgoing.on('close', () => clearTimeout(timer));
    outgoing.on('error', fail);
    outgoing.end(body);
  });
}
