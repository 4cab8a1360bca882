import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { packLayer } from '../layers/layer-store.ts';
import { type BuiltImage, buildImage } from '../oci/image.ts';
import { file } from '../tar/entry.ts';
import type { Credentials } from './credentials.ts';
import type { Network } from './network.ts';

const start = { entrypoint: ['/x'], cmd: [], env: {}, user: '0:0', workingDir: '/', labels: {} };
const layer = await packLayer('x', [file('x', 'program', 0o755)], 0);

/** An image for two architectures: one layer, two configurations. */
export const images: readonly BuiltImage[] = ['amd64', 'arm64'].map((architecture) =>
  buildImage(architecture, [layer], start, 0),
);

/** The login that {@link tokenRegistry} knows. */
export const LOGIN: Credentials = { kind: 'password', user: 'user', password: 'password' };
export const IDENTITY: Credentials = { kind: 'identityToken', token: 'long-lived' };

/** A network whose pauses take no time; it remembers them. */
export function hastyNetwork(send: typeof fetch = fetch): Network & { readonly pauses: number[] } {
  const pauses: number[] = [];
  return {
    pauses,
    send,
    sleep: async (milliseconds) => {
      pauses.push(milliseconds);
    },
    now: () => Date.parse('2026-01-01T00:00:00Z'),
  };
}

/** How a registry of a test differs from a usual one. */
export interface Peculiarities {
  /** Repositories from which the user may not read. */
  readonly unreadable?: readonly string[];
  /** Answers in the place of the registry; false where it does not. */
  readonly instead?: (incoming: IncomingMessage, outgoing: ServerResponse) => boolean;
  /** Says where uploads go. */
  readonly location?: (repository: string) => string;
  /** What the token server answers with. */
  readonly tokenAnswer?: (token: string) => string;
  /** The realm of challenges, in place of the own token server. */
  readonly realm?: string;
}

/**
 * A registry that wants tokens as CNCF's Distribution does: each is for the scopes that were asked for and that the user has, and a request without the right
 * one is refused with a challenge that names what is missing. It remembers what was asked: `token METHOD SERVICE SCOPES`, `refused STATUS`, or `METHOD REPOSITORY KIND NAME`.
 */
export async function tokenRegistry(context: TestContext, peculiarities: Peculiarities = {}) {
  const asked: string[] = [];
  const uploads: string[] = [];
  const blobs = new Map<string, Set<string>>();
  const server = createServer(async (incoming, outgoing) => {
    const text = await textOf(incoming);
    const url = new URL(incoming.url ?? '', 'http://registry');
    const method = incoming.method ?? '';
    const answer = (status: number, headers: Record<string, string> = {}, body = ''): void =>
      void outgoing.writeHead(status, headers).end(body);
    if (peculiarities.instead?.(incoming, outgoing)) return;
    if (url.pathname === '/token') {
      const form = new URLSearchParams(method === 'POST' ? text : url.search);
      // Once in a form, as often as wanted in a query.
      const scopes = form.getAll('scope').flatMap((scope) => scope.split(' '));
      asked.push(`token ${method} ${form.get('service')} ${scopes.join(' ')}`);
      const right =
        method === 'POST'
          ? form.get('grant_type') === 'refresh_token' &&
            form.get('refresh_token') === 'long-lived' &&
            form.has('client_id')
          : incoming.headers.authorization === `Basic ${Buffer.from('user:password').toString('base64')}`;
      if (!right) return answer(401);
      const granted = scopes.filter((scope) => !peculiarities.unreadable?.includes(scope.split(':')[1] ?? ''));
      const token = Buffer.from(granted.join(' ')).toString('base64url') || 'nothing';
      const usual = JSON.stringify(method === 'POST' ? { access_token: token } : { token });
      return answer(200, {}, peculiarities.tokenAnswer?.(token) ?? usual);
    }
    const [, repository = '', kind, name = ''] = /^\/v2\/(.*?)\/(blobs|manifests)\/(.*)$/.exec(url.pathname) ?? [];
    const from = url.searchParams.get('from');
    const needed = [
      `repository:${repository}:${method === 'HEAD' || method === 'GET' ? 'pull' : 'pull,push'}`,
      ...(from === null ? [] : [`repository:${from}:pull`]),
    ];
    const granted = Buffer.from(/^Bearer (.*)$/.exec(incoming.headers.authorization ?? '')?.[1] ?? '', 'base64url')
      .toString()
      .split(' ');
    if (!needed.every((scope) => granted.some((other) => covers(other, scope)))) {
      asked.push('refused 401');
      const { port } = server.address() as AddressInfo;
      const realm = peculiarities.realm ?? `http://127.0.0.1:${port}/token`;
      return answer(401, {
        'www-authenticate': `Bearer realm="${realm}",service="test",scope="${needed.join(' ')}",error="insufficient_scope"`,
      });
    }
    asked.push(`${method} ${repository} ${kind} ${name.slice(0, 7)}`);
    const own = blobs.get(repository) ?? new Set();
    blobs.set(repository, own);
    if (method === 'HEAD') return answer(own.has(name) ? 200 : 404);
    if (method === 'POST') {
      const mounted = url.searchParams.get('mount');
      if (mounted !== null && blobs.get(from ?? '')?.has(mounted)) {
        own.add(mounted);
        return answer(201);
      }
      return answer(202, {
        location: peculiarities.location?.(repository) ?? `/v2/${repository}/blobs/uploads/1?state=x`,
      });
    }
    if (kind === 'blobs') {
      uploads.push(incoming.url ?? '');
      own.add(url.searchParams.get('digest') ?? '');
    }
    return answer(201);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, uploads };
}

/** Whether a granted scope has all actions of a wanted one. */
function covers(granted: string, wanted: string): boolean {
  const [, resource = '', actions = ''] = /^(.*):([^:]*)$/.exec(granted) ?? [];
  return (
    wanted.startsWith(`${resource}:`) &&
    wanted
      .slice(resource.length + 1)
      .split(',')
      .every((action) => actions.split(',').includes(action))
  );
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('latin1');
}
