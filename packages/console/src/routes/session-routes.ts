import { VERSION } from '@istio-ts/api/version';
import type { Session } from '../api.ts';
import { readJson, textField } from '../http/body.ts';
import { refuseTooMany } from '../http/rate-limit.ts';
import type { Route } from '../http/router.ts';
import { sessionCookie } from '../session/cookie.ts';
import type { Caller } from '../session/caller.ts';
import type { Services } from '../services.ts';
import type { MeshState } from '../sources/mesh-reader.ts';

const maxLogin = 64 << 10;

/** Versions of the control planes that run, by the tags of their images. */
export function meshVersions({ mesh }: Pick<MeshState, 'mesh'>, istioNamespace: string): readonly string[] {
  const tags = mesh.workloads
    .filter(({ namespace, labels }) => namespace === istioNamespace && labels.app === 'istiod')
    .flatMap(({ images }) => images)
    .flatMap((image) => /:([^/:@]+)(@.*)?$/.exec(image)?.[1] ?? []);
  return [...new Set(tags)].sort();
}

async function sessionOf(services: Services, caller: Caller | undefined): Promise<Session> {
  const { settings, sessions } = services;
  const [addons, state] = await Promise.all([
    // Who is nobody yet learns nothing about the cluster.
    caller ? services.addons() : [],
    caller ? caller.mesh.state() : undefined,
  ]);
  const user = caller ? (caller.user ?? 'anonymous') : undefined;
  return {
    strategy: sessions.strategy,
    ...(user !== undefined && { user }),
    mayWrite: caller?.mayWrite ?? false,
    cluster: settings.cluster,
    version: VERSION,
    meshVersions: state ? meshVersions(state, settings.istioNamespace) : [],
    istioNamespace: settings.istioNamespace,
    addons,
  };
}

/** The endpoints that work for who is nobody yet. */
export interface OpenRoute extends Omit<Route, 'handle'> {
  readonly handle: (
    call: Omit<Parameters<Route['handle']>[0], 'caller'> & { readonly caller: Caller | undefined },
  ) => Promise<unknown>;
}

export function sessionRoutes(services: Services): readonly OpenRoute[] {
  const limit = services.wrongTokens;
  return [
    // Probes of Grafana ask here.
    {
      method: 'GET',
      path: '/api/health',
      handle: async () => ({ database: 'ok', version: VERSION, commit: 'istio-console' }),
    },
    { method: 'GET', path: '/api/session', handle: ({ caller }) => sessionOf(services, caller) },
    {
      method: 'POST',
      path: '/api/login',
      changes: true,
      handle: async ({ request, response, now }) => {
        const address = request.socket.remoteAddress ?? '';
        refuseTooMany(limit.attempt(address, now));
        const token = textField(await readJson(request, maxLogin), 'token').trim();
        const { sessionId, caller } = await services.sessions.begin(token);
        limit.succeeded(address);
        response.setHeader('set-cookie', sessionCookie(request, sessionId));
        services.log(`login of ${caller.user} from ${address}`);
        return sessionOf(services, caller);
      },
    },
    {
      method: 'POST',
      path: '/api/logout',
      changes: true,
      handle: async ({ caller, request, response }) => {
        if (caller?.sessionId !== undefined) services.sessions.end(caller.sessionId);
        response.setHeader('set-cookie', sessionCookie(request, undefined));
        return {};
      },
    },
  ];
}
