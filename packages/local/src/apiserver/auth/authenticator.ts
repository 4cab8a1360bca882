import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { ApiError, forbidden } from '../status.ts';
import type { Authorizer } from './rbac.ts';
import { DEFAULT_AUDIENCE, type TokenAuthority } from './tokens.ts';
import { ANONYMOUS, type User } from './user.ts';

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

  /** Applies the `Impersonate-*` headers. Throws 403 when the user may not do that. */
  impersonated(user: User, request: IncomingMessage, authorizer: Authorizer): User {
    const name = request.headers['impersonate-user'];
    if (typeof name !== 'string' || name === '') return user;
    const header = request.headers['impersonate-group'];
    const groups =
      header === undefined ? [] : Array.isArray(header) ? header : header.split(',').map((group) => group.trim());
    const check = (resource: string, what: string, group = '') => {
      const attributes = { verb: 'impersonate', group, resource, namespace: '', name: what, path: '' };
      if (!authorizer.check(user, attributes).allowed) {
        throw forbidden(
          { group, resource },
          what,
          `User ${JSON.stringify(user.name)} cannot impersonate resource ${JSON.stringify(resource)} in API group ${JSON.stringify(group)} at the cluster scope`,
        );
      }
    };
    check('users', name);
    for (const group of groups) check('groups', group);
    const account = /^system:serviceaccount:([^:]+):[^:]+$/.exec(name);
    const implied = account === null ? [] : ['system:serviceaccounts', `system:serviceaccounts:${account[1] ?? ''}`];
    return { name, groups: [...new Set([...groups, ...(groups.length === 0 ? implied : []), 'system:authenticated'])] };
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
