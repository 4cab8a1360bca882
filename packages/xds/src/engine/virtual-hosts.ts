import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import { originsOfHost } from '../route/virtual-host.ts';
import { encodeResource, encodingMemo } from './resource.ts';
import { encodeRoutes } from './route-bytes.ts';
import { patched, type Table } from './table.ts';
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

/** What a table of hosts was made of. */
interface MadeOf {
  readonly hosts: readonly VirtualHost[];
  readonly inline: readonly VirtualHost[];
}
const madeOf = new WeakMap<Table, MadeOf>();
/** More than these are made as a whole. */
const MAX_CHANGED_HOSTS = 64;

function encodedHost(routes: string, host: VirtualHost): XdsResource {
  const { encoded } = knownHost(host);
  let one = encoded.get(routes);
  if (one === undefined) {
    one = encodeHost(routes, host);
    encoded.set(routes, one);
  }
  return one;
}

/** The hosts from the table of those before: most of a list is the same objects in the same places. Undefined where too much is different. */
function advanceHosts(name: string, last: Table, hosts: readonly VirtualHost[]): Table | undefined {
  const made = madeOf.get(last);
  if (made === undefined) return undefined;
  const before = made.hosts;
  const shorter = Math.min(before.length, hosts.length);
  let start = 0;
  while (start < shorter && before[start] === hosts[start]) start++;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === hosts[hosts.length - 1 - end]) end++;
  const gone = before.slice(start, before.length - end);
  const fresh = hosts.slice(start, hosts.length - end);
  const isLarge = gone.length + fresh.length > MAX_CHANGED_HOSTS;
  if (isLarge || [...gone, ...fresh].some((host) => knownHost(host).inline)) return undefined;
  const changes = new Map<string, XdsResource | undefined>();
  for (const host of gone) changes.set(encodedHost(name, host).name, undefined);
  for (const host of fresh) {
    const one = encodedHost(name, host);
    // Made anew with the content that it had: no proxy has to hear of it.
    if (last.get(one.name)?.version === one.version) changes.delete(one.name);
    else changes.set(one.name, one);
  }
  const table = patched(last, changes);
  madeOf.set(table, { hosts, inline: made.inline });
  return table;
}

/**
 * Splits a route configuration; every unchanged host is the identical resource as before. `last` are its hosts as they were before, where they are
 * known. Raises `EncodeError`.
 */
export function splitRoutes(name: string, resource: RouteConfiguration, last?: Table): SplitRoutes {
  const byName = remembered.get(resource) ?? new Map<string, SplitRoutes>();
  remembered.set(resource, byName);
  const before = byName.get(name);
  if (before !== undefined) return before;
  const all = resource.virtualHosts ?? [];
  const hosts = (last && advanceHosts(name, last, all)) ?? allHosts(name, all);
  const inline = madeOf.get(hosts)?.inline ?? [];
  const split: SplitRoutes = { shell: encodedShell(resource, name, inline), hosts };
  byName.set(name, split);
  return split;
}

function allHosts(name: string, all: readonly VirtualHost[]): Table {
  const inline: VirtualHost[] = [];
  const hosts = new Map<string, XdsResource>();
  for (const host of all) {
    if (knownHost(host).inline) {
      inline.push(host);
      continue;
    }
    const one = encodedHost(name, host);
    hosts.set(one.name, one);
  }
  madeOf.set(hosts, { hosts: all, inline });
  return hosts;
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

/** Splits all route configurations; once for all classes of proxies that have the same. `last` are the hosts as they were before. */
export function splitAll(routes: Routes, last?: AllSplitRoutes['hosts']): AllSplitRoutes {
  const known = splits.get(routes);
  if (known !== undefined) return known;
  const shells = new Map<string, XdsResource>();
  const hosts = new Map<string, Table>();
  const failed: { name: string; error: unknown }[] = [];
  for (const [name, generated] of routes) {
    try {
      if (isSplit(name)) {
        const split = splitRoutes(name, generated.resource, last?.get(name));
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
