import type { IncomingMessage } from 'node:http';
import type { TLSSocket } from 'node:tls';

const cookieName = 'istio-console-session';

/** Whether the browser speaks HTTPS, to us or to the proxy before us. */
export const isSecure = (request: IncomingMessage): boolean =>
  (request.socket as Partial<TLSSocket>).encrypted === true ||
  String(request.headers['x-forwarded-proto'] ?? '')
    .split(',')[0]
    ?.trim() === 'https';

/** The name of the session that a request brings. */
export function sessionIdOf(request: IncomingMessage): string | undefined {
  for (const part of String(request.headers.cookie ?? '').split(';')) {
    const [name, value] = part.trim().split('=', 2);
    if (name === cookieName && value !== undefined && /^[\w-]{20,100}$/.test(value)) return value;
  }
  return undefined;
}

/** The header Set-Cookie that gives a browser its session, or (without one) takes it away. */
export function sessionCookie(request: IncomingMessage, sessionId: string | undefined): string {
  const secure = isSecure(request) ? '; Secure' : '';
  return `${cookieName}=${sessionId ?? ''}; Path=/; HttpOnly; SameSite=Strict${secure}${sessionId === undefined ? '; Max-Age=0' : ''}`;
}

/**
 * Whether a request that changes something comes from our own pages: browsers say where it comes from (Sec-Fetch-Site, Origin). A program that says
 * neither shows by a header of ours, which no other site's page may set, or by its own token that it means it.
 */
export function isOwnPage(request: IncomingMessage): boolean {
  const { headers } = request;
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin';
  const { origin } = headers;
  if (origin !== undefined) {
    let host: string;
    try {
      host = new URL(origin).host;
    } catch {
      return false;
    }
    const forwarded = String(headers['x-forwarded-host'] ?? '')
      .split(',')[0]
      ?.trim();
    return host === headers.host || (forwarded !== '' && host === forwarded);
  }
  return headers['x-istio-console'] !== undefined || headers.authorization !== undefined;
}
