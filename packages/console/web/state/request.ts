import { signal } from '@preact/signals';
import type { ApiError, ObjectName } from '../../src/api.ts';
import { t } from '../texts.ts';
import { base } from './base.ts';

/** An answer that is not what was asked for; `status` 0: no answer at all. */
export class RequestError extends Error {
  readonly status: number;
  readonly object: ObjectName | undefined;
  readonly field: string | undefined;

  constructor(status: number, error: ApiError) {
    super(error.message);
    this.status = status;
    this.object = error.object;
    this.field = error.field;
  }
}

/** Counts up when the server answered 401: the session has ended. */
export const refused = signal(0);

export const apiAddress = (path: string): string => `${base}api/${path}`;

async function errorOf(response: Response): Promise<RequestError> {
  const text = await response.text().catch(() => '');
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === 'object' && body !== null && 'message' in body && typeof body.message === 'string')
      return new RequestError(response.status, body as ApiError);
  } catch {
    // Not ours: a proxy in between, most likely.
  }
  return new RequestError(response.status, { message: t.errors.status(response.status, text.slice(0, 200)) });
}

/** Asks the server; raises a RequestError, and an AbortError when `signal` ends it. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(apiAddress(path), { credentials: 'same-origin', ...init });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new RequestError(0, { message: t.errors.unreachable });
  }
  if (response.status === 401) refused.value += 1;
  if (!response.ok) throw await errorOf(response);
  return response;
}

export async function getJson<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await send(path, init)).json()) as T;
}

export async function sendJson<T>(
  method: 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await send(path, {
    method,
    headers: { 'x-istio-console': 'pages', ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  });
  const text = await response.text();
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export const isAbort = (error: unknown): boolean => error instanceof DOMException && error.name === 'AbortError';
