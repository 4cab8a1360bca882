import { createHash } from 'node:crypto';
import { decodeNameTable, encodeNameTable, NAME_TABLE_TYPE } from '@istio-ts/envoy/name-table';
import { type HeadlessPod, type Mesh, nameTable, type ProxyScope, type Service } from '@istio-ts/mesh';
import type { ProxyConfigSource, ProxyNode, ProxyView, XdsResource } from '@istio-ts/xds';
import { layerChanges } from '../ads/view-layer.ts';

/** Istio sends all names as one resource. */
const RESOURCE_NAME = 'nametable';

/** A view that can say what its proxy sees. */
interface ScopedView extends ProxyView {
  scope(): ProxyScope;
}

interface ScopedSource extends ProxyConfigSource {
  connect(node: ProxyNode): ScopedView;
}

type HeadlessPods = ReadonlyMap<string, readonly HeadlessPod[]>;

/**
 * Adds the names for the DNS proxies of agents to a source of configuration. A table is made when somebody asks for it, once for all proxies that
 * see the same services, and is sent again only when a name or an address of it is another.
 */
export function withNameTables(
  source: ScopedSource,
  mesh: Pick<Mesh, 'servicesByAge' | 'headlessPods'>,
  schedule: (work: () => void) => void = (work) => void setImmediate(work),
): { readonly source: ProxyConfigSource; close(): void } {
  const views = new Set<{ refresh(): void }>();
  let scheduled = false;
  const changed = (): void => {
    if (scheduled || views.size === 0) return;
    scheduled = true;
    schedule(() => {
      scheduled = false;
      for (const view of [...views]) view.refresh();
    });
  };
  const subscriptions = [mesh.servicesByAge.subscribe(changed), mesh.headlessPods.subscribe(changed)];
  /** Tables by what they are made of: the list of services and the pods of headless ones. */
  const made = new WeakMap<readonly Service[], { readonly pods: HeadlessPods; readonly resource: XdsResource }>();
  const tableOf = (scope: ProxyScope): XdsResource => {
    const pods = mesh.headlessPods.snapshot();
    const known = made.get(scope.services);
    if (known?.pods === pods) return known.resource;
    const resource = nameTableResource(nameTable(scope.services, scope.serviceByHost, (key) => pods.get(key) ?? []));
    made.set(scope.services, { pods, resource });
    return resource;
  };

  const connect = (node: ProxyNode): ProxyView => {
    const view = source.connect(node);
    const changes = layerChanges(view);
    let resources: ReadonlyMap<string, XdsResource> | undefined;
    const current = (): ReadonlyMap<string, XdsResource> => {
      const table = tableOf(view.scope());
      if (resources?.get(RESOURCE_NAME)?.version !== table.version) resources = new Map([[RESOURCE_NAME, table]]);
      return resources ?? new Map();
    };
    const member = {
      refresh: () => {
        const before = resources;
        if (before === undefined || current() === before) return;
        changes.announce(new Set([NAME_TABLE_TYPE]));
      },
    };
    // A proxy whose facts change (its labels, say) may see other services.
    const stop = view.onChange(() => member.refresh());
    return {
      ...view,
      resources: (typeUrl) => {
        if (typeUrl !== NAME_TABLE_TYPE) return view.resources(typeUrl);
        views.add(member);
        return current();
      },
      onChange: changes.onChange,
      close: () => {
        views.delete(member);
        stop();
        changes.clear();
        view.close();
      },
    };
  };
  return {
    source: { connect },
    close: () => {
      for (const end of subscriptions) end();
    },
  };
}

function nameTableResource(table: ReturnType<typeof nameTable>): XdsResource {
  const value = encodeNameTable(table);
  return {
    typeUrl: NAME_TABLE_TYPE,
    name: RESOURCE_NAME,
    version: createHash('sha256').update(value).digest('hex').slice(0, 16),
    value,
    json: () => ({
      '@type': NAME_TABLE_TYPE,
      table: Object.fromEntries([...decodeNameTable(value)].map(([host, info]) => [host, info])),
    }),
    origins: [],
  };
}
