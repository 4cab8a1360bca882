import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { ApiError, badRequest, forbidden } from '../status.ts';
import { type Authorizer, refusal } from './rbac.ts';
import { DEFAULT_AUDIENCE, type TokenAuthority } from './tokens.ts';
import { ANONYMOUS, type User } from './user.ts';

const EXTRA = 'impersonate-extra-';
const LOCAL: User = { name: 'system:admin', groups: ['system:masters', 'system:authenticated'] };

/** Tells who makes a request: by client certificate, by bearer token, or nobody in particular. */
export class Authenticator {
  readonly #tokens: TokenAuthority;

  constructor(tokens: TokenAuthority) {
    this.#tokens = tokens;
  }

  /** Throws 401 for a token that is not valid. */
  identify(request: IncomingMessage): User {
    const token = bearerToken(request);
    if (token !== undefined) return this.#byToken(token);
    const { socket } = request;
    if (socket instanceof TLSSocket && socket.authorized) {
      const { subject } = socket.getPeerCertificate();
      const organization: unknown = subject.O;
      const groups = Array.isArray(organization)
        ? organization.map(String)
        : typeof organization === 'string'
          ? [organization]
          : [];
      return { name: String(subject.CN), groups: [...groups, 'system:authenticated'] };
    }
    return ANONYMOUS;
  }

  /** On the Unix socket: whoever may open it is the administrator, unless a token says otherwise. */
  identifyLocal(request: IncomingMessage): User {
    const token = bearerToken(request);
    return token === undefined ? LOCAL : this.#byToken(token);
  }

  #byToken(token: string): User {
    const result = this.#tokens.check(token, [DEFAULT_AUDIENCE]);
    if ('error' in result) throw new ApiError(401, 'Unauthorized', 'Unauthorized');
    return result.user;
  }

  /** Applies the `Impersonate-*` headers. Throws 403 when the user may not do that, 400 for headers that name no user. */
  impersonated(user: User, request: IncomingMessage, authorizer: Authorizer): User {
    const { headers } = request;
    const values = (header: string): string[] => request.headersDistinct[header] ?? [];
    const name = values('impersonate-user')[0] ?? '';
    const groups = values('impersonate-group');
    const uid = values('impersonate-uid')[0];
    const extras = Object.keys(headers).filter((header) => header.startsWith(EXTRA));
    if (name === '') {
      if (groups.length > 0 || uid !== undefined || extras.length > 0)
        throw badRequest('requested groups, a uid or extra values to impersonate without impersonating a user');
      return user;
    }
    const check = (resource: string, what: string, group = '', namespace = '') => {
      const attributes = { verb: 'impersonate', group, resource, namespace, name: what, path: '' };
      if (!authorizer.check(user, attributes).allowed) {
        throw forbidden({ group, resource: resource.split('/')[0] ?? '' }, what, refusal(user, attributes));
      }
    };
    const account = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(name);
    if (account === null) check('users', name);
    else check('serviceaccounts', account[2] ?? '', '', account[1] ?? '');
    for (const group of groups) check('groups', group);
    if (uid !== undefined) check('uids', uid, 'authentication.k8s.io');
    const extra: Record<string, string[]> = {};
    for (const header of extras) {
      const key = decodeKey(header.slice(EXTRA.length));
      extra[key] = values(header);
      for (const value of values(header)) check(`userextras/${key}`, value, 'authentication.k8s.io');
    }
    const implied = account === null ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`];
    const standing = name === ANONYMOUS.name ? 'system:unauthenticated' : 'system:authenticated';
    return {
      name,
      ...(uid === undefined ? {} : { uid }),
      groups: [...new Set([...groups, ...(groups.length === 0 ? implied : []), standing])],
      ...(extras.length === 0 ? {} : { extra }),
    };
  }
}

function decodeKey(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // A percent sign that stands for itself.
    return text;
  }
}

function bearerToken(request: IncomingMessage): string | undefined {
  const header = request.headers.authorization;
  if (header !== undefined && /^bearer /i.test(header)) return header.slice('bearer '.length).trim();
  // Browsers' WebSockets carry the token as a subprotocol.
  const offered = String(request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((protocol) => protocol.trim());
  const encoded = offered.find((protocol) => protocol.startsWith('base64url.bearer.authorization.k8s.io.'));
  if (encoded === undefined) return undefined;
  return Buffer.from(encoded.slice('base64url.bearer.authorization.k8s.io.'.length), 'base64url').toString();
}
