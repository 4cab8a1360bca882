import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import { originsOfHost } from '../route/virtual-host.ts';
import { encodeResource, encodingMemo } from './resource.ts';
import { encodeRoutes } from './route-bytes.ts';
import type { Table } from './table.ts';
import { routeType, virtualHostType } from './type-urls.ts';

/** A route configuration whose virtual hosts are resources of their own. */
export interface SplitRoutes {
  /** What is left of it: everything but those hosts, and where they come from. */
  readonly shell: XdsResource;
  /** By name: `ROUTES/HOST:PORT`. */
  readonly hosts: Table;
}

/**
 * Whether the virtual hosts of a route configuration are sent one by one. It depends on nothing but the name, because Envoy keeps hosts that it got
 * before when a configuration of the same name changes from one way to the other. The configurations of single services have one host for all.
 */
export const isSplit = (name: string): boolean => /^(?:\d+|https?\.[^/]+)$/.test(name);

/** Envoy reads the name of the route configuration from that of the host, up to the last slash. */
export const hostResourceName = (routes: string, host: string): string => `${routes}/${host}`;

/** What is known of a host: whether it stays in the shell, and its resource by route configuration. */
interface KnownHost {
  readonly inline: boolean;
  readonly encoded: Map<string, XdsResource>;
}

const knownHosts = new WeakMap<VirtualHost, KnownHost>();
const encodedShells = new Map<string, WeakRef<XdsResource>>();
const MAX_SHELLS = 10_000;
const remembered = new WeakMap<RouteConfiguration, Map<string, SplitRoutes>>();

function knownHost(host: VirtualHost): KnownHost {
  let known = knownHosts.get(host);
  if (known === undefined) {
    // A host that takes every domain stays in the shell: requests for unknown hosts are answered as long as the hosts are not there.
    known = { inline: host.domains?.includes('*') === true, encoded: new Map() };
    knownHosts.set(host, known);
  }
  return known;
}

function encodeHost(routes: string, host: VirtualHost): XdsResource {
  // Name and resource name have to be equal, or Envoy ignores the removal.
  const name = hostResourceName(routes, (host.name ?? '').replaceAll('/', '_'));
  return encodeResource(virtualHostType, name, { resource: { ...host, name }, origins: originsOfHost(host) });
}

/** Shells are small and nearly all the same: the same content is the identical resource. */
function encodedShell(resource: RouteConfiguration, name: string, inline: readonly VirtualHost[]): XdsResource {
  const shell: RouteConfiguration = {
    ...resource,
    virtualHosts: inline,
    vhds: { configSource: { ads: {}, resourceApiVersion: 'V3' } },
  };
  const key = JSON.stringify(shell);
  const known = encodedShells.get(key)?.deref();
  if (known !== undefined) return known;
  const made = encodeResource(routeType, name, { resource: shell, origins: [] });
  if (encodedShells.size >= MAX_SHELLS) encodedShells.clear();
  encodedShells.set(key, new WeakRef(made));
  return made;
}

/** Splits a route configuration; every unchanged host is the identical resource as before. Raises `EncodeError`. */
export function splitRoutes(name: string, resource: RouteConfiguration): SplitRoutes {
  const byName = remembered.get(resource) ?? new Map<string, SplitRoutes>();
  remembered.set(resource, byName);
  const before = byName.get(name);
  if (before !== undefined) return before;
  const inline: VirtualHost[] = [];
  const hosts = new Map<string, XdsResource>();
  for (const host of resource.virtualHosts ?? []) {
    const known = knownHost(host);
    if (known.inline) {
      inline.push(host);
      continue;
    }
    let one = known.encoded.get(name);
    if (one === undefined) {
      one = encodeHost(name, host);
      known.encoded.set(name, one);
    }
    hosts.set(one.name, one);
  }
  const split: SplitRoutes = { shell: encodedShell(resource, name, inline), hosts };
  byName.set(name, split);
  return split;
}

type Routes = ReadonlyMap<string, Generated<RouteConfiguration>>;

/** All route configurations of a class of proxies, split. */
export interface AllSplitRoutes {
  /** The shells, and whole what is not split. */
  readonly shells: Table;
  /** By route configuration. */
  readonly hosts: ReadonlyMap<string, Table>;
  readonly failed: readonly { readonly name: string; readonly error: unknown }[];
}

const splits = new WeakMap<Routes, AllSplitRoutes>();
const encodeRoute = encodingMemo(routeType, encodeRoutes);

/** Splits all route configurations; once for all classes of proxies that have the same. */
export function splitAll(routes: Routes): AllSplitRoutes {
  const known = splits.get(routes);
  if (known !== undefined) return known;
  const shells = new Map<string, XdsResource>();
  const hosts = new Map<string, Table>();
  const failed: { name: string; error: unknown }[] = [];
  for (const [name, generated] of routes) {
    try {
      if (isSplit(name)) {
        const split = splitRoutes(name, generated.resource);
        shells.set(name, split.shell);
        hosts.set(name, split.hosts);
      } else shells.set(name, encodeRoute(name, generated));
    } catch (error) {
      failed.push({ name, error });
    }
  }
  const made = { shells, hosts, failed };
  splits.set(routes, made);
  return made;
}
