import type { RouteConfiguration, VirtualHost } from '@istio-ts/envoy';
import type { Generated } from '../generated.ts';
import type { XdsResource } from '../source.ts';
import { encodeResource } from './resource.ts';
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

const encodedHosts = new WeakMap<VirtualHost, Map<string, XdsResource>>();
const remembered = new WeakMap<RouteConfiguration, { readonly origins: unknown; readonly split: SplitRoutes }>();

/** A host that takes every domain stays in the shell: requests for unknown hosts are answered as long as the hosts are not there. */
const takesAll = (host: VirtualHost): boolean => host.domains?.includes('*') === true;

function encodedHost(routes: string, host: VirtualHost): XdsResource {
  const name = hostResourceName(routes, (host.name ?? '').replaceAll('/', '_'));
  let byName = encodedHosts.get(host);
  if (byName === undefined) {
    byName = new Map();
    encodedHosts.set(host, byName);
  }
  let known = byName.get(name);
  if (known === undefined) {
    // Name and resource name have to be equal, or Envoy ignores the removal.
    known = encodeResource(virtualHostType, name, { resource: { ...host, name }, origins: [] });
    byName.set(name, known);
  }
  return known;
}

/** Splits a route configuration; every unchanged host is the identical resource as before. Raises `EncodeError`. */
export function splitRoutes(name: string, generated: Generated<RouteConfiguration>): SplitRoutes {
  const { resource, origins } = generated;
  const known = remembered.get(resource);
  if (known !== undefined && known.origins === origins) return known.split;
  const inline: VirtualHost[] = [];
  const hosts = new Map<string, XdsResource>();
  for (const host of resource.virtualHosts ?? []) {
    if (takesAll(host)) inline.push(host);
    else {
      const one = encodedHost(name, host);
      hosts.set(one.name, one);
    }
  }
  const shell = encodeResource(routeType, name, {
    resource: {
      ...resource,
      virtualHosts: inline,
      vhds: { configSource: { ads: {}, resourceApiVersion: 'V3' } },
    },
    origins,
  });
  const split: SplitRoutes = { shell, hosts };
  remembered.set(resource, { origins, split });
  return split;
}
