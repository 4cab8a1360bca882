import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { noteOrigins, originsOfHost } from '../route/virtual-host.ts';
import { type ListRules, mergePatch, patchList } from './list.ts';
import { canonical, type Message } from './merge.ts';
import { parseRouteName } from './names.ts';
import { type Context, inContext, type Patch, PATCHED_TYPES } from './patch.ts';
import { type PatchSet, withOrigins } from './patch-set.ts';

const list = (value: unknown): readonly Message[] => (Array.isArray(value) ? value : []);

type RouteMatch = NonNullable<NonNullable<NonNullable<Patch['match']['routeConfiguration']>['vhost']>['route']>;

function matchesConfiguration({ match }: Patch, name: string): boolean {
  if (match.listener || match.cluster || match.waypoint) return false;
  const wanted = match.routeConfiguration;
  if (wanted === undefined) return true;
  if (wanted.name && wanted.name !== name) return false;
  const { port, portName, gateway } = parseRouteName(name);
  if (wanted.portNumber && wanted.portNumber !== port) return false;
  if (wanted.portName && wanted.portName !== portName) return false;
  return !wanted.gateway || wanted.gateway === gateway;
}

function matchesHost({ match }: Patch, host: Pick<VirtualHost, 'name' | 'domains'>): boolean {
  const wanted = match.routeConfiguration?.vhost;
  if (wanted?.name && wanted.name !== host.name) return false;
  return !wanted?.domainName || (host.domains ?? []).includes(wanted.domainName);
}

function matchesRoute({ name, action }: RouteMatch, route: Message): boolean {
  if (name && name !== route.name) return false;
  switch (action) {
    case undefined:
    case 'ANY':
      return true;
    case 'ROUTE':
      return route.route !== undefined;
    case 'REDIRECT':
      return route.redirect !== undefined;
    case 'DIRECT_RESPONSE':
      return route.directResponse !== undefined;
    default: {
      const unknown: never = action;
      return unknown;
    }
  }
}

const ROUTES_END: ListRules['end'] = (items) => items.length;

function patchHost(
  start: Message,
  patches: readonly Patch[],
): { readonly host: Message; readonly applied: readonly Patch[] } {
  const applied: Patch[] = [];
  let host = start;
  for (const patch of patches) {
    try {
      const before = host;
      if (patch.applyTo === 'VIRTUAL_HOST') host = mergePatch(host, patch);
      else {
        const routes = list(host.routes);
        const wanted = patch.match.routeConfiguration?.vhost?.route;
        const selects = wanted === undefined ? undefined : (route: Message) => matchesRoute(wanted, route);
        // Without a route to look for all routes are meant, except where one place is asked for.
        const all = patch.operation === 'REMOVE' || patch.operation.startsWith('MERGE');
        const rules = { selects: selects ?? (all ? () => true : undefined), end: ROUTES_END, typed: false };
        const after = patchList(routes, patch, rules);
        if (after !== routes) host = { ...host, routes: after };
      }
      if (host !== before) applied.push(patch);
    } catch {
      // As for listeners: what cannot be merged into this host stays out.
    }
  }
  return { host, applied };
}

/** A virtual host after the patches that are for it; remembered by both, so that a change of one host of many costs that one. */
const patchedHost = memoByInputs(
  ({ host, patches }: { readonly host: VirtualHost; readonly patches: readonly Patch[] }) =>
    [host, ...patches] as [object, ...unknown[]],
  ({ host, patches }) => {
    const result = patchHost(canonical(PATCHED_TYPES.VIRTUAL_HOST, host), patches);
    noteOrigins(result.host as VirtualHost, withOrigins(originsOfHost(host), result.applied));
    return result;
  },
);

const removesHost = (patch: Patch): boolean => patch.applyTo === 'VIRTUAL_HOST' && patch.operation === 'REMOVE';
const addsHost = (patch: Patch): boolean =>
  patch.applyTo === 'VIRTUAL_HOST' && (patch.operation === 'ADD' || patch.operation.startsWith('INSERT'));

/** Applies patches to a route configuration; the identical one where none is for it. Hosts that no patch is for stay identical too. */
export function patchRoutes(
  start: Message,
  patches: readonly Patch[],
  context: Context,
): { readonly routes: Message; readonly applied: readonly Patch[] } {
  const name = String(start.name ?? '');
  const own = patches.filter((patch) => inContext(patch, context) && matchesConfiguration(patch, name));
  if (own.length === 0) return { routes: start, applied: [] };
  const applied: Patch[] = [];
  let routes = start;
  for (const patch of own) {
    if (patch.applyTo !== 'ROUTE_CONFIGURATION') continue;
    try {
      const { virtualHosts = [], ...shell } = routes;
      const { virtualHosts: more = [], ...merged } = mergePatch(
        canonical(PATCHED_TYPES.ROUTE_CONFIGURATION, shell),
        patch,
      );
      const hosts =
        patch.operation === 'MERGE_AND_REPLACE_LIST' && list(more).length > 0
          ? list(more)
          : [...list(virtualHosts), ...list(more)];
      routes = { ...merged, virtualHosts: hosts };
      applied.push(patch);
    } catch {
      // The configuration stays as it is.
    }
  }
  const hostPatches = own.filter((patch) => patch.applyTo !== 'ROUTE_CONFIGURATION');
  const before = list(routes.virtualHosts);
  let changed = false;
  const hosts: Message[] = [];
  for (const host of before) {
    const one = hostPatches.filter((patch) => !addsHost(patch) && matchesHost(patch, host));
    const removal = one.find(removesHost);
    if (removal !== undefined) {
      applied.push(removal);
      changed = true;
      continue;
    }
    if (one.length === 0) {
      hosts.push(host);
      continue;
    }
    const after = patchedHost({ host: host as VirtualHost, patches: one });
    changed ||= after.applied.length > 0;
    applied.push(...after.applied);
    hosts.push(after.applied.length > 0 ? after.host : host);
  }
  const names = new Set(hosts.map((host) => host.name));
  for (const patch of hostPatches.filter(addsHost)) {
    if (names.has(patch.value.name)) continue;
    names.add(patch.value.name);
    hosts.push(patch.value);
    noteOrigins(patch.value as VirtualHost, [patch.origin]);
    applied.push(patch);
    changed = true;
  }
  return { routes: changed ? { ...routes, virtualHosts: hosts } : routes, applied };
}

const patched = memoByInputs(
  ({
    resource,
    patches,
    context,
  }: {
    readonly resource: RouteConfiguration;
    readonly patches: PatchSet;
    readonly context: Context;
  }) => [resource, patches, context] as const,
  ({ resource, patches, context }) => patchRoutes(resource as Message, patches.patches, context),
);

type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

const patchedAll = memoByInputs(
  ({ routes, patches, context }: { readonly routes: Routes; readonly patches: PatchSet; readonly context: Context }) =>
    [routes, patches, context] as const,
  ({ routes, patches, context }): Routes => {
    const result = new Map<string, Generated<RouteConfiguration>>();
    for (const [name, generated] of routes) {
      const after = patched({ resource: generated.resource, patches, context });
      result.set(
        name,
        after.applied.length === 0
          ? generated
          : { resource: after.routes as RouteConfiguration, origins: withOrigins(generated.origins, after.applied) },
      );
    }
    return result;
  },
);

/**
 * Route configurations of a proxy after the patches of its EnvoyFilters; those that no patch is for stay the identical objects. Remembered by both, so
 * that all proxies with the same routes and patches share the result.
 */
export function patchRouteConfigurations(routes: Routes, patches: PatchSet | undefined, context: Context): Routes {
  return patches === undefined ? routes : patchedAll({ routes, patches, context });
}
