import { createHash } from 'node:crypto';
import { encodeUnchecked, typeNameOf } from '@istio-ts/envoy';
import type { ProxyConfigSource, ProxyNode, ProxyView, XdsResource } from '@istio-ts/xds';

const NONE: ReadonlyMap<string, XdsResource> = new Map();

/** Makes a resource from an object in ProtoJSON form; the version is a hash of its bytes. Raises EncodeError. */
export function makeResource(typeUrl: string, name: string, json: object): XdsResource {
  const value = encodeUnchecked(typeNameOf(typeUrl), json);
  const version = createHash('sha256').update(value).digest('base64url').slice(0, 16);
  return { typeUrl, name, version, value, json: () => json, origins: [] };
}

/** Resources kept in memory, the same for every proxy: for tests and for serving a fixed configuration. */
export class MemorySource implements ProxyConfigSource {
  readonly nodes: ProxyNode[] = [];
  #resources = new Map<string, ReadonlyMap<string, XdsResource>>();
  readonly #listeners = new Set<(changed: ReadonlySet<string>) => void>();

  connect(node: ProxyNode): ProxyView {
    this.nodes.push(node);
    const mine = new Set<(changed: ReadonlySet<string>) => void>();
    return {
      resources: (typeUrl) => this.#resources.get(typeUrl) ?? NONE,
      onChange: (listener) => {
        this.#listeners.add(listener);
        mine.add(listener);
        return () => this.#listeners.delete(listener);
      },
      close: () => {
        for (const listener of mine) this.#listeners.delete(listener);
      },
    };
  }

  /** Views that have not been closed. */
  get openViews(): number {
    return this.#listeners.size;
  }

  /** Sets (or with undefined removes) resources by type URL and name; proxies hear of all of it at once. */
  change(changes: Readonly<Record<string, Readonly<Record<string, object | undefined>>>>): void {
    const next = new Map(this.#resources);
    for (const [typeUrl, byName] of Object.entries(changes)) {
      const resources = new Map(next.get(typeUrl));
      for (const [name, json] of Object.entries(byName)) {
        if (json === undefined) resources.delete(name);
        else resources.set(name, makeResource(typeUrl, name, json));
      }
      next.set(typeUrl, resources);
    }
    this.#resources = next;
    const changed = new Set(Object.keys(changes));
    for (const listener of [...this.#listeners]) listener(changed);
  }
}
