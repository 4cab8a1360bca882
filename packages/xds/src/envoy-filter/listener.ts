import type { Listener } from '@istio-ts/envoy';
import type { ProxyType } from '@istio-ts/mesh/model';
import type { Generated } from '../generated.ts';
import { memoByInputs } from '../memo.ts';
import { type ListRules, mergePatch, patchList } from './list.ts';
import { canonical, type Message, typeOfAny } from './merge.ts';
import { isNamed } from './names.ts';
import { type ApplyTo, type Context, contextsOf, inContext, type Patch, PATCHED_TYPES } from './patch.ts';
import { type PatchSet, withOrigins } from './patch-set.ts';
import { byClass } from './placement.ts';
import { patchRoutes } from './route.ts';

const HTTP_CONNECTION_MANAGER = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager';
/** Listeners for any port: a port is matched against their filter chains instead (EnvoyFilter reference, ListenerMatch). */
const VIRTUAL: ReadonlySet<string> = new Set(['virtualInbound', 'virtualOutbound']);

const list = (value: unknown): readonly Message[] => (Array.isArray(value) ? value : []);
const part = (value: unknown): Message => (typeof value === 'object' && value !== null ? (value as Message) : {});

function portOf(listener: Message): unknown {
  return part(part(listener.address).socketAddress).portValue;
}

function contextOf(listener: Message, type: ProxyType): Context {
  switch (type) {
    case 'sidecar':
      return listener.trafficDirection === 'INBOUND' ? 'SIDECAR_INBOUND' : 'SIDECAR_OUTBOUND';
    case 'router':
      return 'GATEWAY';
    case 'waypoint':
    case 'ztunnel':
      return 'WAYPOINT';
    default: {
      const unknown: never = type;
      return unknown;
    }
  }
}

function matchesListener({ match, applyTo }: Patch, listener: Message): boolean {
  if (match.routeConfiguration || match.cluster) return applyTo === 'HTTP_ROUTE' || applyTo.startsWith('VIRTUAL');
  const wanted = match.listener;
  if (wanted === undefined) return true;
  if (wanted.name && wanted.name !== listener.name) return false;
  if (applyTo !== 'LISTENER' && applyTo !== 'LISTENER_FILTER' && VIRTUAL.has(String(listener.name))) return true;
  return !wanted.portNumber || wanted.portNumber === portOf(listener);
}

function matchesChain({ match }: Patch, listener: Message, chain: Message): boolean {
  const wanted = match.listener;
  if (wanted === undefined) return true;
  const has = part(chain.filterChainMatch);
  if (VIRTUAL.has(String(listener.name)) && wanted.portNumber && has.destinationPort !== wanted.portNumber)
    return false;
  const { name, sni, transportProtocol, applicationProtocols, destinationPort } = wanted.filterChain ?? {};
  if (name && name !== chain.name) return false;
  if (sni && !list(has.serverNames).includes(sni as unknown as Message)) return false;
  if (transportProtocol && transportProtocol !== has.transportProtocol) return false;
  if (applicationProtocols) {
    const offered = list(has.applicationProtocols) as readonly unknown[];
    if (!applicationProtocols.split(',').every((protocol) => offered.includes(protocol.trim()))) return false;
  }
  return !destinationPort || destinationPort === has.destinationPort;
}

/** A filter that must be the last of its list. */
const endsChain = (filter: Message | undefined): boolean =>
  /^envoy\.extensions\.filters\.(network\.(http_connection_manager|tcp_proxy|redis_proxy|generic_proxy|thrift_proxy|echo|direct_response)|http\.router)\./.test(
    typeOfAny(filter?.typedConfig) ?? '',
  );

function beforeLast(items: readonly Message[], added: Message): number {
  return endsChain(items.at(-1)) && !endsChain(added) ? items.length - 1 : items.length;
}

const named = (wanted: string | undefined): ListRules['selects'] =>
  wanted ? (item) => isNamed(item, wanted) : undefined;

/** Replaces the items of a list for which `change` gives something else; the identical list where it does not. */
function mapped(items: readonly Message[], change: (item: Message) => Message): readonly Message[] {
  let same = true;
  const result = items.map((item) => {
    const changed = change(item);
    same &&= changed === item;
    return changed;
  });
  return same ? items : result;
}

interface Changed {
  readonly listener: Message;
  readonly applied: ReadonlySet<Patch>;
}

/** Undefined where a patch removes the listener. */
function patchListener(start: Message, patches: PatchSet, context: Context): Changed | undefined {
  const applied = new Set<Patch>();
  let listener = start;
  /** Where the patch can be applied it is; where it cannot, everything stays as it was before it. */
  const attempt = (patch: Patch, change: (before: Message) => Message): void => {
    try {
      const after = change(listener);
      if (after === listener) return;
      listener = after;
      applied.add(patch);
    } catch {
      // Values are checked when an EnvoyFilter is read; what still fails is a combination that Envoy has no message for.
    }
  };
  const own = (...kinds: readonly ApplyTo[]): readonly Patch[] =>
    patches.of(...kinds).filter((patch) => inContext(patch, context) && matchesListener(patch, listener));
  for (const patch of own('LISTENER')) {
    if (patch.operation === 'REMOVE') return undefined;
    if (patch.operation === 'MERGE' || patch.operation === 'MERGE_AND_REPLACE_LIST')
      attempt(patch, (before) => mergePatch(before, patch));
  }
  for (const patch of own('LISTENER_FILTER'))
    attempt(patch, (before) => {
      const filters = list(before.listenerFilters);
      const after = patchList(filters, patch, {
        selects: named(patch.match.listener?.listenerFilter),
        end: (items) => items.length,
        typed: true,
      });
      return after === filters ? before : { ...before, listenerFilters: after };
    });
  for (const patch of own('FILTER_CHAIN')) attempt(patch, (before) => patchChains(before, patch));
  for (const patch of own('NETWORK_FILTER'))
    attempt(patch, (before) =>
      eachChain(before, patch, (chain) => {
        const filters = list(chain.filters);
        const rules: ListRules = {
          selects: named(patch.match.listener?.filterChain?.filter?.name),
          end: byClass(patch, 'network') ?? beforeLast,
          typed: true,
        };
        const after = patchList(filters, patch, rules);
        return after === filters ? chain : { ...chain, filters: after };
      }),
    );
  for (const patch of own('HTTP_FILTER'))
    attempt(patch, (before) =>
      eachManager(before, patch, (manager) => {
        const filters = list(manager.httpFilters);
        const rules: ListRules = {
          selects: named(patch.match.listener?.filterChain?.filter?.subFilter?.name),
          end: byClass(patch, 'http') ?? beforeLast,
          typed: true,
        };
        const after = patchList(filters, patch, rules);
        return after === filters ? manager : { ...manager, httpFilters: after };
      }),
    );
  // Routes of arriving requests are part of the listener.
  for (const patch of context === 'SIDECAR_INBOUND' ? own('ROUTE_CONFIGURATION', 'VIRTUAL_HOST', 'HTTP_ROUTE') : [])
    attempt(patch, (before) =>
      eachManager(before, undefined, (manager) => {
        if (manager.routeConfig === undefined) return manager;
        const routes = part(manager.routeConfig);
        const after = patchRoutes(routes, [patch], context).routes;
        return after === routes ? manager : { ...manager, routeConfig: after };
      }),
    );
  return { listener, applied };
}

function patchChains(listener: Message, patch: Patch): Message {
  const chains = list(listener.filterChains);
  switch (patch.operation) {
    case 'ADD':
    case 'INSERT_BEFORE':
    case 'INSERT_AFTER':
      return { ...listener, filterChains: [...chains, patch.value] };
    case 'INSERT_FIRST':
      return { ...listener, filterChains: [patch.value, ...chains] };
    case 'REMOVE': {
      const kept = chains.filter((chain) => !matchesChain(patch, listener, chain));
      const { defaultFilterChain, ...rest } = listener;
      const isDefaultKept =
        defaultFilterChain === undefined || !matchesChain(patch, listener, part(defaultFilterChain));
      if (isDefaultKept && kept.length === chains.length) return listener;
      return { ...(isDefaultKept ? listener : rest), filterChains: kept };
    }
    case 'MERGE':
    case 'MERGE_AND_REPLACE_LIST':
      return eachChain(listener, patch, (chain) => mergePatch(chain, patch));
    case 'REPLACE':
      return listener;
    default: {
      const unknown: never = patch.operation;
      return unknown;
    }
  }
}

/** Changes the filter chains that a patch is for, the default one included. */
function eachChain(listener: Message, patch: Patch | undefined, change: (chain: Message) => Message): Message {
  const one = (chain: Message): Message =>
    patch === undefined || matchesChain(patch, listener, chain) ? change(chain) : chain;
  const chains = list(listener.filterChains);
  const after = mapped(chains, one);
  const before = listener.defaultFilterChain;
  const standard = before === undefined ? undefined : one(part(before));
  if (after === chains && standard === before) return listener;
  return { ...listener, filterChains: after, ...(standard && { defaultFilterChain: standard }) };
}

/** Changes the HTTP connection managers of the chains that a patch is for. */
function eachManager(listener: Message, patch: Patch | undefined, change: (manager: Message) => Message): Message {
  const wanted = patch?.match.listener?.filterChain?.filter?.name;
  return eachChain(listener, patch, (chain) => {
    const filters = list(chain.filters);
    const after = mapped(filters, (filter) => {
      if (typeOfAny(filter.typedConfig) !== HTTP_CONNECTION_MANAGER) return filter;
      if (wanted && !isNamed(filter, wanted)) return filter;
      const manager = part(filter.typedConfig);
      const changed = change(manager);
      return changed === manager ? filter : { ...filter, typedConfig: changed };
    });
    return after === filters ? chain : { ...chain, filters: after };
  });
}

/** A generated listener after its patches; remembered by both. Without a patch that matches it is the identical one. */
const patched = memoByInputs(
  ({
    resource,
    patches,
    context,
  }: {
    readonly resource: Listener;
    readonly patches: PatchSet;
    readonly context: Context;
  }) => [resource, patches, context] as const,
  ({
    resource,
    patches,
    context,
  }): { readonly resource: Listener; readonly applied: ReadonlySet<Patch> } | undefined => {
    const raw = resource as Message;
    const some = patches.patches.some((patch) => inContext(patch, context) && matchesListener(patch, raw));
    if (!some) return { resource, applied: new Set() };
    const changed = patchListener(canonical(PATCHED_TYPES.LISTENER, resource), patches, context);
    if (changed === undefined) return undefined;
    return changed.applied.size === 0
      ? { resource, applied: changed.applied }
      : { resource: changed.listener as Listener, applied: changed.applied };
  },
);

const added = memoByInputs(
  (patch: Patch) => [patch],
  (patch): Generated<Listener> => ({ resource: patch.value as Listener, origins: [patch.origin] }),
);

/** Listeners of a proxy after the patches of its EnvoyFilters: listeners that no patch is for stay the identical objects. */
export function patchListeners(
  listeners: readonly Generated<Listener>[],
  patches: PatchSet | undefined,
  type: ProxyType,
): readonly Generated<Listener>[] {
  if (patches === undefined) return listeners;
  const result: Generated<Listener>[] = [];
  for (const { resource, origins } of listeners) {
    const context = contextOf(resource as Message, type);
    const after = patched({ resource, patches, context });
    if (after === undefined) continue;
    result.push({ resource: after.resource, origins: withOrigins(origins, after.applied) });
  }
  const names = new Set(result.map(({ resource }) => resource.name));
  for (const patch of patches.of('LISTENER')) {
    if (patch.operation !== 'ADD' && !patch.operation.startsWith('INSERT')) continue;
    if (!contextsOf(type).some((context) => inContext(patch, context))) continue;
    const one = added(patch);
    if (!one.resource.name || names.has(one.resource.name)) continue;
    names.add(one.resource.name);
    result.push(one);
  }
  return result;
}
