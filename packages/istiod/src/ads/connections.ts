import type { ProxyNode, ProxyView } from '@istio-ts/xds';
import type { WatchStatus } from './watch.ts';

/** A proxy (or another xDS client) with an open stream. */
export interface ConnectedProxy {
  /** Unique in this process: the node's id and a number. */
  readonly connectionId: string;
  readonly node: ProxyNode;
  readonly remoteAddress: string;
  /** Milliseconds since 1970. */
  readonly connectedAt: number;
  readonly protocol: 'delta' | 'sotw';
  readonly view: ProxyView;
  statuses(): readonly WatchStatus[];
  /** Ends the stream; the proxy connects again. */
  disconnect(): void;
}

/** The proxies that are connected to this istiod. */
export class Connections {
  readonly #byId = new Map<string, ConnectedProxy>();
  #count = 0;

  nextId(node: ProxyNode): string {
    return `${node.id}-${++this.#count}`;
  }

  add(proxy: ConnectedProxy): void {
    this.#byId.set(proxy.connectionId, proxy);
  }

  remove(proxy: ConnectedProxy): void {
    this.#byId.delete(proxy.connectionId);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Sorted by node id. */
  all(): ConnectedProxy[] {
    return [...this.#byId.values()].sort((a, b) => (a.connectionId < b.connectionId ? -1 : 1));
  }

  /** By connection id, node id, `pod.namespace` or pod name when that is unique. The newest connection of a node wins. */
  find(id: string): ConnectedProxy | undefined {
    const exact = this.#byId.get(id);
    if (exact !== undefined) return exact;
    const [name = '', namespace] = id.split(/[./]/, 2);
    const found = [...this.#byId.values()].filter(
      ({ node }) =>
        node.id === id ||
        `${node.podName}.${node.namespace}` === id ||
        (node.podName === name && (namespace === undefined || namespace === node.namespace)),
    );
    return found.at(-1);
  }
}
